"""A connection that was found out, on its way to be cut: from who reads packets to who may change the kernel's sets.

Pure. The message is a few octets of fixed length, so that the one with privileges parses nothing of the other's making
but addresses and ports. Its connection goes into a set that the rules refuse, and out of the kernel's table of
established ones, which the rules let pass.
"""

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from blocker.egress import framing, sets
from blocker.egress.book import Pair
from blocker.egress.elements import Drop, Element, Put, concatenated
from blocker.egress.framing import attribute

SECONDS: Final = 300
"""How long a connection is refused. One that asks and waits for its answer is silent for long; no other waits with it,
since a device takes a port again only when it has gone round all others."""
_MOVED_SECONDS: Final = 60  # for QUIC that goes on from another port: its server gives up sooner
_UDP: Final = 17
_FORM: Final = struct.Struct("!BHH")  # protocol, ports of source and destination; the addresses follow
_PROTOCOLS: Final = {"tcp": 6, "udp": 17}
_DELETE: Final = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
_ACK: Final = 0x4
_NESTED: Final = 0x8000
_FAMILY: Final = struct.Struct("!BBH")  # nfgenmsg: family, version, resource
_TUPLE_ORIGINAL: Final = 1  # CTA_*
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_SOURCE: Final = {4: 1, 16: 3}  # CTA_IP_*, by octets of the address; that of the destination is one more
_NUMBER, _SOURCE_PORT, _PORT = 1, 2, 3  # CTA_PROTO_*
_FAMILIES: Final = {4: 2, 16: 10}  # AF_INET, AF_INET6
_VERSIONS: Final = {4: 4, 16: 6}


class Cut(NamedTuple):
    """One connection."""

    client: bytes  # address, 4 or 16 octets
    destination: bytes
    protocol: int
    source_port: int
    port: int


def of(client: bytes, destination: bytes, transport: str, source_port: int, port: int) -> Cut:
    """Return the connection of a sight."""
    return Cut(client, destination, _PROTOCOLS[transport], source_port, port)


def encode(cut: Cut) -> bytes:
    """Return `cut` as a message."""
    return _FORM.pack(cut.protocol, cut.source_port, cut.port) + cut.client + cut.destination


def decode(octets: bytes) -> Cut | None:
    """Return the connection in a message; None: it is none."""
    size = (len(octets) - _FORM.size) // 2
    if size not in _FAMILIES or len(octets) != _FORM.size + 2 * size:
        return None
    protocol, source_port, port = _FORM.unpack_from(octets)
    if protocol not in _PROTOCOLS.values():
        return None
    return Cut(octets[_FORM.size : -size], octets[-size:], protocol, source_port, port)


def change(cut: Cut) -> Put:
    """Return what makes the rules refuse `cut`."""
    name = sets.sized(sets.CUT, _VERSIONS[len(cut.client)])
    return Put(name, [Element(b"".join(pair(cut)), SECONDS * 1000)])


def moved(cut: Cut) -> list[Put]:
    """Return what makes the rules refuse `cut` where it goes on from another port; nothing where it cannot."""
    if cut.protocol != _UDP:
        return []
    place = concatenated(cut.client, cut.destination, cut.port.to_bytes(2))
    name = sets.sized(sets.MOVED, _VERSIONS[len(cut.client)])
    return [Put(name, [Element(place, _MOVED_SECONDS * 1000)])]


def let_go(pairs: Iterable[Pair]) -> list[Drop]:
    """Return what takes connections out of the set again."""
    keys: dict[int, list[bytes]] = {}
    for each in pairs:
        keys.setdefault(_VERSIONS[len(each.device)], []).append(b"".join(each))
    return [Drop(sets.sized(sets.CUT, version), some) for version, some in keys.items()]


def pair(cut: Cut) -> Pair:
    """Return what the rules know `cut` by: the device, and the rest of the set's key."""
    ports = cut.source_port.to_bytes(2), cut.port.to_bytes(2)
    return Pair(cut.client, concatenated(cut.destination, bytes((cut.protocol,)), *ports))


def forget(cut: Cut, sequence: int) -> bytes:
    """Return the request that takes `cut` out of the kernel's table of connections (ctnetlink)."""
    source = _SOURCE[len(cut.client)]
    addresses = attribute(source, cut.client) + attribute(source + 1, cut.destination)
    ports = attribute(_SOURCE_PORT, cut.source_port.to_bytes(2)) + attribute(_PORT, cut.port.to_bytes(2))
    protocol = attribute(_NUMBER, bytes((cut.protocol,))) + ports
    inside = attribute(_TUPLE_IP | _NESTED, addresses) + attribute(_TUPLE_PROTOCOL | _NESTED, protocol)
    family = _FAMILY.pack(_FAMILIES[len(cut.client)], 0, 0)
    wanted = attribute(_TUPLE_ORIGINAL | _NESTED, inside)
    return framing.message(_DELETE, framing.REQUEST | _ACK, sequence, family + wanted)
