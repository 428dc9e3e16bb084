"""Flattened address ranges, against looking through all of them."""

from bisect import bisect_right
from ipaddress import IPv4Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.lists.ranges import flatten


def held(stretches, address):
    at = bisect_right([start for start, _ in stretches], ip_address(address).packed)
    return stretches[at - 1][1] if at else ()


@pytest.mark.parametrize(
    ("address", "entries"),
    [
        ("192.0.1.255", ()),
        ("192.0.2.0", (0,)),
        ("192.0.2.127", (0,)),
        ("192.0.2.128", (1, 0)),  # the longest prefix first
        ("192.0.2.255", (1, 0)),
        ("192.0.3.0", ()),
        ("255.255.255.255", (2,)),  # the highest address
        ("0.0.0.0", ()),
    ],
)
def test_flatten(address, entries):
    networks = [ip_network("192.0.2.0/24"), ip_network("192.0.2.128/25"), ip_network("255.255.255.0/24")]
    stretches = flatten(zip(networks, range(3), strict=True), 4)
    assert held(stretches, address) == entries


def test_families_stay_apart():
    networks = [(ip_network("::/0"), 0), (ip_network("0.0.0.0/0"), 1)]
    assert flatten(networks, 16) == [(bytes(16), (0,))]
    assert flatten(networks, 4) == [(bytes(4), (1,))]


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(28, 32))), st.integers(0, 16))
def test_flatten_as_the_reference(parts, last):
    networks = [IPv4Network((f"10.0.0.{octet}", length), strict=False) for octet, length in parts]
    inside = [
        (-network.prefixlen, at) for at, network in enumerate(networks) if ip_address(f"10.0.0.{last}") in network
    ]
    stretches = flatten(zip(networks, range(len(networks)), strict=True), 4)
    assert held(stretches, f"10.0.0.{last}") == tuple(at for _, at in sorted(inside))
