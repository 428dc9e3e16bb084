"""dnstap: what clients asked, and what they were told."""

import io
import struct

import pytest
from dnslib import AAAA, CNAME, RR, A, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from blocker.simulate.logs import dnstap
from blocker.simulate.logs.record import Query, Tally
from tests.simulate.logs.formats import AT
from tests.simulate.logs.test_framestream import START, STOP, frame

SECOND = 1795469871


def varint(value):
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def field(number, value):
    """Return a field: octets, or a number as a varint."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def tapped(kind, wire, *, client=b"\xc0\x00\x02\x05", when=SECOND):
    asked = kind in (5, 7)
    message = field(1, kind) + (field(4, client) if client else b"") + field(8 if asked else 12, when)
    message += varint((9 if asked else 13) << 3 | 5) + struct.pack("<L", 0) + field(10 if asked else 14, wire)
    return frame(field(1, b"identity") + field(14, message) + field(15, 1))


def read(*frames):
    tally = Tally("tap")
    return [
        query for batch in dnstap.read(io.BytesIO(START + b"".join(frames) + STOP), tally) for query in batch
    ], tally


def reply():
    told = DNSRecord.question("www.TikTok.example", "A").reply()
    told.add_answer(RR("www.TikTok.example", 5, ttl=60, rdata=CNAME("edge.example.net")))
    told.add_answer(RR("edge.example.net", 1, ttl=60, rdata=A("203.0.113.9")))
    return bytes(told.pack())


ASKED = bytes(DNSRecord.question("www.TikTok.example", "AAAA").pack())


@pytest.mark.parametrize(("frames", "found"), [
    ([tapped(5, ASKED)], [Query(AT, "192.0.2.5", "www.tiktok.example", "AAAA")]),
    ([tapped(5, ASKED, client=bytes(15) + b"\1")], [Query(AT, "::1", "www.tiktok.example", "AAAA")]),
    ([tapped(6, reply())], [Query(AT, "192.0.2.5", "www.tiktok.example", "A", "edge.example.net 203.0.113.9")]),
    ([tapped(7, ASKED), tapped(5, ASKED), tapped(6, reply())],  # a forwarder's query is no client's; each counts once
     [Query(AT, "192.0.2.5", "www.tiktok.example", "AAAA")]),
])  # fmt: skip
def test_messages(frames, found):
    assert read(*frames)[0] == found


@pytest.mark.parametrize(("bad", "why"), [
    (tapped(5, ASKED, client=b"abc"), "no client's address"),
    (tapped(5, ASKED[:20]), "the question is cut short"),
    (tapped(5, ASKED[:4] + b"\0\2" + ASKED[6:]), "not a DNS message with one question"),
    (tapped(5, ASKED[:12] + b"\xc0\x0c" + ASKED[14:]), "a compressed name in the question"),
    (tapped(5, ASKED, when=1 << 62), "is not a unix time"),
    (frame(b"\xff"), "it ends inside a number"),
])  # fmt: skip
def test_bad_frames_stop_nothing(bad, why):
    found, tally = read(bad, tapped(5, ASKED))
    assert (len(found), tally.bad) == (1, 1)
    assert tally.examples[0].startswith("tap:1: frame: ")
    assert why in tally.examples[0]


def test_a_malformed_answer_still_was_a_query():
    found, _ = read(tapped(6, reply()[:-3]))
    assert found == [Query(AT, "192.0.2.5", "www.tiktok.example", "A")]


def test_addresses_of_both_kinds():
    told = DNSRecord.question("a.example", "AAAA").reply()
    told.add_answer(RR("a.example", 28, ttl=60, rdata=AAAA("2001:db8::9")))
    assert read(tapped(6, bytes(told.pack())))[0][0].via == "2001:db8::9"


@given(st.lists(st.binary(max_size=120), max_size=5), st.integers(0, 400), st.binary(max_size=8))
def test_any_octets(frames, at, octets):
    whole = b"".join([tapped(6, reply()), *map(frame, frames), tapped(5, ASKED)])
    found, tally = read(whole[:at] + octets + whole[at + len(octets) :])
    assert all(query.qname.isprintable() and " " not in query.qname for query in found)
    assert tally.queries == len(found)
