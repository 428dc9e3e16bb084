"""Netlink's outer form: what is written can be read, and any octets are read or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.egress import framing
from blocker.errors import KernelError


def test_what_is_written_can_be_read():
    payload = framing.attribute(1, b"one") + framing.attribute(2, b"") + framing.attribute(3, b"four")
    wire = framing.message(30, framing.REQUEST, 7, payload) + framing.message(31, framing.REQUEST, 8, b"")
    assert [(kind, sequence) for kind, sequence, _ in framing.messages(wire)] == [(30, 7), (31, 8)]
    (_, _, said), _ = framing.messages(wire)
    assert list(framing.attributes(said)) == [(1, b"one"), (2, b""), (3, b"four")]


@pytest.mark.parametrize(("payload", "number"), [(bytes(4), 0), ((-23).to_bytes(4, "little", signed=True), 23)])
def test_errors(payload, number):
    assert framing.error(payload) == number


@given(st.binary(max_size=100))
def test_any_octets_are_read_or_refused(octets):
    for read in (framing.messages, framing.attributes):
        try:
            list(read(octets))
        except KernelError as error:
            assert str(error).startswith("netlink")  # noqa: PT017 whether it raises is not the question
