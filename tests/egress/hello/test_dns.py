import pytest

from blocker import names
from blocker.egress.hello import dns
from blocker.egress.hello.seen import MORE, OTHER

QUERY = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\6TikTok\3com\0\0\1\0\1"
FRAMED = len(QUERY).to_bytes(2) + QUERY


def test_a_query_is_read_over_either_transport():
    assert dns.read(QUERY).qname == dns.read_stream(FRAMED + b"more").qname == names.from_text("tiktok.com")


def test_every_shorter_stream_needs_more():
    assert {dns.read_stream(FRAMED[:end]) for end in range(len(FRAMED))} == {MORE}


@pytest.mark.parametrize("message", [b"", QUERY[:-1], QUERY[:2] + b"\x81\x80" + QUERY[4:], QUERY + b"x"])
def test_what_is_no_query(message):
    assert dns.read(message) is OTHER
    assert dns.read_stream(len(message).to_bytes(2) + message) is OTHER
