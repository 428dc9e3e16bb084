"""What a primary says: SOA, AXFR (RFC 5936) and IXFR (RFC 1995) to those who may hear it, REFUSED to all others.

Packets go in, packets come out; sockets are serve/zones.py's. Who may: an address that the zone's `secondaries`
names, with a signature of the zone's key where it has one.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdataclass
import dns.rdatatype

from blocker.rpz import wire
from blocker.rpz.history import Delta, History, Version
from blocker.rpz.keys import Keyring
from blocker.rpz.wire import Reply
from blocker.wire.constants import HEADER_SIZE, QR, Rcode

Address = IPv4Address | IPv6Address

_NOTAUTH: Final = 9  # also: the signature is wrong (RFC 8945 §5.2)
UNKNOWN: Final = "unknown"  # stands for zones that we do not have: strangers cannot make labels


@dataclass(frozen=True, slots=True)
class Served:
    """One zone and who may have it."""

    name: str
    history: History
    secondaries: frozenset[Address]
    key: dns.name.Name | None


class Primary:
    """All zones that are served."""

    def __init__(self, zones: Iterable[Served], keyring: Keyring, transfers: Counter[tuple[str, str, str]]) -> None:
        """Count each transfer in `transfers`, by zone, kind and result."""
        self._zones: Mapping[dns.name.Name, Served] = {dns.name.from_text(each.name): each for each in zones}
        self._keyring = keyring
        self._transfers = transfers
        self.zones = tuple(each.name for each in self._zones.values())
        self._known = frozenset(address for each in self._zones.values() for address in each.secondaries)

    def knows(self, source: Address) -> bool:
        """Tell whether `source` may have any zone at all."""
        return source in self._known

    def over_udp(self, packet: bytes, source: Address) -> bytes | None:
        """Return the answer to a packet of `source`; None: it deserves none.

        Only the SOA fits; to an IXFR it says that there is something to fetch over TCP (RFC 1995 §2).
        """
        query = self._read(packet)
        if not isinstance(query, dns.message.Message):
            return query
        reply = Reply(query)
        zone, kind = self._zone(query, source)
        version = zone.history.current if zone else None
        if zone is None or version is None or kind not in ("soa", "ixfr"):
            self._count(zone, kind, "refused")
            return reply.message(rcode=Rcode.REFUSED)
        return reply.message(wire.soa(version.serial, version.ttl), 1)

    def over_tcp(self, packet: bytes, source: Address) -> Generator[bytes, None, None]:
        """Yield the messages of the answer to a packet of `source`."""
        query = self._read(packet)
        if not isinstance(query, dns.message.Message):
            yield from [query] if query else ()
            return
        reply = Reply(query)
        zone, kind = self._zone(query, source)
        version = zone.history.current if zone else None
        if zone is None or version is None or not kind:
            self._count(zone, kind, "refused")
            yield reply.message(rcode=Rcode.REFUSED)
            return
        steps = _steps(zone.history, version, query) if kind == "ixfr" else None
        if kind == "soa" or steps == ():
            yield reply.message(wire.soa(version.serial, version.ttl), 1)
            return
        records = _full(version) if steps is None else _changes(version, steps)
        result = "failed"
        try:
            yield from reply.messages(records)
            result = "success"
        finally:
            self._count(zone, "axfr" if steps is None else "ixfr", result)

    def _read(self, packet: bytes) -> dns.message.Message | bytes | None:
        """Return the query in `packet`; else what to reply: nothing, if that is no query at all."""
        if len(packet) < HEADER_SIZE or packet[2] & QR >> 8:
            return None
        try:
            query = dns.message.from_wire(packet, keyring=dict(self._keyring))
        except dns.exception.DNSException as error:
            signed = isinstance(error, dns.message.UnknownTSIGKey) or type(error).__module__ == "dns.tsig"
            self._count(None, "unreadable", "refused")
            return _header(packet, _NOTAUTH if signed else Rcode.FORMERR)
        except Exception:  # noqa: BLE001 a stranger's octets: whatever the parser trips over, it was no query
            self._count(None, "unreadable", "refused")
            return _header(packet, Rcode.FORMERR)
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            return _header(packet, Rcode.NOTIMP)
        return query

    def _zone(self, query: dns.message.Message, source: Address) -> tuple[Served | None, str]:
        """Return the zone that `query` may have, and what of it is wanted."""
        question = query.question[0]
        kind = _KINDS.get(question.rdtype, "") if question.rdclass == dns.rdataclass.IN else ""
        zone = self._zones.get(question.name)
        if zone is None or source not in zone.secondaries:
            return None, kind
        if zone.key is not None and not (query.had_tsig and query.keyname == zone.key):
            return None, kind
        return zone, kind

    def _count(self, zone: Served | None, kind: str, result: str) -> None:
        self._transfers[zone.name if zone else UNKNOWN, kind or "other", result] += 1


_KINDS: Final = {dns.rdatatype.SOA: "soa", dns.rdatatype.AXFR: "axfr", dns.rdatatype.IXFR: "ixfr"}


def _header(packet: bytes, rcode: int) -> bytes:
    """Return a reply that repeats nothing of a packet that cannot be trusted."""
    flags = QR | int.from_bytes(packet[2:4]) & 0x7900 | rcode
    return packet[:2] + flags.to_bytes(2) + bytes(8)


def _steps(history: History, version: Version, query: dns.message.Message) -> tuple[Delta, ...] | None:
    """Return what the asker of an IXFR lacks; nothing: it is up to date; None: a full transfer is due."""
    sent = [rdata.serial for rrset in query.authority for rdata in rrset if rrset.rdtype == dns.rdatatype.SOA]
    if not sent:
        return None
    if sent[0] == version.serial or (sent[0] - version.serial) & 0xFFFFFFFF < 1 << 31:  # the same, or newer (RFC 1982)
        return ()
    steps = history.since(sent[0])
    try:
        if steps is None or sum(step.path.stat().st_size for step in steps) > version.path.stat().st_size:
            return None
    except OSError:  # a step was dropped this moment
        return None
    return steps


def _full(version: Version) -> Iterator[bytes]:
    soa = wire.soa(version.serial, version.ttl)
    yield soa
    yield wire.ns(version.ttl)
    yield from map(wire.encoder(version.ttl), version.lines())
    yield soa


def _changes(version: Version, steps: Iterable[Delta]) -> Iterator[bytes]:
    """Yield each step as RFC 1995 §4 has it: the old SOA, what went, the new SOA, what came."""
    encode = wire.encoder(version.ttl)
    newest = wire.soa(version.serial, version.ttl)
    yield newest
    for step in steps:
        yield wire.soa(step.old, version.ttl)
        came = False
        for line in step.lines():
            if line.startswith("+") and not came:
                came = True
                yield wire.soa(step.new, version.ttl)
            yield encode(line[1:])
        if not came:
            yield wire.soa(step.new, version.ttl)
    yield newest
