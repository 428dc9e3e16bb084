"""Takes a captured frame apart: link, IP, TCP or UDP. Pure: any octets become a Packet, a Fragment of one, or None.

Our own, because it runs for every packet that a capture brings: 1 us, where scapy takes 100. What it does not know,
tunnels and rare link layers, the observation process leaves to scapy (egress/rare.py).
"""

from struct import Struct
from typing import Final, NamedTuple

TCP: Final = 6
UDP: Final = 17

SYN: Final = 0x02  # flags
ACK: Final = 0x10
_URG: Final = 0x20

ETHERNET: Final = 1  # link types, as libpcap numbers them
RAW: Final = 101  # an IP packet, no link layer
COOKED: Final = 113  # Linux "any"
COOKED_2: Final = 276
NULL: Final = 0  # loopback of BSD: four octets
_LINK_HEADS: Final = {ETHERNET: (12, 14), COOKED: (14, 16), COOKED_2: (0, 20)}  # where the ethertype is; octets of all

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_VLANS: Final = frozenset((0x8100, 0x88A8, 0x9100))
_MAX_TAGS: Final = 3
_EXTENSIONS: Final = frozenset((0, 43, 60))  # hop by hop, routing, destination options
_FRAGMENT: Final = 44
_MAX_EXTENSIONS: Final = 64
_MORE_4: Final = 0x20  # more fragments follow
_MORE_6: Final = 0x01
_MAX_PACKET: Final = 65_535  # octets
_TCP_HEAD: Final = Struct("!HHIIBBHHH")
_UDP_HEAD: Final = Struct("!HHH")


class Packet(NamedTuple):
    """One TCP or UDP packet, as far as anybody looks."""

    key: bytes  # source, destination, both ports, the protocol: which direction of which connection
    source: bytes  # address, 4 or 16 octets
    destination: bytes
    protocol: int  # TCP or UDP
    source_port: int
    port: int  # of the destination
    flags: int  # TCP's
    sequence: int
    payload: bytes
    urgent: int = -1  # which octet of the payload, or of what follows it, is out of band; -1: none


class Fragment(NamedTuple):
    """A piece of an IP packet; fragments.py puts them together."""

    key: bytes  # source, destination, number, and for IPv4 the protocol: which packet it is a piece of
    addresses: bytes  # source, destination
    kind: int  # what the packet holds: a protocol, for IPv6 perhaps an extension header
    offset: int  # octets
    more: bool  # it is not the last
    data: bytes

    @property
    def source(self) -> bytes:
        """The address that it comes from."""
        return self.addresses[: len(self.addresses) // 2]


def read(frame: bytes, link: int = ETHERNET) -> Packet | Fragment | None:
    """Return the packet in `frame`, or the piece of one; None: it is neither TCP nor UDP, or is cut off."""
    if link == RAW:
        return read_ip(frame, 0)
    if link == NULL:
        return read_ip(frame, 4)
    place = _LINK_HEADS.get(link)
    if place is None:
        return None
    at, start = place
    if len(frame) < start + 20:
        return None
    kind = frame[at] << 8 | frame[at + 1]
    tags = 0
    while kind in _VLANS:
        tags += 1
        if tags > _MAX_TAGS or len(frame) < start + 4:
            return None
        kind = frame[start + 2] << 8 | frame[start + 3]
        start += 4
    return read_ip(frame, start) if kind == _IPV4 or kind == _IPV6 else None


def read_ip(frame: bytes, at: int) -> Packet | Fragment | None:
    """Return the packet whose IP header is at offset `at`, as `read` does."""
    if len(frame) < at + 20:
        return None
    version = frame[at] >> 4
    if version == 4:
        start = at + (frame[at] & 0x0F) * 4
        size = frame[at + 2] << 8 | frame[at + 3]
        end = at + size if size else len(frame)  # 0: the card will cut it into packets (offloading)
        addresses, kind = frame[at + 12 : at + 20], frame[at + 9]
        if start < at + 20:
            return None
        if (more := frame[at + 6] & _MORE_4) or (frame[at + 6] & 0x1F) or frame[at + 7]:
            key = addresses + frame[at + 4 : at + 6] + bytes((kind,))
            offset = (frame[at + 6] & 0x1F) << 11 | frame[at + 7] << 3
            return _piece(key, addresses, kind, offset, more, frame[start:end], end - start)
        return _transport(frame, start, min(end, len(frame)), kind, addresses)
    if version == 6 and len(frame) >= at + 40:
        size = frame[at + 4] << 8 | frame[at + 5]
        end = at + 40 + size if size else len(frame)
        return _behind_extensions(frame, frame[at + 6], at + 40, end, frame[at + 8 : at + 40])
    return None


def joined(piece: Fragment, data: bytes) -> Packet | None:
    """Return the packet that `piece` is one of, `data` being what all of them hold."""
    if len(piece.addresses) == 8:
        return _transport(data, 0, len(data), piece.kind, piece.addresses)
    found = _behind_extensions(data, piece.kind, 0, len(data), piece.addresses)
    return found if isinstance(found, Packet) else None  # a fragment of a fragment is nothing that anybody takes


def _behind_extensions(frame: bytes, kind: int, at: int, end: int, addresses: bytes) -> Packet | Fragment | None:
    """Return what stands behind the extension headers of IPv6 (RFC 8200 §4)."""
    there = min(end, len(frame))
    for _ in range(_MAX_EXTENSIONS):
        if kind in _EXTENSIONS and at + 8 <= there:
            kind, at = frame[at], at + 8 + frame[at + 1] * 8
        elif kind == _FRAGMENT and at + 8 <= there:
            offset, more = frame[at + 2] << 8 | frame[at + 3] & 0xF8, frame[at + 3] & _MORE_6
            if offset or more:
                key = addresses + frame[at + 4 : at + 8]
                return _piece(key, addresses, frame[at], offset, more, frame[at + 8 : end], end - at - 8)
            kind, at = frame[at], at + 8  # a fragment that is the whole (RFC 6946)
        else:
            return _transport(frame, at, there, kind, addresses)
    return None


def _piece(key: bytes, addresses: bytes, kind: int, offset: int, more: int, data: bytes, size: int) -> Fragment | None:
    """Return a fragment of `size` octets; None where they are not all there, or no sender would make it."""
    if not data or len(data) != size or offset + size > _MAX_PACKET or (more and size % 8):
        return None
    return Fragment(key, addresses, kind, offset, bool(more), data)


def _transport(frame: bytes, at: int, end: int, protocol: int, addresses: bytes) -> Packet | None:
    half = len(addresses) // 2
    urgent = -1
    if protocol == TCP and end >= at + 20:
        source, port, sequence, _, offset, flags, _, _, pointer = _TCP_HEAD.unpack_from(frame, at)
        start = at + (offset >> 4) * 4
        if start < at + 20:
            return None
        payload = frame[start:end]
        if flags & _URG:  # it points behind the octet, as everybody has it (RFC 6093)
            urgent = max(0, pointer - 1)
    elif protocol == UDP and end >= at + 8:
        source, port, size = _UDP_HEAD.unpack_from(frame, at)
        flags = sequence = 0
        payload = frame[at + 8 : min(end, at + size) if size else end]
    else:
        return None
    key = addresses + frame[at : at + 4] + bytes((protocol,))
    return Packet(key, addresses[:half], addresses[half:], protocol, source, port, flags, sequence, payload, urgent)
