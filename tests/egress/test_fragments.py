"""Packets that come in pieces are whole again, however the pieces come; nobody's pieces take another's room."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, fragment6

from blocker.egress import fragments, packets
from blocker.egress.fragments import Fragments
from blocker.egress.packets import Fragment
from tests.egress.hello import messages
from tests.egress.wire import DEVICE, DEVICE_6, LINK, SERVER, SERVER_6

HELLO = messages.client_hello()
LONG = HELLO * 3
SEGMENT = TCP(sport=40000, dport=443, flags="PA", seq=7) / LONG
DATAGRAM = UDP(sport=40000, dport=443) / LONG
V4 = IP(src=DEVICE, dst=SERVER, id=9)
V6 = IPv6(src=DEVICE_6, dst=SERVER_6)


def in_pieces(head, inside, size=256):
    if head is V4:
        cut = fragment(head / inside, fragsize=size)
    else:
        cut = fragment6(head / IPv6ExtHdrFragment(id=5) / inside, size + 48)
    return [packets.read(bytes(LINK / each)) for each in cut]


def taken(pieces, now=0.0):
    whole = Fragments()
    return [packet for each in pieces for packet in whole.take(each, now)]


def piece(offset, data, more=True, key=b"one", source=b"\xc0\0\2\x09"):
    return Fragment(source + key, source + bytes(4), 17, offset, more, data)


@pytest.mark.parametrize("head", [V4, V6])
@pytest.mark.parametrize("inside", [SEGMENT, DATAGRAM])
@pytest.mark.parametrize("size", [8, 64, 1000])
def test_in_order_in_disorder_and_twice(head, inside, size):
    pieces = in_pieces(head, inside, size)
    assert len(pieces) > 1
    whole = packets.read(bytes(LINK / head / inside))
    assert taken(pieces) == taken(reversed(pieces)) == taken(pieces[:1] + pieces) == [whole]
    assert whole.payload == LONG
    random.Random(1).shuffle(pieces)
    assert taken(pieces) == [whole]
    assert taken(pieces[1:]) == []


def test_extension_headers_may_lie_behind_the_border():
    pieces = in_pieces(V6, IPv6ExtHdrDestOpt(options=[]) / IPv6ExtHdrDestOpt() / SEGMENT, 8)
    assert [packet.payload for packet in taken(pieces)] == [LONG]


def test_a_fragment_of_a_fragment_is_nothing():
    assert taken(in_pieces(V6, IPv6ExtHdrFragment(id=1, offset=0, m=1) / SEGMENT)) == []


HEAD = b"\x9c\x40\1\xbb\0\x18\0\0"  # of a datagram with 16 octets


@pytest.mark.parametrize(("pieces", "found"), [
    ([piece(0, HEAD), piece(8, b"hellohellohello!", more=False)], {b"hellohellohello!"}),
    # Overlapping in part: refused, and the rest is not enough (RFC 5722).
    ([piece(0, HEAD + b"helloooo"), piece(8, b"XXXXXXXXhello!!!", more=False)], set()),
    ([piece(8, b"hellohellohello!", more=False), piece(0, HEAD + b"XXXXXXXX")], set()),
    # Behind the end, or another end.
    ([piece(8, b"hellohello", more=False), piece(24, b"hello", more=False), piece(0, HEAD)], set()),
    ([piece(16, b"XXXXXXXX"), piece(8, b"hello", more=False), piece(0, HEAD)], set()),
    # The same place, other content: nobody knows whose word counts.
    ([piece(0, HEAD), piece(8, b"decoy..."), piece(8, b"thetruth"), piece(16, b"!", more=False)],
     {b"decoy...!", b"thetruth!"}),
    # What was refused does not stand in the way of what comes next.
    ([piece(0, HEAD + b"helloooo"), piece(8, b"XXXXXXXXhello!!!"), piece(8, b"hello", more=False), piece(0, HEAD)],
     {b"hello"}),
])  # fmt: skip
def test_pieces_that_overlap(pieces, found):
    assert {packet.payload for packet in taken(pieces)} == found


def test_time_is_up_after_a_minute():
    for now, found in ((59.0, 1), (61.0, 0)):
        whole = Fragments()
        whole.take(piece(0, HEAD), 0.0)
        assert len(whole.take(piece(8, b"hello", more=False), now)) == found
        assert whole.lost == 1 - found


def test_who_floods_loses_its_own_and_nobody_elses():
    whole = Fragments()
    whole.take(piece(0, HEAD), 0.0)
    for number in range(3000):
        whole.take(piece(65_000, b"x" * 8, key=b"%d" % number, source=b"\xc0\0\2\x66"), 0.0)
    assert whole._held <= fragments._OCTETS + 8
    assert len(whole._senders[b"\xc0\0\2\x66"].packets) <= fragments._PACKETS
    assert whole.lost == 3000 - len(whole._senders[b"\xc0\0\2\x66"].packets)
    assert [packet.payload for packet in whole.take(piece(8, b"hello", more=False), 0.0)] == [b"hello"]


def test_memory_for_all_is_bounded():
    whole = Fragments()
    most = 0
    for number in range(40_000):
        whole.take(piece(8 * (number % 999), b"x" * 8, source=number.to_bytes(4)), 0.0)
        most = max(most, whole._held, len(whole._senders))
    assert most <= fragments._ALL_OCTETS
    assert len(whole._senders) <= fragments._SENDERS
    assert whole.lost + len(whole._senders) == 40_000
    whole.take(piece(0, b"x" * 8), 100.0)
    assert (len(whole._senders), whole._held) == (1, 8)


edits = st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=3)), max_size=3)


@given(st.lists(st.tuples(st.integers(0, 9), edits), max_size=12), st.sampled_from([V4, V6]))
def test_no_pieces_make_it_raise(chosen, head):
    whole = Fragments()
    frames = [bytes(each) for each in (fragment(V4 / DATAGRAM, 200) if head is V4 else fragment6(
        V6 / IPv6ExtHdrFragment(id=5) / DATAGRAM, 248))]  # fmt: skip
    for number, changes in chosen:
        hostile = bytearray(frames[number % len(frames)])
        for at, octets in changes:
            hostile[at : at + len(octets)] = octets
        if isinstance(found := packets.read(bytes(hostile), packets.RAW), Fragment):
            assert len(whole.take(found, 0.0)) <= 8
