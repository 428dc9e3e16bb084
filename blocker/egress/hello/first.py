"""Says what a TCP stream begins with. Pure: picks the one reader whose first octets fit."""

from blocker.egress.hello import http, mmtls, tls
from blocker.egress.hello.seen import MORE, OTHER, Hello, Record, Request, Unread


def is_beginning(octets: bytes) -> bool:
    """Tell whether `octets` cannot but begin a hello, a request or mmtls, wherever in a connection they were found.

    Connections turn to TLS when much else was said (STARTTLS), carry others (CONNECT, SOCKS), and one request after the
    other. What is encrypted looks so once in some million segments, and then does not read as a hello.
    """
    if octets[1:2] == b"\xf1":
        return isinstance(found := mmtls.read(octets), Record) and mmtls.is_sure(found, octets)
    if octets[:2] == b"\x16\x03":
        return octets[3:5] == b"\0\0" or octets[5:6] == b"\1"
    return http.is_request(octets)


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
