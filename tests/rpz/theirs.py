"""Somebody's policy zone with every trigger and action, 1,000 names around it, and three resolvers that follow it."""

import dns.message
import dns.query

from tests.e2e.daemon import Daemon, eventually, free_port
from tests.rpz import servers
from tests.rpz.internet import Internet

ZONE = "theirs.rpz.test"
ACTIONS = {
    "nxdomain": ("CNAME .",),
    "nodata": ("CNAME *.",),
    "drop": ("CNAME rpz-drop.",),
    "pass": ("CNAME rpz-passthru.",),
    "tcp-only": ("CNAME rpz-tcp-only.",),
    "sinkhole": ("A 0.0.0.0", "AAAA ::"),
}
NUMBERS = {action: 10 * number for number, action in enumerate(ACTIONS, 1)}
CLIENTS = "127.0.9"  # their addresses
PLAIN = "127.0.0.1"
LEFT_OUT = ("nd-tcp-only.example", "ndw-tcp-only.example", "np-tcp-only.example")
FRONTS = ("", "a.", "m.", "zz.", "www.", "a.b.", "x.y.z.", "0.", "help.", "q.w.e.r.", "one.two.", "ww.")


def internet():
    """Return the zones of the table's names, by the name servers that a policy speaks of, and of others."""
    zones = {"good.net": ("ns.good.net", 3), "nd.net": ("ns.good.net", 3), "np.net": ("ns.good.net", 3)}
    zones |= dict.fromkeys(("q.example", "r.example", "plain.example", "other.example"), ("ns.good.net", 3))
    for action, number in NUMBERS.items():
        zones[f"nd-{action}.example"] = (f"ns-{action}.nd.net", 4)
        zones[f"ndw-{action}.example"] = (f"x.w-{action}.nd.net", 4)
        zones[f"np-{action}.example"] = (f"ns-{action}.np.net", 100 + number)
    zones["npn.example"] = ("ns-npn.np.net", 201)
    return Internet(zones)


def zone(net, without=()):
    """Return the policy as zone text; `net` are the first three octets of the Internet's addresses.

    `without`: triggers and actions that are left out, `rpz-nsip` and `tcp-only`.
    """
    spelt = ".".join(reversed(net.split(".")))
    clients = ".".join(reversed(CLIENTS.split(".")))
    lines = [f"$ORIGIN {ZONE}.", "$TTL 60", f"@ SOA ns.{ZONE}. host.{ZONE}. 1 3600 60 86400 60", "@ NS ns.invalid."]

    def say(owner, action):
        if (owner.rpartition(".")[2], action) not in without:
            lines.extend(f"{owner} {end}" for end in ACTIONS[action])

    for action, number in NUMBERS.items():
        say(f"{action}.q.example", action)
        say(f"*.{action}.q.example", action)
        say(f"only-{action}.q.example", action)
        say(f"*.below-{action}.q.example", action)
        say(f"32.{number}.100.51.198.rpz-ip", action)
        say(f"28.{128 + 16 * (number // 10)}.100.51.198.rpz-ip", action)
        say(f"32.{number}.{clients}.rpz-client-ip", action)
        say(f"ns-{action}.nd.net.rpz-nsdname", action)
        say(f"*.w-{action}.nd.net.rpz-nsdname", action)
        say(f"32.{100 + number}.{spelt}.rpz-nsip", action)
    say("24.0.113.0.203.rpz-ip", "nxdomain")
    say("32.7.113.0.203.rpz-ip", "pass")
    say(f"29.200.{clients}.rpz-client-ip", "nxdomain")
    say(f"32.201.{clients}.rpz-client-ip", "pass")
    say(f"32.202.{clients}.rpz-client-ip", "nodata")
    say(f"29.200.{spelt}.rpz-nsip", "nodata")
    say(f"32.201.{spelt}.rpz-nsip", "pass")
    # Which of two triggers goes first: a client, the name, an address in the answer, a name server.
    say("ip-198-51-100-10.first.q.example", "nodata")
    say("free.nd-nxdomain.example", "pass")
    say("listed.np-nxdomain.example", "nodata")
    say("ip-198-51-100-40.np-nodata.example", "pass")
    return "\n".join(lines) + "\n"


def table():
    """Return (client, name) -> what happens, each by hand: 1,000 and more of them."""
    found = {}
    for action, number in NUMBERS.items():
        for front in FRONTS:
            found[PLAIN, f"{front}{action}.q.example"] = action
            found[PLAIN, f"{front}only-{action}.q.example"] = "pass" if front else action
            found[PLAIN, f"{front}below-{action}.q.example"] = action if front else "pass"
            found[PLAIN, f"{front}not{action}.q.example"] = "pass"
            for kind in ("nd", "ndw", "np"):
                found[PLAIN, f"{front}{kind}-{action}.example"] = action
            found[PLAIN, f"{front}n{action}.other.example"] = "pass"
        for at in range(16):
            found[PLAIN, f"ip-198-51-100-{128 + number // 10 * 16 + at}.r.example"] = action
        found[PLAIN, f"ip-198-51-100-{number}.r.example"] = action
        found[PLAIN, f"ip-198-51-100-{number + 1}.r.example"] = "pass"
        for at in range(24):
            found[f"{CLIENTS}.{number}", f"c{at}.plain.example"] = action
            found[f"{CLIENTS}.{number + 1}", f"c{at}.plain.example"] = "pass"
        found[f"{CLIENTS}.{number}", "www.nodata.q.example"] = action  # the client goes before the name
        found[f"{CLIENTS}.{number}", "www.nd-nxdomain.example"] = action
    for at in range(20):
        found[PLAIN, f"ip-203-0-113-{at}.r.example"] = "pass" if at == 7 else "nxdomain"  # the longest prefix
    for last, action in ((200, "nxdomain"), (201, "pass"), (202, "nodata"), (207, "nxdomain"), (208, "pass")):
        found[f"{CLIENTS}.{last}", "c.plain.example"] = action
    for front in FRONTS:
        found[PLAIN, f"{front}npn.example"] = "pass"
    found[PLAIN, "ip-198-51-100-10.first.q.example"] = "nodata"
    found[PLAIN, "free.nd-nxdomain.example"] = "pass"
    found[PLAIN, "listed.np-nxdomain.example"] = "nodata"
    found[PLAIN, "ip-198-51-100-10.nd-nodata.example"] = "nxdomain"
    found[PLAIN, "ip-198-51-100-40.nd-nodata.example"] = "pass"
    found[PLAIN, "ip-198-51-100-40.np-nodata.example"] = "pass"
    return found


def differing(address, expected):
    """Return the questions to which the resolver at `address` says something else: what it said, and what it should."""
    found = {}
    for client in dict.fromkeys(client for client, _ in expected):
        asked = [name for who, name in expected if who == client]
        said = servers.verdicts(address, asked, client=client)
        found |= {(client, name): (said[name], expected[client, name]) for name in asked
                  if said[name] != expected[client, name]}  # fmt: skip
    return found


def over_tcp(address, name):
    """Return what a resolver says over TCP."""
    query = dns.message.make_query(name, "A")
    return servers.judged(dns.query.tcp(query, address[0], 15, port=address[1]))


def corners():
    """Return what Unbound 1.17 is known to say otherwise, in the form of `differing`, and why; of BIND nothing is."""
    expected = table()
    # It ends at once when an answer comes from a server of which a zone says TCP-only: its zone leaves those out.
    found = {(who, name): "pass" for who, name in expected if name.endswith(LEFT_OUT)}
    # Local data under a wildcard of name servers is not found.
    found |= {(who, name): "nodata" for who, name in expected if name.endswith("ndw-sinkhole.example")}
    # Name servers go before addresses in the answer.
    found |= {(PLAIN, f"ip-198-51-100-{last}.nd-nodata.example"): "nodata" for last in (10, 40)}
    # A client that is excepted is not excepted from names.
    found[f"{CLIENTS}.{NUMBERS['pass']}", "www.nodata.q.example"] = "nodata"
    return {question: (said, expected[question]) for question, said in found.items()}


class Estate:
    """BIND, Unbound and our daemon with the same zone; we ask a fourth resolver, the others the Internet itself."""

    def __init__(self, folder, internet):
        folder.mkdir(exist_ok=True)
        (folder / "zone").write_text(zone(internet.net))
        (folder / "less").write_text(zone(internet.net, [("rpz-nsdname", "tcp-only"), ("rpz-nsip", "tcp-only")]))
        (folder / "hints").write_text(internet.hints)
        self.plain = servers.recursive(folder / "plain", folder / "hints")
        self.unbound = servers.recursive(
            folder / "unbound", folder / "hints", [(ZONE, f'  zonefile: "{folder}/less"')]
        )  # fmt: skip
        self.bind = servers.named(
            folder / "bind",
            f'recursion yes; notify no; response-policy {{ zone "{ZONE}"; }} qname-wait-recurse no break-dnssec yes;',
            f'zone "." {{ type hint; file "{folder}/hints"; }};\n'
            f'zone "{ZONE}" {{ type primary; file "{folder}/zone"; allow-transfer {{ any; }}; }};\n',
            keeps=60,
        )
        self.bind.wait(lambda: servers.serial(self.bind.address, ZONE))
        self.daemon = Daemon(
            folder / "daemon", [f"127.0.0.1:{self.plain.port}"],
            {
                "protection": {"rebinding": False},
                "process": {"workers": 1},
                "limits": {"client_in_flight": 1000},
                "rpz": {
                    "listen": [f"127.0.0.1:{free_port('127.0.0.1')}"],
                    "imports": [{"zone": ZONE, "primaries": [f"127.0.0.1:{self.bind.port}"], "app": "theirs"}],
                },
            },
        )  # fmt: skip

    @property
    def resolvers(self):
        return {"ours": self.daemon, "unbound": self.unbound, "bind": self.bind}

    def wait(self):
        """Wait until all three enforce the zone."""
        for server in (self.unbound, self.bind):
            server.wait(lambda server=server: server.verdict("nxdomain.q.example") == "nxdomain", 60)
        name = "nxdomain.q.example"
        eventually(lambda: servers.verdicts(self.daemon.address, [name])[name] == "nxdomain", 60)

    def close(self):
        for each in (self.daemon, self.bind, self.unbound, self.plain):
            each.close()
