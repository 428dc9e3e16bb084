"""Recognises mmtls, WeChat's own transport: its records, and the requests that carry them inside plain HTTP.

Pure. A record is: kind (0x14 to 0x17 as in TLS, 0x19 a handshake with early data), version f1 03 or f1 04, two
octets of length. Source: citizenlab/wechat-security-report 8c6d1f9, docs/mmtls-network-format.md, and its capture.
"""

from typing import Final

from blocker.egress.hello.seen import MORE, OTHER, Record, Request, Unread

KINDS: Final = frozenset((0x14, 0x15, 0x16, 0x17, 0x19))
_HANDSHAKES: Final = (0x16, 0x19)
_SERVER_HELLO: Final = b"\x02\x03\xf1"  # its kind and a constant; a ClientHello has 01 03 f1
_RECORD_HEAD: Final = 5  # octets
_HELLO_AT: Final = 9  # behind the record's head and the length of the section
_PATHS: Final = (b"/mmtls/", b"/cgi-bin/micromsg-bin/")  # the short link; the name service and what preceded it


def read(stream: bytes) -> Record | Unread:
    """Return the record that `stream` begins with."""
    if stream and stream[0] not in KINDS:
        return OTHER
    if len(stream) >= 2 and stream[1] != 0xF1:
        return OTHER
    if len(stream) >= 3 and stream[2] not in (3, 4):
        return OTHER
    if len(stream) < _RECORD_HEAD:
        return MORE
    if not stream[3] and not stream[4]:
        return OTHER
    from_server = stream[0] in _HANDSHAKES and stream[_HELLO_AT : _HELLO_AT + 3] == _SERVER_HELLO
    return Record(stream[0], stream[1] << 8 | stream[2], from_server)


def is_sure(record: Record, stream: bytes) -> bool:
    """Tell whether `stream` cannot but be mmtls, wherever it was found: its `record` fills it, or is a handshake."""
    whole = len(stream) == _RECORD_HEAD + (stream[3] << 8 | stream[4])
    return whole or (record.kind in _HANDSHAKES and stream[_HELLO_AT + 1 : _HELLO_AT + 3] == _SERVER_HELLO[1:])


def is_carried_by(request: Request) -> bool:
    """Tell whether `request` carries mmtls, or asks WeChat's own name service."""
    return request.path.startswith(_PATHS) or request.upgrade == b"mmtls"
