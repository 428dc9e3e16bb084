"""A policy, a thousand names around everything in it, and two resolvers that take it from our daemon."""

import base64
import itertools
import secrets
from ipaddress import ip_address

from blocker import config, names
from blocker.clients import Clients
from blocker.lists import compile as compiling
from blocker.lists.gather import gather
from blocker.lists.index import Index
from blocker.policy import Action, decide, inspect
from blocker.rpz import status
from tests.e2e.daemon import Daemon, free_port
from tests.e2e.upstream import Upstream, answer
from tests.rpz import servers

ALPHA = """\
app: alpha
entries:
  - {value: alpha.example, kind: suffix}
  - {value: help.alpha.example, kind: exact, action: allow}
  - {value: docs.alpha.example, kind: suffix, action: allow}
  - {value: trap.docs.alpha.example, kind: suffix}
  - {value: one.two.three.alpha.example, kind: exact, action: allow}
  - {value: deep.one.two.three.alpha.example, kind: suffix, action: allow}
  - {value: bad.deep.one.two.three.alpha.example, kind: exact}
  - {value: only.example, kind: exact}
  - {value: below.only.example, kind: suffix}
  - {value: x.y.z.sparse.example, kind: suffix}
  - {value: free.example, kind: suffix, action: allow}
  - {value: canary.example, kind: exact, answer: nodata}
  - {value: 192.0.2.0/24, kind: cidr, exclusive: true}
  - {value: 192.0.2.64/26, kind: cidr, exclusive: true, action: allow}
  - {value: 192.0.2.80/32, kind: cidr, exclusive: true}
  - {value: "2001:db8:ab::/48", kind: cidr, exclusive: true}
  - {value: "2001:db8:ab:0:1::/80", kind: cidr, exclusive: true, action: allow}
"""
BETA = """\
app: beta
entries:
  - {value: beta.example, kind: suffix}
  - {value: inside.alpha.example, kind: suffix}
  - {value: nodata.beta.example, kind: suffix, answer: nodata}
  - {value: ok.nodata.beta.example, kind: exact, action: allow}
  - {value: 198.51.100.0/25, kind: cidr, exclusive: true}
"""
GAMMA = "app: gamma\nentries:\n  - {value: gamma.example, kind: suffix}\n"
DROP = "app: silent\nentries:\n  - {value: silent.example, kind: suffix}\n"
WATCHED = """\
app: watched
entries:
  - {value: watched.example, kind: suffix}
  - {value: seen.alpha.example, kind: suffix}
"""
PLAIN = "\n".join(f"plain{at}.example" for at in range(60)) + "\n@@yes.plain1.example\n@@plain2.example\n"
FILES = {
    "alpha.yaml": ALPHA, "beta.yaml": BETA, "gamma.yaml": GAMMA, "silent.yaml": DROP, "watched.yaml": WATCHED,
    "plain.txt": PLAIN, "host.hosts": "0.0.0.0 host.example\n0.0.0.0 sub.host.example\n",
}  # fmt: skip
POLICY = {
    "groups": [
        {
            "name": "staff", "clients": ["127.0.0.0/8"], "monitor": ["watched"],
            "block": ["alpha", "beta", "gamma", "silent", "plain", "host"],
            "actions": {"beta": "nxdomain", "gamma": "nodata", "silent": "drop"},
        }
    ],
    "protection": {"rebinding": False},
}  # fmt: skip
ADDRESSES = (
    "192.0.2.1", "192.0.2.63", "192.0.2.64", "192.0.2.80", "192.0.2.127", "192.0.2.128", "192.0.3.1",
    "198.51.100.1", "198.51.100.127", "198.51.100.128", "203.0.113.5",
    "2001:db8:ab::1", "2001:db8:ab:ffff::1", "2001:db8:ab:0:1::9", "2001:db8:ac::1", "64:ff9b::c000:201",
    "64:ff9b::c000:240", "2002:c000:201::1",
)  # fmt: skip
ALIASES = ("alpha.example", "www.beta.example", "plain7.example", "nice.example")
BASES = (
    "alpha.example", "help.alpha.example", "docs.alpha.example", "trap.docs.alpha.example", "inside.alpha.example",
    "one.two.three.alpha.example", "two.three.alpha.example", "three.alpha.example", "deep.one.two.three.alpha.example",
    "bad.deep.one.two.three.alpha.example", "only.example", "below.only.example", "sparse.example", "z.sparse.example",
    "y.z.sparse.example", "x.y.z.sparse.example", "free.example", "canary.example", "beta.example",
    "nodata.beta.example", "ok.nodata.beta.example", "gamma.example", "watched.example", "seen.alpha.example",
    "plain1.example", "yes.plain1.example", "plain2.example", "plain3.example", "host.example", "sub.host.example",
    "notalpha.example", "alpha.example.net", "example", "nice.example",
)  # fmt: skip


def addressed(address):
    return "ip-" + address.replace(".", "-").replace(":", "-") + ".example"


def aliased(target):
    return "to-" + target.replace(".", "-") + ".example"


def table():
    """Return 1,000 names: at, below, beside and between everything that is listed."""
    found = dict.fromkeys(map(addressed, ADDRESSES))
    found.update(dict.fromkeys(map(aliased, ALIASES)))
    found.update(dict.fromkeys(("silent.example", "a.silent.example", "b.a.silent.example")))
    fronts = ("", "a.", "m.", "zz.", "www.", "a.b.", "help.", "x.", "one.", "q.w.e.", "0.")
    found.update(dict.fromkeys(front + base for front, base in itertools.product(fronts, BASES)))
    for at in range(250):
        found.update(dict.fromkeys((f"plain{at}.example", f"w{at}.plain{at}.example", f"other{at}.example")))
    return list(found)


class Said:
    """What an upstream said, as `inspect` must know it."""

    def __init__(self, aliases=(), addresses=()):
        self.aliases = [names.from_text(each) for each in aliases]
        self.addresses = [ip_address(each).packed for each in addresses]


def expected(folder):
    """Return the verdict of `decide` and `inspect` for each name, which is what `blocker explain` says."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    found = config.Config.model_validate({**POLICY, "lists": {"built_in": False, "directories": [str(folder)]}})
    compiling.build(gather(found.lists), folder / "index")
    index = Index.open(folder / "index")
    policy = Clients(found, index, 0).policies["staff"]
    told = {addressed(each): Said(addresses=[each]) for each in ADDRESSES}
    told |= {aliased(each): Said(aliases=[each]) for each in ALIASES}

    def verdict(name):
        said = decide(policy, index, names.from_text(name))
        if said.action is Action.PASSTHRU and name in told:
            said = inspect(policy, index, names.from_text(name), told[name])
        return {"passthru": "pass"}.get(said.action, str(said.action))

    return {name: verdict(name) for name in table()}


def differing(address, expected):
    """Return the names to which the resolver at `address` says something else: what it said, and what it should."""
    found = {}
    for kind in ("A", "AAAA"):
        asked = [name for name in expected if not name.startswith("ip-") or (":" in _address(name)) == (kind == "AAAA")]
        said = servers.verdicts(address, asked, kind)
        found |= {(name, kind): (said[name], expected[name]) for name in asked if said[name] != expected[name]}
    return found


def upstream():
    """Return a resolver that answers each name of the table with what is in its name."""
    made = Upstream()
    for address in ADDRESSES:
        kind = "AAAA" if ":" in address else "A"
        made.scripts[addressed(address)] = _only(kind, f"{addressed(address)}. 300 {kind} {address}")
    for target in ALIASES:
        chain = (f"{aliased(target)}. 300 CNAME {target}.", f"{target}. 300 A 93.184.215.14")
        made.scripts[aliased(target)] = answer(*chain)
    return made


def _only(kind, record):
    return lambda seen: answer(*([record] if seen.qtype == kind else []))(seen)


def _address(name):
    return next(each for each in ADDRESSES if addressed(each) == name)


class Estate:
    """Our daemon, and two resolvers that take their policy from it."""

    def __init__(self, folder, upstream):
        self.port = free_port("127.0.0.1")
        secret = base64.b64encode(secrets.token_bytes(32)).decode()
        folder.mkdir(exist_ok=True)
        (folder / "secret").write_text(secret)
        (folder / "secret").chmod(0o600)
        signed, open_ = "signed.rpz.test", "open.rpz.test"
        self.unbound = servers.unbound(
            folder / "unbound", upstream,
            [(open_, f"  primary: 127.0.0.1@{self.port}\n  allow-notify: 127.0.0.1\n")],
        )  # fmt: skip
        self.bind = servers.named(
            folder / "bind",
            f"{servers.forwarding(upstream)}"
            f' response-policy {{ zone "{signed}"; }} qname-wait-recurse no break-dnssec yes min-update-interval 0;',
            f'key "both" {{ algorithm hmac-sha256; secret "{secret}"; }};\n'
            f'zone "{signed}" {{ type secondary; file "rpz.zone"; masterfile-format text;'
            f" primaries {{ 127.0.0.1 port {self.port} key both; }}; }};\n",
        )
        self.daemon = Daemon(
            folder / "daemon", [upstream],
            {
                **POLICY,
                "rpz": {
                    "listen": [f"127.0.0.1:{self.port}"],
                    "zones": [
                        {"name": signed, "group": "staff", "key": "both",
                         "secondaries": [f"127.0.0.1:{self.bind.port}"]},
                        {"name": open_, "group": "staff", "secondaries": [f"127.0.0.1:{self.unbound.port}"]},
                    ],
                    "keys": [{"name": "both", "secret_file": str(folder / "secret")}],
                },
            },
            lists=FILES,
        )  # fmt: skip
        self.zones = {"unbound": open_, "bind": signed}

    @property
    def resolvers(self):
        return {"unbound": self.unbound, "bind": self.bind}

    def transfers(self, who, kind):
        said = status.read(self.daemon.folder / "state")
        return said.transfers.get(f"{self.zones[who]} {kind} success", 0)

    def serial(self, who):
        said = status.read(self.daemon.folder / "state")
        return said.zones[self.zones[who]].serial

    def close(self):
        for each in (self.unbound, self.bind, self.daemon):
            each.close()

    def wait(self):
        """Wait until both resolvers enforce what they have transferred."""
        for who, server in self.resolvers.items():
            server.wait(lambda who=who: self.transfers(who, "axfr"), 60)
            server.wait(lambda server=server: server.verdict("alpha.example") == "sinkhole", 60)
