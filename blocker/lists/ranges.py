"""Address ranges, flattened: for each stretch of addresses, which entries hold it, the longest prefix first.

Pure. Ranges that lie inside each other become stretches that do not, so that one bisection finds them all.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Final

Stretch = tuple[bytes, tuple[int, ...]]  # where it starts, and the entries that hold it; it ends where the next starts

_WIDEST: Final = {4: 8, 6: 16}  # the shortest prefix that is not half of the Internet
_MOST_CLIENTS: Final = {4: 16, 6: 32}  # the shortest prefix that is not a whole organisation
_WIDEST_OF_OTHERS: Final = {4: 12, 6: 20}  # a million addresses, as the largest networks on lists of hijacked ones have


def too_wide(network: IPv4Network | IPv6Network) -> bool:
    """Tell whether `network` holds more addresses than one app can have to itself."""
    return network.prefixlen < _WIDEST[network.version]


def too_many(network: IPv4Network | IPv6Network) -> bool:
    """Tell whether `network` holds more clients than a list may take every name from."""
    return network.prefixlen < _MOST_CLIENTS[network.version]


def too_wide_of_others(network: IPv4Network | IPv6Network) -> bool:
    """Tell whether `network` holds more addresses than somebody else's list may block with one line."""
    return network.prefixlen < _WIDEST_OF_OTHERS[network.version]


def flatten(networks: Iterable[tuple[IPv4Network | IPv6Network, int]], size: int) -> list[Stretch]:
    """Return the stretches of the `networks` whose addresses have `size` octets, from the lowest address up.

    Each network comes with the number of its entry. A stretch without entries lies between two others.
    """
    open_at: dict[int, list[tuple[int, int]]] = {}
    shut_at: dict[int, list[tuple[int, int]]] = {}
    for network, entry in networks:
        if network.max_prefixlen != size * 8:
            continue
        begin = int(network.network_address)
        held = (-network.prefixlen, entry)  # sorts the longest prefix first, then as listed
        open_at.setdefault(begin, []).append(held)
        shut_at.setdefault(begin + network.num_addresses, []).append(held)
    stretches: list[Stretch] = []
    holding: set[tuple[int, int]] = set()
    for border in sorted({*open_at, *shut_at}):
        holding.difference_update(shut_at.get(border, ()))
        holding.update(open_at.get(border, ()))
        if border < 1 << size * 8:  # the highest address has nothing above it
            stretches.append((border.to_bytes(size), tuple(entry for _, entry in sorted(holding))))
    return stretches
