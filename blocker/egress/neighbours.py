"""Which addresses are one device: a phone asks us over one of them and connects from another.

Pure. It reads what the kernel says of its neighbours (rtnetlink(7)) and of this machine's own addresses, and decides
who is meant. A device that is not on a link of ours, behind another router, is known by one address alone; so are
those behind a repeater that gives all of them its own hardware address.
"""

import struct
from collections.abc import Iterator
from typing import Final

from blocker.egress import framing

GET_NEIGHBOURS: Final = 30  # RTM_GETNEIGH
GET_ADDRESSES: Final = 22  # RTM_GETADDR
_NEW_NEIGHBOUR: Final = 28
_OLD_NEIGHBOUR: Final = 29
_NEW_ADDRESS: Final = 20
_OLD_ADDRESS: Final = 21
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")  # ndmsg: family, interface, state, flags, type
_ADDRESS: Final = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix, flags, scope, interface
_DESTINATION: Final = 1  # NDA_DST
_HARDWARE: Final = 2  # NDA_LLADDR
_LOCAL: Final = (2, 1)  # IFA_LOCAL, else IFA_ADDRESS
_AGES: Final = 3  # NDA_CACHEINFO: when it was confirmed, used and updated
_TICKS: Final = struct.Struct("=III")  # hundredths of a second ago
_UNUSABLE: Final = 0x01 | 0x20 | 0x40  # incomplete, failed, without a hardware address
_MOST: Final = 16  # addresses of one device at a time; more are several devices
_LATELY: Final = 86_400.0  # seconds: the kernel keeps what a device has not used for weeks, and takes it for its own
_MOST_DEVICES: Final = 100_000  # the kernel keeps fewer (gc_thresh3)
_LOOPBACK: Final = (b"\x7f", bytes(15) + b"\1")

Link = tuple[int, bytes]  # interface and hardware address


def question(kind: int, sequence: int) -> bytes:
    """Return the request for all neighbours or all addresses, of both IP versions."""
    return framing.message(kind, framing.REQUEST | framing.DUMP, sequence, bytes(_NEIGHBOUR.size))


class Neighbours:
    """What is known of devices and of ourselves."""

    def __init__(self) -> None:
        self._links: dict[bytes, Link] = {}
        self._addresses: dict[Link, dict[bytes, float]] = {}  # when each was heard of last
        self._ours: set[bytes] = set()

    def heard(self, wire: bytes, now: float) -> tuple[list[bytes], bool]:
        """Take what the kernel says; return the addresses that devices were found to have, and if a dump has ended.

        `now` is in seconds of a clock that never goes back. Raises KernelError.
        """
        found: list[bytes] = []
        ended = False
        for kind, _, payload in framing.messages(wire):
            if kind in (framing.DONE, framing.ERROR):
                ended = True
            elif kind in (_NEW_NEIGHBOUR, _OLD_NEIGHBOUR) and len(payload) >= _NEIGHBOUR.size:
                found += self._neighbour(payload, now, gone=kind == _OLD_NEIGHBOUR)
            elif kind in (_NEW_ADDRESS, _OLD_ADDRESS) and len(payload) >= _ADDRESS.size:
                self._own(payload, gone=kind == _OLD_ADDRESS)
        return found, ended

    def of(self, client: bytes, size: int) -> list[bytes]:
        """Return the addresses of `size` octets that the device at `client` connects from.

        Of IPv4 it has the one it asks from: to be let through with another's answers it would have to be another.
        """
        if client.startswith(_LOOPBACK) or client in self._ours:  # we ask ourselves, and connect from any address
            return list(dict.fromkeys([client, *sorted(each for each in self._ours if len(each) == size)]))
        mine = [client] if len(client) == size else []
        if len(client) == size == 4:
            return mine
        link = self._links.get(client)
        held = self._addresses.get(link, {}) if link is not None else {}
        if len(held) > _MOST:
            return mine
        return mine + [each for each in held if len(each) == size and each != client and is_routable(each)]

    def donors(self, address: bytes) -> list[bytes]:
        """Return the other addresses of the device at `address`, whose answers are meant for it too."""
        link = self._links.get(address)
        held = self._addresses.get(link, {}) if link is not None else {}
        if len(held) > _MOST:
            return []
        return [each for each in held if each != address and (len(address) == 16 or len(each) == 16)]

    def _neighbour(self, payload: bytes, now: float, *, gone: bool) -> Iterator[bytes]:
        _, interface, state, _, _ = _NEIGHBOUR.unpack_from(payload)
        said = dict(framing.attributes(payload[_NEIGHBOUR.size :]))
        address, hardware = said.get(_DESTINATION, b""), said.get(_HARDWARE, b"")
        if len(address) not in (4, 16):
            return
        link = (interface, hardware)
        former = self._links.get(address)
        usable = not gone and not state & _UNUSABLE and any(hardware)
        since = now - _age(said.get(_AGES, b""))
        if usable and former == link:
            self._addresses[link][address] = since
            return
        if former is not None and (usable or gone):
            self._forget(address, former)
        if usable and len(self._links) < _MOST_DEVICES:
            self._links[address] = link
            held = self._addresses.setdefault(link, {})
            held[address] = since
            if len(held) > _MOST:
                for old in [each for each, heard in held.items() if heard < now - _LATELY]:
                    self._forget(old, link)
            if address in self._links:
                yield address

    def _forget(self, address: bytes, link: Link) -> None:
        del self._links[address]
        del self._addresses[link][address]
        if not self._addresses[link]:
            del self._addresses[link]

    def _own(self, payload: bytes, *, gone: bool) -> None:
        said = dict(framing.attributes(payload[_ADDRESS.size :]))
        address = next((said[kind] for kind in _LOCAL if kind in said), b"")
        if len(address) not in (4, 16) or not is_routable(address) or address.startswith(_LOOPBACK):
            return
        if gone:
            self._ours.discard(address)
        else:
            self._ours.add(address)


def _age(octets: bytes) -> float:
    """Return the seconds since a neighbour was there, or somebody wanted to talk to it."""
    return min(_TICKS.unpack_from(octets)[:2]) / 100 if len(octets) >= _TICKS.size else 0.0


def is_routable(address: bytes) -> bool:
    """Tell whether packets from `address` can leave its link."""
    return len(address) == 4 or not (address[0] == 0xFE and address[1] & 0xC0 == 0x80)
