import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.egress.hello.seen import LIMIT
from blocker.egress.stream import Stream

TEXT = bytes(range(200))


def every(stream):
    """Return what is there in every way to read it."""
    stream._shifted = True
    return stream.news()


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
    assert list(every(stream)) == [together]


def test_a_keep_alive_before_the_beginning_adds_nothing():
    stream = Stream(1000)
    assert not stream.feed(999, b"x")
    assert stream.feed(999, b"xhello")
    assert list(every(stream)) == [b"hello"]


def test_nobody_knows_which_word_on_an_octet_counts():
    stream = Stream(0)
    stream.feed(0, b"hello")
    assert stream.feed(2, b"XXXXX")
    assert list(every(stream)) == [b"helloXX", b"heXXXXX"]


@pytest.mark.parametrize("segments", [
    [(1000, b"heX", 2), (1003, b"llo", -1)],
    [(1003, b"llo", -1), (1000, b"heX", 2)],
    [(998, b"..heX", 4), (1003, b"llo", -1), (1000, b"heX", 2)],
])  # fmt: skip
def test_an_octet_out_of_band_is_read_and_left_out(segments):
    stream = Stream(1000)
    for each in segments:
        stream.feed(*each)
    assert list(every(stream)) == [b"heXllo", b"hello"]


def test_no_more_is_kept_than_anybody_reads():
    stream = Stream(0)
    for at in range(0, 4 * LIMIT, 1000):
        stream.feed(at, bytes(1000))
        stream.feed(at, bytes(10), at % 7)
    assert stream.end == LIMIT
    assert stream.size == LIMIT
    assert len(stream._urgent) <= 16


@given(st.permutations(range(20)))
def test_any_order_gives_the_same(order):
    stream = Stream(5)
    for number in order:
        stream.feed(5 + number * 10, TEXT[number * 10 : number * 10 + 10])
    assert list(every(stream)) == [TEXT]
