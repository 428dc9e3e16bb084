"""Takes a captured frame apart: link, IP, TCP or UDP. Pure: any octets become a Packet or None.

Our own, because it runs for every packet that a capture brings: 1 us, where scapy takes 100. What it does not know,
tunnels and rare link layers, the observation process leaves to scapy (egress/rare.py).
"""

from struct import Struct
from typing import Final, NamedTuple

TCP: Final = 6
UDP: Final = 17

SYN: Final = 0x02  # flags
ACK: Final = 0x10

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
_MAX_EXTENSIONS: Final = 8
_TCP_HEAD: Final = Struct("!HHIIBB")
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


def read(frame: bytes, link: int = ETHERNET) -> Packet | None:
    """Return the packet in `frame`; None: it is neither TCP nor UDP, is cut off, or is a later fragment."""
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


def read_ip(frame: bytes, at: int) -> Packet | None:
    """Return the packet whose IP header is at offset `at`."""
    if len(frame) < at + 20:
        return None
    version = frame[at] >> 4
    if version == 4:
        start = at + (frame[at] & 0x0F) * 4
        size = frame[at + 2] << 8 | frame[at + 3]
        end = at + size if size else len(frame)  # 0: the card will cut it into packets (offloading)
        if start < at + 20 or (frame[at + 6] & 0x1F) or frame[at + 7]:  # a later fragment has no ports
            return None
        return _transport(frame, start, min(end, len(frame)), frame[at + 9], frame[at + 12 : at + 20])
    if version == 6 and len(frame) >= at + 40:
        size = frame[at + 4] << 8 | frame[at + 5]
        end = min(at + 40 + size if size else len(frame), len(frame))
        found = _behind_extensions(frame, frame[at + 6], at + 40, end)
        return None if found is None else _transport(frame, found[1], end, found[0], frame[at + 8 : at + 40])
    return None


def _behind_extensions(frame: bytes, kind: int, at: int, end: int) -> tuple[int, int] | None:
    """Return the protocol behind IPv6 extension headers, and where it begins (RFC 8200 §4)."""
    for _ in range(_MAX_EXTENSIONS):
        if kind in _EXTENSIONS and at + 8 <= end:
            kind, at = frame[at], at + 8 + frame[at + 1] * 8
        elif kind == _FRAGMENT and at + 8 <= end:
            if frame[at + 2] or frame[at + 3] & 0xF8:
                return None
            kind, at = frame[at], at + 8
        else:
            return kind, at
    return None


def _transport(frame: bytes, at: int, end: int, protocol: int, addresses: bytes) -> Packet | None:
    half = len(addresses) // 2
    if protocol == TCP and end >= at + 20:
        source, port, sequence, _, offset, flags = _TCP_HEAD.unpack_from(frame, at)
        start = at + (offset >> 4) * 4
        if start < at + 20:
            return None
        payload = frame[start:end]
    elif protocol == UDP and end >= at + 8:
        source, port, size = _UDP_HEAD.unpack_from(frame, at)
        flags = sequence = 0
        payload = frame[at + 8 : min(end, at + size) if size else end]
    else:
        return None
    key = addresses + frame[at : at + 4] + bytes((protocol,))
    return Packet(key, addresses[:half], addresses[half:], protocol, source, port, flags, sequence, payload)
