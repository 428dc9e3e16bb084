"""The octets: what we write, and that nothing that is read can do more than be refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.egress import elements
from blocker.egress.elements import Drop, Element, Put, concatenated
from blocker.errors import KernelError


def messages(wire):
    """Return type, flags and sequence of each message of a batch."""
    found = []
    at = 0
    while at < len(wire):
        size, kind, flags, sequence, _ = struct.unpack_from("=IHHII", wire, at)
        found.append((kind & 0xFF, flags, sequence))
        at += size
    return found


BEGIN, END, NEW, DELETE = 16, 17, 12, 14
REQUEST, ACK, CREATE = 0x1, 0x4, 0x400
KEY = b"\xc0\0\2\1"


@pytest.mark.parametrize(
    ("changes", "updates", "kinds"),
    [
        ([Put("s", [Element(KEY, 1)])], True, [NEW]),
        ([Put("s", [Element(KEY, 1)])], False, [NEW, DELETE, NEW]),  # else an equal time would be no news
        ([Drop("s", [KEY])], True, [NEW, DELETE]),  # what is not there cannot be deleted
        ([Put("s", [Element(KEY, 1)]), Drop("t", [KEY])], True, [NEW, NEW, DELETE]),
        ([Put("s", [Element(KEY, 1)] * 2000)], True, [NEW, NEW]),  # 64 kB
        ([], True, []),
    ],
)
def test_a_batch(changes, updates, kinds):
    made = elements.batch("blocker", changes, 7, updates=updates)
    found = messages(made.wire)
    assert [kind for kind, _, _ in found] == [BEGIN, *kinds, END]
    assert [sequence for _, _, sequence in found] == list(range(7, 7 + len(found)))
    assert (made.first, made.last) == (7, 7 + len(kinds))
    assert [sequence for _, flags, sequence in found if flags & ACK] == ([made.last] if kinds else [])


def test_fields_of_a_key_are_whole_words():
    assert concatenated(KEY, b"\x06", b"\x01\xbb") == KEY + b"\x06\0\0\0" + b"\x01\xbb\0\0"


def test_what_we_ask_to_be_put_can_be_read():
    """The kernel dumps elements as it takes them."""
    wanted = [Element(bytes((number, 0, 0, 1)), number * 1000) for number in range(3)]
    made = elements.batch("blocker", [Put("s", wanted)], 7, updates=True)
    assert elements.page(made.wire, 8) == elements.Page(wanted, done=False, error=0)


def test_another_dumps_messages_are_not_ours():
    made = elements.batch("blocker", [Put("s", [Element(KEY, 1)])], 7, updates=True)
    assert elements.page(made.wire, 1).elements == []


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (struct.pack("=IHHIIi", 20, 2, 0, 9, 0, 0), [(9, 0)]),
        (struct.pack("=IHHIIi", 20, 2, 0, 9, 0, -23), [(9, 23)]),
        (struct.pack("=IHHII", 16, 16, 0, 9, 0), []),
        (b"", []),
    ],
)
def test_replies(wire, said):
    assert list(elements.replies(wire)) == said


@pytest.mark.parametrize(
    "wire",
    [
        b"\x10",
        struct.pack("=IHHII", 16, 2, 0, 9, 0),  # an error without a number
        struct.pack("=IHHII", 15, 2, 0, 9, 0),
        struct.pack("=IHHII", 99, 2, 0, 9, 0),
    ],
)
def test_replies_that_no_kernel_sends(wire):
    with pytest.raises(KernelError, match="netlink"):
        list(elements.replies(wire))


MADE = elements.batch("blocker", [Put("s", [Element(KEY, 1), Element(KEY)])], 7, updates=True).wire


@given(st.one_of(st.binary(max_size=200), st.builds(
    lambda at, octets: MADE[:at] + octets + MADE[at + len(octets):], st.integers(0, len(MADE)), st.binary(max_size=8)
)))  # fmt: skip
def test_any_octets_are_read_or_refused(wire):
    for read in (lambda: list(elements.replies(wire)), lambda: elements.page(wire, 8)):
        try:
            read()
        except KernelError as error:
            assert str(error).startswith("netlink")  # noqa: PT017 whether it raises is not the question
