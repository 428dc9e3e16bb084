"""Private networks, to the last address."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.addresses import dressed, inner, is_private

PRIVATE = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "::/96", "::ffff:0:0/96", "fc00::/7", "fe80::/9",
]  # fmt: skip


@pytest.mark.parametrize("network", [ip_network(each) for each in PRIVATE], ids=str)
def test_is_private_to_the_last_address(network):
    first, last = int(network.network_address), int(network.broadcast_address)
    size = network.max_prefixlen // 8
    assert is_private(first.to_bytes(size))
    assert is_private(last.to_bytes(size))
    assert not is_private((last + 1).to_bytes(size))
    assert first == 0 or not is_private((first - 1).to_bytes(size))


@given(st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)))
def test_is_private_as_a_plain_search_says(address):
    assert is_private(address) == any(
        ip_address(address) in network
        for network in map(ip_network, PRIVATE)
        if network.max_prefixlen == 8 * len(address)
    )


@given(
    st.tuples(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4)).map(sorted),
    st.binary(min_size=10, max_size=10),
)
def test_what_is_dressed_goes_where_it_is_meant_to(bounds, rest):
    first, last = bounds
    nat64, six_to_four = dressed(first, last)
    assert list(map(inner, (*nat64, *six_to_four))) == [first, last, first, last]
    assert six_to_four[0] <= b"\x20\x02" + last + rest <= six_to_four[1]
