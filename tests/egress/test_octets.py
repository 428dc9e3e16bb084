"""Pieces in any order become what was said; where they contradict each other, each reading is there."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.egress.octets import MOST, Readings


def read(*pieces, limit=1000):
    readings = Readings(limit)
    for at, piece in pieces:
        readings.feed(at, piece)
    return set(readings.beginnings())


@pytest.mark.parametrize(("pieces", "found"), [
    ([(0, b"abc"), (3, b"def")], {b"abcdef"}),
    ([(3, b"def"), (0, b"abc")], {b"abcdef"}),
    ([(3, b"def")], {b""}),
    ([(3, b"d"), (3, b"def"), (0, b"abc")], {b"abcdef"}),  # sent again, with more: what is new counts
    ([(1, b"bcdef"), (0, b"abc")], {b"abcdef"}),
    ([(0, b"abcdef"), (2, b"cd")], {b"abcdef"}),
    ([(0, b"a"), (2, b"c"), (4, b"e"), (0, b"abcdef")], {b"abcdef"}),
    ([(0, b"fake"), (0, b"real")], {b"fake", b"real"}),
    ([(2, b"XX"), (0, b"abcd")], {b"abXX", b"abcd"}),  # what waits is contradicted as well
    ([(0, b"abcd"), (2, b"XXef")], {b"abcdef", b"abXXef"}),
    ([(0, b"FF"), (0, b"ab"), (0, b"FF"), (2, b"FF"), (2, b"cd"), (2, b"FF")],
     {b"FFFF", b"abFF", b"FFcd", b"abcd"}),  # each part between two that the server never hears
    ([(0, b""), (2000, b"x"), (999, b"xyz")], {b""}),
])  # fmt: skip
def test_readings(pieces, found):
    assert read(*pieces) == found


@given(st.permutations(range(30)), st.integers(1, 5))
def test_any_order_and_any_overlap_gives_the_same(order, overlap):
    said = bytes(range(60))
    assert read(*((2 * at, said[2 * at : 2 * at + 1 + overlap]) for at in order)) == {said}


def test_it_tells_when_there_is_something_else_to_read():
    readings = Readings(100)
    told = [readings.feed(*each) for each in ((2, b"c"), (0, b"ab"), (0, b"ab"), (1, b"X"), (1, b"X"), (100, b"d"))]
    assert told == [False, True, False, True, False, False]
    assert (readings.end, readings.size) == (3, 6)


def test_one_octet_at_a_time_from_the_end():
    said = bytes(index % 251 for index in range(3000))
    assert read(*((at, said[at : at + 1]) for at in reversed(range(3000))), limit=5000) == {said}


def test_beyond_the_most_the_first_words_and_the_last_still_count():
    said = [(at, bytes((number,)) * 2) for number in range(1, 6) for at in range(0, 20, 2)]
    found = read((0, b"first" * 4), *said)
    assert {b"first" * 4, bytes((5,)) * 20} < found
    assert len(found) == MOST


def test_memory_is_bounded():
    readings = Readings(10_000)
    for at in range(1, 10_000, 2):
        readings.feed(at, b"x")
    assert len(readings._readings[0].edges) <= 2048
    for octets in itertools.product(b"01", repeat=6):
        readings.feed(0, bytes(octets))
    assert len(set(readings.beginnings())) == MOST
    assert readings.size <= MOST * 10_000
