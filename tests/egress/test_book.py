"""What is open: what is news to the kernel, what has to make room, and what has ended."""

import time

from hypothesis import given
from hypothesis import strategies as st

from blocker.egress.book import Book, Pair

ALICE, BOB = b"\x0a\0\0\1", b"\x0a\0\0\2"


def pair(number, device=ALICE):
    return Pair(device, number.to_bytes(4))


def test_what_is_news_to_the_kernel():
    book = Book(10, 100)
    assert book.open(pair(1), 100)
    assert not book.open(pair(1), 90)  # open for longer already
    assert book.open(pair(1), 110)
    assert book.open(pair(1, BOB), 90)  # another device's
    assert (book.pairs, list(book.of(ALICE))) == (2, [(pair(1).address, 110)])
    assert pair(1) in book
    assert pair(2) not in book


def test_a_device_that_is_told_too_much_loses_what_it_was_told_longest_ago():
    book = Book(16, 100)
    for number in range(16):
        book.open(pair(number), 100)
    assert book.surplus(ALICE) == []
    book.open(pair(0), 100)  # told again: now 1 is the oldest
    book.open(pair(99), 100)
    assert book.surplus(ALICE) == [pair(1), pair(2), pair(3)]  # and an eighth more
    assert book.surplus(ALICE) == book.surplus(BOB) == []
    assert book.pairs == 14


def test_when_all_hold_too_much_the_one_that_holds_most_loses_some():
    book = Book(100, 50)
    for number in range(40):
        book.open(pair(number), 100)
    for number in range(11):
        book.open(pair(number, BOB), 100)
    assert book.surplus(BOB) == [
        pair(number) for number in range(9)
    ]  # an eighth of what there is room for is free then
    assert book.pairs == 42


def test_who_pretends_to_be_very_many_devices_costs_little():
    """One look at all devices in thousands of new pairs."""
    book = Book(100, 20_000)
    for number in range(100):
        book.open(pair(number), 100)
    began = time.process_time()
    for number in range(60_000):
        device = b"\xfd" + number.to_bytes(15)
        book.open(pair(1, device), 100)
        book.surplus(device)
    assert time.process_time() - began < 5.0  # minutes, if each new one were compared with all
    assert book.pairs <= 20_000
    assert pair(1, device) in book


def test_what_has_ended_is_forgotten_a_few_devices_at_a_time():
    book = Book(10, 100)
    for number in range(6):
        book.open(Pair(bytes((10, 0, 0, number)), ALICE), 50 if number % 2 else 150)
    assert [book.expire(100, 2) for _ in range(3)] == [1, 1, 1]
    assert book.pairs == 3
    assert book.expire(200, 10) == 3
    assert (book.pairs, book.expire(300, 10)) == (0, 0)


def test_close_and_clear():
    book = Book(10, 100)
    book.open(pair(1), 100)
    book.open(pair(2), 100)
    book.close([pair(1), pair(3), pair(1, BOB)])
    assert (book.pairs, pair(1) in book) == (1, False)
    book.clear()
    assert (book.pairs, pair(2) in book) == (0, False)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.integers(0, 3), st.integers(0, 20), st.integers(0, 50)),
        st.tuples(st.just("expire"), st.integers(0, 50), st.integers(1, 3)),
        st.tuples(st.just("close"), st.integers(0, 3), st.integers(0, 20)),
    )
)


@given(STEPS)
def test_the_bounds_hold_and_what_was_said_last_is_there(steps):
    book = Book(5, 12)
    for kind, *numbers in steps:
        if kind == "open":
            device, number, until = bytes((10, 0, 0, numbers[0])), numbers[1], numbers[2]
            book.open(pair(number, device), until)
            assert pair(number, device) not in book.surplus(device)
        elif kind == "expire":
            book.expire(*numbers)
        else:
            book.close([pair(numbers[1], bytes((10, 0, 0, numbers[0])))])
        held = [len(list(book.of(bytes((10, 0, 0, device))))) for device in range(4)]
        assert max(held) <= 5
        assert sum(held) == book.pairs <= 12
