"""Reads a TLS ClientHello: the server name, and whether it is encrypted (RFC 8446 §4.1.2, §5.1).

Pure. Takes the octets of a stream in order, from the first on; whoever calls puts segments together
(egress/stream.py). Records that cut the message into pieces are put together here.
"""

import struct
from collections.abc import Iterator
from struct import Struct
from typing import Final

from blocker.egress.hello.seen import LIMIT, MORE, OTHER, Hello, Unread, host
from blocker.names import Name

HANDSHAKE: Final = 0x16  # content type
_CLIENT_HELLO: Final = 1
_RECORD_HEAD: Final = 5
_MAX_RECORD: Final = 16_384  # octets of one plaintext record
_FIXED: Final = 34  # octets: legacy_version and random
_SERVER_NAME: Final = 0
_ALPN: Final = 16
_ECH: Final = 0xFE0D  # RFC 9849
_MAX_EXTENSIONS: Final = 256  # looked at; browsers send about 20
_MAX_NAMES: Final = 8
_PAIR: Final = Struct("!HH")


def read(stream: bytes, *, early: bool = False) -> Hello | Unread:
    """Return the ClientHello that `stream` begins with; if `early`, as soon as its server name has come.

    Who only looks need not wait for a segment that adds nothing, and may never see it. One that says it is longer than
    anybody keeps (LIMIT) is read early in any case, so that padding hides no name.
    """
    if len(stream) >= 2 and stream[:2] != b"\x16\x03":
        return OTHER
    message = bytearray()
    at = 0
    sound = True
    while sound and len(stream) >= at + _RECORD_HEAD:
        size = stream[at + 3] << 8 | stream[at + 4]
        sound = stream[at] == HANDSHAKE and stream[at + 1] == 3 and size <= _MAX_RECORD  # servers pass over empty ones
        if sound:
            at += _RECORD_HEAD
            message += stream[at : at + size]
            at += size
    found = read_message(bytes(message), early=early)
    over = not sound or stream[at : at + 1] not in (b"", b"\x16") or len(stream) >= LIMIT
    return OTHER if found is MORE and over else found


def read_message(message: bytes, *, early: bool = False) -> Hello | Unread:
    """Return the ClientHello in the handshake messages that begin with `message`, without record heads, as `read`."""
    if message and message[0] != _CLIENT_HELLO:
        return OTHER
    if len(message) < 4:
        return MORE
    end = 4 + (message[1] << 16 | message[2] << 8 | message[3])
    whole = len(message) >= end
    if not whole and not early and end <= LIMIT:
        return MORE
    try:
        hello = _hello(message, end)
    except (IndexError, struct.error):  # something in it ends behind its end
        hello = None
    if whole:
        return hello or OTHER
    if hello is not None and hello.name is not None:
        return hello
    return MORE if end <= LIMIT or len(message) < LIMIT else OTHER


def _hello(message: bytes, end: int) -> Hello | None:
    """Read what is there of a ClientHello that ends at `end`; None: it contradicts itself. Raises IndexError."""
    at = 4 + _FIXED
    at += 1 + message[at]  # session id
    at += 2 + (message[at] << 8 | message[at + 1])  # cipher suites
    at += 1 + message[at]  # compression methods
    if at == end:  # no extensions at all: allowed before TLS 1.3
        return Hello(None)
    behind = at + 2 + (message[at] << 8 | message[at + 1])
    if behind > end:
        return None
    at += 2
    there = min(behind, len(message))
    found: list[Name] = []
    ech = False
    alpn: tuple[bytes, ...] = ()
    for _ in range(_MAX_EXTENSIONS):
        if at + 4 > there:
            break
        kind, size = _PAIR.unpack_from(message, at)
        at += 4
        if at + size > behind:
            return None
        if kind == _SERVER_NAME:
            found += _server_names(message[at : at + size])
        elif kind == _ECH:
            ech = True
        elif kind == _ALPN:
            alpn = _protocols(message[at : at + size])
        at += size
    if len(message) >= end and at != behind:
        return None
    name, *more = dict.fromkeys(found) or (None,)
    return Hello(name, ech, alpn, tuple(more))


def _server_names(data: bytes) -> Iterator[Name]:
    """Yield the sound host names of a server name list (RFC 6066 §3), which should be one."""
    at = 2
    for _ in range(_MAX_NAMES):
        if at + 3 > len(data):
            return
        kind, size = data[at], data[at + 1] << 8 | data[at + 2]
        at += 3
        if kind == 0 and at + size <= len(data) and (name := host(data[at : at + size])) is not None:
            yield name
        at += size


def _protocols(data: bytes) -> tuple[bytes, ...]:
    found: list[bytes] = []
    at = 2
    while at < len(data) and len(found) < 8:
        found.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return tuple(found)
