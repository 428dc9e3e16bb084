"""The other servers and the responder behind all: the same names blocked, the same upstream, one core each.

Every peer caches, answers from one thread where that can be said, and gives 0.0.0.0 for a blocked name.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

RESPONDER: Final = "127.0.0.2"
ADDRESS: Final = "8.8.4.4"  # what the responder says of every name; never asked for anything
SINKHOLE: Final = "0.0.0.0"

Recipe = Callable[[Path, int, Sequence[str], int], list[str]]
"""Writes a configuration into a folder, for a port, names to block and the responder's port; returns the command."""

_UNBOUND: Final = """server:
 interface: {host}@{port}
 port: {port}
 do-daemonize: no
 username: ""
 chroot: ""
 directory: "{folder}"
 pidfile: ""
 use-syslog: no
 verbosity: 0
 num-threads: 1
 access-control: 127.0.0.0/8 allow
 so-rcvbuf: 4m
"""


def responder(folder: Path, port: int) -> list[str]:
    """Return the command of the responder: unbound that knows one address for every name, with no cache to fill."""
    config = _UNBOUND.format(host=RESPONDER, port=port, folder=folder)
    config += f' module-config: "iterator"\n local-zone: "." redirect\n local-data: ". 3600 IN A {ADDRESS}"\n'
    return ["unbound", "-d", "-c", str(_written(folder, "responder.conf", config))]


def unbound(folder: Path, port: int, blocked: Sequence[str], upstream: int) -> list[str]:
    """Return the command of unbound: local zones, and room for as many misses as are offered."""
    config = _UNBOUND.format(host="127.0.0.1", port=port, folder=folder)
    config += (
        ' do-not-query-localhost: no\n module-config: "iterator"\n outgoing-range: 4096\n'
        " num-queries-per-thread: 4096\n msg-cache-size: 64m\n rrset-cache-size: 128m\n"
    )
    config += "".join(f' local-zone: "{name}" redirect\n local-data: "{name} 60 IN A {SINKHOLE}"\n' for name in blocked)
    config += f"forward-zone:\n name: .\n forward-addr: {RESPONDER}@{upstream}\n"
    return ["unbound", "-d", "-c", str(_written(folder, "unbound.conf", config))]


def unbound_logging(folder: Path, port: int, blocked: Sequence[str], upstream: int) -> list[str]:
    """Return the command of an unbound that writes a line to a file for each blocked name, as our attempt log does."""
    argv = unbound(folder, port, blocked, upstream)
    with Path(argv[-1]).open("a", encoding="ascii") as file:
        file.write(f'server:\n log-local-actions: yes\n logfile: "{folder}/actions.log"\n')
    return argv


def dnsdist(folder: Path, port: int, blocked: Sequence[str], upstream: int) -> list[str]:
    """Return the command of dnsdist: a suffix tree, and a packet cache that does not fill up."""
    names = "".join(f'blocked:add(newDNSName("{name}."))\n' for name in blocked)
    config = (
        f'setSecurityPollSuffix("")\nsetLocal("127.0.0.1:{port}")\n'
        f'newServer({{address="{RESPONDER}:{upstream}"}})\n'
        f'getPool(""):setCache(newPacketCache(1000000))\n'
        f'blocked = newSuffixMatchNode()\n{names}addAction(SuffixMatchNodeRule(blocked), SpoofAction("{SINKHOLE}"))\n'
    )
    return ["dnsdist", "--supervised", "--disable-syslog", "-C", str(_written(folder, "dnsdist.conf", config))]


def dnsmasq(folder: Path, port: int, blocked: Sequence[str], upstream: int) -> list[str]:
    """Return the command of dnsmasq."""
    config = (
        f"port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\nuser=root\n"
        f"cache-size=20000\ndns-forward-max=4096\nserver={RESPONDER}#{upstream}\n"
    )
    config += "".join(f"address=/{name}/{SINKHOLE}\n" for name in blocked)
    return ["dnsmasq", "--keep-in-foreground", "-C", str(_written(folder, "dnsmasq.conf", config))]


def bind9(folder: Path, port: int, blocked: Sequence[str], upstream: int) -> list[str]:
    """Return the command of BIND: a response policy zone, decided before it recurses."""
    zone = "$TTL 60\n@ SOA localhost. root.localhost. 1 3600 600 86400 60\n@ NS localhost.\n"
    zone += "".join(f"{name} A {SINKHOLE}\n*.{name} A {SINKHOLE}\n" for name in blocked)
    file = _written(folder, "rpz.zone", zone)
    config = (
        f'options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n'
        f" pid-file none; session-keyfile none; recursion yes; forward only; dnssec-validation no;\n"
        f" forwarders {{ {RESPONDER} port {upstream}; }}; recursive-clients 10000; empty-zones-enable no;\n"
        f' max-cache-size 192m; response-policy {{ zone "rpz"; }} qname-wait-recurse no; }};\n'
        f"controls {{ }};\nlogging {{ category default {{ null; }}; }};\n"
        f'zone "rpz" {{ type primary; file "{file}"; }};\n'
    )
    return ["named", "-f", "-n", "1", "-c", str(_written(folder, "named.conf", config))]


PEERS: Final[Mapping[str, Recipe]] = {"unbound": unbound, "dnsdist": dnsdist, "dnsmasq": dnsmasq, "bind9": bind9}


def _written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="ascii")
    return path
