"""Reads the question in a message to a resolver, over UDP or over TCP (RFC 1035 §4.2).

Pure. `wire/query.parse_query` does the reading; here its errors become an Unread.
"""

from blocker.egress.hello.seen import MORE, OTHER, Unread
from blocker.errors import WireError
from blocker.wire.query import Query, parse_query


def read(message: bytes) -> Query | Unread:
    """Return the query that is `message`."""
    try:
        return parse_query(message)
    except WireError:
        return OTHER


def read_stream(stream: bytes) -> Query | Unread:
    """Return the first query of a TCP stream: two octets of length come before it."""
    if len(stream) < 2:
        return MORE
    end = length(stream)
    return read(stream[2:end]) if len(stream) >= end else MORE


def length(stream: bytes) -> int:
    """Return how many octets of a TCP stream the first message takes."""
    return 2 + int.from_bytes(stream[:2])
