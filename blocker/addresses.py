"""What an address is by itself, whoever lists it: private, or a dress for another one. Pure."""

from bisect import bisect_right
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

_NAT64: Final = bytes.fromhex("0064ff9b0000000000000000")  # RFC 6052 §2.1
_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291 §2.5.5.2
_6TO4: Final = b"\x20\x02"  # RFC 3056 §2
_PRIVATE: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network (RFC 1122 §3.2.1.3)
        "10.0.0.0/8",  # private use (RFC 1918)
        "100.64.0.0/10",  # shared by carriers (RFC 6598)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local (RFC 3927)
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "::/96",  # unspecified, loopback, IPv4-compatible (RFC 4291 §2.5)
        "::ffff:0:0/96",  # IPv4-mapped: reaches whatever IPv4 reaches
        "fc00::/7",  # unique local (RFC 4193)
        "fe80::/9",  # link local, and site local as it was (RFC 3879)
    )
)
_PRIVATE_V4: Final = sorted(
    (net.network_address.packed, net.broadcast_address.packed) for net in _PRIVATE if net.version == 4
)
_PRIVATE_V6: Final = sorted(
    (net.network_address.packed, net.broadcast_address.packed) for net in _PRIVATE if net.version == 6
)
_STARTS_V4: Final = [low for low, _ in _PRIVATE_V4]
_STARTS_V6: Final = [low for low, _ in _PRIVATE_V6]


def inner(address: bytes) -> bytes:
    """Return the IPv4 address inside a translated or tunnelled one, which is where its packets go; else `address`."""
    if len(address) == 4:
        return address
    if address.startswith((_NAT64, _MAPPED)):
        return address[12:]
    return address[2:6] if address.startswith(_6TO4) else address


def dressed(first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the IPv6 ranges whose packets go to the IPv4 addresses from `first` to `last`: what `inner` undoes."""
    yield _NAT64 + first, _NAT64 + last
    yield _6TO4 + first + bytes(10), _6TO4 + last + b"\xff" * 10


def holds_private(network: IPv4Network | IPv6Network) -> bool:
    """Tell whether `network` holds addresses that `is_private` says are."""
    return any(isinstance(each, type(network)) and each.overlaps(network) for each in _PRIVATE)


def is_private(address: bytes) -> bool:
    """Tell whether `address` (4 or 16 octets) belongs to a network that no public name should point at."""
    if not address.startswith(_MAPPED):  # those are never a public host's, whatever is inside
        address = inner(address)
    if len(address) == 4:
        return address <= _PRIVATE_V4[bisect_right(_STARTS_V4, address) - 1][1]
    return address <= _PRIVATE_V6[bisect_right(_STARTS_V6, address) - 1][1]
