"""Says what a TCP stream begins with. Pure: picks the one reader whose first octets fit."""

from blocker.egress.hello import http, mmtls, tls
from blocker.egress.hello.seen import MORE, OTHER, Hello, Record, Request, Unread


def read(stream: bytes, *, early: bool = False) -> Hello | Request | Record | Unread:
    """Return what `stream`, in order from its first octet on, begins with; a ClientHello as `tls.read` does."""
    if len(stream) < 2:
        return MORE
    first = stream[0]
    if stream[1] == 0xF1:
        return mmtls.read(stream)
    if first == tls.HANDSHAKE:
        return tls.read(stream, early=early)
    if 0x41 <= first <= 0x5A or first == 0x0D or first == 0x0A:  # a capital letter, or an empty line before one
        return http.read(stream)
    return OTHER
