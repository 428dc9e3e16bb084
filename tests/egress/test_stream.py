import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.egress.hello.seen import LIMIT
from blocker.egress.stream import Stream

TEXT = bytes(range(200))


@pytest.mark.parametrize(("segments", "together"), [
    ([(0, 50), (50, 200)], TEXT),
    ([(50, 200), (0, 50)], TEXT),  # the second overtook the first
    ([(100, 150), (150, 200), (0, 50), (50, 100)], TEXT),
    ([(0, 50), (0, 50), (50, 200)], TEXT),  # sent again
    ([(0, 120), (80, 200)], TEXT),  # sent again, with more
    ([(0, 50), (60, 200)], TEXT[:50]),  # one is missing
    ([(60, 200)], b""),
])  # fmt: skip
@pytest.mark.parametrize("base", [1, (1 << 32) - 70])  # numbers run round in the middle of it
def test_segments(segments, together, base):
    stream = Stream(base)
    for start, end in segments:
        stream.feed((base + start) % (1 << 32), TEXT[start:end])
    assert stream.data == together


def test_a_keep_alive_before_the_beginning_adds_nothing():
    stream = Stream(1000)
    assert not stream.feed(999, b"x")
    assert stream.feed(999, b"xhello")
    assert stream.data == b"hello"


def test_the_first_word_on_an_octet_counts():
    stream = Stream(0)
    stream.feed(0, b"hello")
    stream.feed(2, b"XXXXX")
    assert stream.data == b"helloXX"


def test_no_more_is_kept_than_anybody_reads():
    stream = Stream(0)
    for at in range(0, 4 * LIMIT, 1000):
        stream.feed(at, bytes(1000))
    assert len(stream.data) == LIMIT
    ahead = Stream(0)
    for at in range(10, 4 * LIMIT, 10):
        ahead.feed(at, bytes(9))
    assert len(ahead._ahead) <= 64


@given(st.permutations(range(20)))
def test_any_order_gives_the_same(order):
    stream = Stream(5)
    for number in order:
        stream.feed(5 + number * 10, TEXT[number * 10 : number * 10 + 10])
    assert stream.data == TEXT
