"""Whose addresses are one device's."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.egress import framing, neighbours
from blocker.egress.neighbours import Neighbours
from blocker.errors import KernelError

REACHABLE, FAILED, NOARP = 0x02, 0x20, 0x40
MAC, OTHER = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
V4, V4_TOO = b"\x0a\0\0\1", b"\x0a\0\0\2"
V6, V6_TOO = b"\x20\1" + bytes(13) + b"\1", b"\x20\1" + bytes(13) + b"\2"
LINK_LOCAL = b"\xfe\x80" + bytes(13) + b"\1"
LOOPBACK = b"\x7f\0\0\1"


def neighbour(address, hardware=MAC, *, state=REACHABLE, interface=2, kind=28, age=None):
    family = 2 if len(address) == 4 else 10
    head = struct.pack("=BxxxiHBB", family, interface, state, 0, 1)
    said = b"" if age is None else framing.attribute(3, struct.pack("=IIII", age * 100, age * 100 + 1, 0, 1))
    said += framing.attribute(1, address) + (framing.attribute(2, hardware) if hardware else b"")
    return framing.message(kind, 0, 1, head + said)


def own(address, kind=20):
    head = struct.pack("=BBBBi", 2 if len(address) == 4 else 10, 24, 0, 0, 2)
    return framing.message(kind, 0, 1, head + framing.attribute(1, address))


def known(*messages):
    made = Neighbours()
    for each in messages:
        made.heard(each, 0.0)
    return made


@pytest.mark.parametrize(
    ("client", "size", "devices"),
    [
        (V4, 16, [V6, V6_TOO]),  # asks over IPv4, connects over IPv6
        (V6, 4, [V4]),
        (LINK_LOCAL, 16, [V6, V6_TOO]),  # asks the router's link-local address
        (V6, 16, [V6, V6_TOO]),  # connects from its temporary address
        (V4, 4, [V4]),
        (V4_TOO, 16, []),  # another device
        (V4_TOO, 4, [V4_TOO]),
    ],
)
def test_of(client, size, devices):
    made = known(*map(neighbour, (V4, V6, V6_TOO, LINK_LOCAL)), neighbour(V4_TOO, OTHER))
    assert [each for each in made.of(client, size) if neighbours.is_routable(each)] == devices


@pytest.mark.parametrize(
    "unlike",
    [
        neighbour(V6, OTHER),
        neighbour(V6, interface=3),  # hardware addresses are one link's
        neighbour(V6, state=FAILED),
        neighbour(V6, state=NOARP),
        neighbour(V6, b""),
        neighbour(V6, bytes(6)),
        neighbour(V6, kind=29),
    ],
)
def test_what_is_not_the_same_device(unlike):
    assert known(neighbour(V4), unlike).of(V4, 16) == []


def test_what_changes():
    made = Neighbours()
    assert made.heard(neighbour(V4), 0.0) == ([V4], False)
    assert made.heard(neighbour(V4), 0.0) == ([], False)  # known
    assert made.heard(neighbour(V6), 0.0) == ([V6], False)
    assert made.heard(neighbour(V6, OTHER), 0.0) == ([V6], False)  # it has moved
    assert made.of(V4, 16) == []
    made.heard(neighbour(V6, MAC), 0.0)
    made.heard(neighbour(V6, MAC, state=FAILED), 0.0)  # not there just now: what it was told is still its own
    assert made.of(V4, 16) == [V6]
    made.heard(neighbour(V6, kind=29), 0.0)
    assert made.of(V4, 16) == []
    assert made.heard(framing.message(framing.DONE, 0, 1, bytes(4)), 0.0) == ([], True)


def test_whose_answers_are_meant_for_an_address_that_turns_up():
    made = known(*map(neighbour, (V4, V4_TOO, V6, V6_TOO)))
    assert made.donors(V6) == [V4, V4_TOO, V6_TOO]
    assert made.donors(V4) == [V6, V6_TOO]  # not another IPv4 address's
    assert made.donors(LINK_LOCAL) == []


def test_a_repeater_is_not_one_device():
    made = known(*(neighbour(bytes((10, 0, 0, number))) for number in range(20)), neighbour(V6))
    assert (made.of(V4, 16), made.donors(V6)) == ([], [])


DAY = 86_400


def temporary(day):
    return b"\x20\1" + bytes(12) + day.to_bytes(2)


def test_a_device_that_takes_a_new_address_every_day_stays_one():
    """The kernel keeps those of former days, as many as there is room for."""
    made = known(neighbour(V4))
    for day in range(40):
        assert made.heard(neighbour(temporary(day)), day * DAY) == ([temporary(day)], False)
        assert made.heard(neighbour(V4), day * DAY) == ([], False)
        assert temporary(day) in made.of(V4, 16)
        assert V4 in made.donors(temporary(day))


def test_what_the_kernel_has_kept_for_long_when_we_begin():
    made = Neighbours()
    for day in range(40):
        made.heard(neighbour(temporary(day), age=day * DAY), 100 * DAY)
    made.heard(neighbour(V4), 100 * DAY)
    assert temporary(0) in made.of(V4, 16)
    assert len(made.of(V4, 16)) <= 16


def test_we_ask_ourselves():
    made = known(own(V4), own(V6), own(LINK_LOCAL), own(LOOPBACK), own(V4_TOO), own(V4_TOO, kind=21))
    assert made.of(LOOPBACK, 4) == [LOOPBACK, V4]
    assert V6 in made.of(LOOPBACK, 16)
    assert made.of(V4, 4) == [V4]  # by an address of ours that is not the loopback's
    assert V6 in made.of(V4, 16)


WIRE = neighbour(V4) + own(V6) + neighbour(V6)


@given(st.one_of(st.binary(max_size=80), st.builds(
    lambda at, octets: WIRE[:at] + octets + WIRE[at + len(octets):], st.integers(0, len(WIRE)), st.binary(max_size=8)
)))  # fmt: skip
def test_any_octets_are_read_or_refused(wire):
    made = Neighbours()
    try:
        made.heard(wire, 0.0)
    except KernelError as error:
        assert str(error).startswith("netlink")  # noqa: PT017 whether it raises is not the question
