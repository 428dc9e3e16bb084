"""What one exchange knows of itself."""

import pytest

from blocker.exchange import TCP, UDP, Exchange
from blocker.policy import Policy
from blocker.wire.query import parse_query
from tests.oracle import ask


@pytest.mark.parametrize(
    ("transport", "edns", "size", "limit"),
    [
        (UDP, False, 0, 512),  # RFC 1035 §4.2.1
        (UDP, True, 100, 512),  # RFC 6891 §6.2.3: less counts as 512
        (UDP, True, 800, 800),
        (UDP, True, 4096, 1232),
        (TCP, False, 0, 65535),
        (TCP, True, 800, 65535),
    ],
)
def test_how_much_the_client_may_be_sent(transport, edns, size, limit):
    exchange = Exchange(Policy("", {}), b"\x0a\0\0\1", transport, 0.0)
    assert exchange.limit(parse_query(ask("a.example", edns=edns, size=size))) == limit
