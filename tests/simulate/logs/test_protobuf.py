"""The encoding: any octets become fields or a BadLineError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.simulate.logs import protobuf
from blocker.simulate.logs.record import BadLineError


@pytest.mark.parametrize(("data", "found"), [
    ("", {}),
    ("0805", {1: 5}),
    ("08ac02", {1: 300}),
    ("0a03616263", {1: b"abc"}),
    ("4d01000000", {9: 1}),  # fixed32, little endian
    ("090100000000000000", {1: 1}),  # fixed64
    ("08050806", {1: 6}),  # the last one counts
])  # fmt: skip
def test_fields(data, found):
    assert protobuf.fields(bytes.fromhex(data)) == found


@pytest.mark.parametrize("data", [
    "08",  # ends inside a number
    "08ffffffffffffffffffff01",  # more than 64 bits
    "0a04616263",  # longer than its message
    "0b",  # a group
    "0801" * 65,
])  # fmt: skip
def test_no_fields(data):
    with pytest.raises(BadLineError):
        protobuf.fields(bytes.fromhex(data))


def test_kinds():
    with pytest.raises(BadLineError):
        protobuf.number({1: b"x"}, 1)
    with pytest.raises(BadLineError):
        protobuf.octets({1: 5}, 1)
    assert (protobuf.number({}, 1), protobuf.octets({}, 1)) == (0, b"")


@given(st.binary(max_size=300))
def test_any_octets(data):
    try:
        found = protobuf.fields(data)
    except BadLineError:
        return
    assert len(found) <= protobuf.MAX_FIELDS
