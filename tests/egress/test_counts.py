"""Counters as the kernel tells them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.egress import counts, framing
from blocker.egress.netlink import Netlink
from blocker.errors import KernelError
from tests.egress.namespace import Namespace


def counter(name, packets, table="blocker", sequence=7):
    data = framing.attribute(1, bytes(8)) + framing.attribute(2, struct.pack("!Q", packets))
    said = framing.attribute(1, table.encode() + b"\0") + framing.attribute(2, name.encode() + b"\0")
    return framing.message(10 << 8 | 18, 2, sequence, bytes(4) + said + framing.attribute(4 | 0x8000, data))


def test_a_page():
    wire = counter("one", 5) + counter("theirs", 6, table="other") + counter("late", 7, sequence=3)
    assert counts.page(wire, 7, "blocker") == ({"one": 5}, False, 0)
    done = framing.message(framing.DONE, 2, 7, struct.pack("=i", 0))
    assert counts.page(wire + done, 7, "blocker").done
    failed = framing.message(framing.ERROR, 2, 7, struct.pack("=i", -1))
    assert counts.page(failed, 7, "blocker") == ({}, True, 1)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(octets):
    head = framing.message(10 << 8 | 18, 0, 7, octets)
    for wire in (octets, head):
        try:
            counts.page(wire, 7, "blocker")
        except KernelError:
            continue


def read():
    with Netlink() as kernel:
        return kernel.counters()


def test_of_a_kernel():
    with Namespace() as namespace:
        namespace.nft("add table inet other\nadd counter inet other theirs { packets 9 bytes 9 }")
        assert namespace.run(read) == {}
        names = [f"refuse_staff_address_app{number}" for number in range(300)]  # more than one page
        namespace.nft("add table inet blocker\n" + "".join(
            f"add counter inet blocker {name} {{ packets {at} bytes 0 }}\n" for at, name in enumerate(names)
        ))  # fmt: skip
        assert namespace.run(read) == {name: at for at, name in enumerate(names)}


@pytest.mark.parametrize("table", ["blocker", "other"])
def test_a_question_names_the_table(table):
    ((kind, sequence, payload),) = framing.messages(counts.question(table, 9))
    assert (kind, sequence) == (10 << 8 | 19, 9)
    assert table.encode() + b"\0" in payload
