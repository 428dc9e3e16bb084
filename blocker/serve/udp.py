"""Drains a UDP socket: answers what the fast tables know, hands over the rest.

Two forms of one small class: this one, and the compiled `_udp.Drain`, which costs a third and is used where
it could be built. It decides nothing: it finds a query's bytes in a table or it does not.
"""

import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from blocker.answer import aged
from blocker.fast import Table
from blocker.sinks.region import Region, Word

try:  # before any privilege is dropped: later our own files might be out of reach
    from blocker.serve import _udp
except ImportError:
    _udp = None  # type: ignore[assignment]

BATCH: Final = 64  # datagrams per look at the socket
_RECEIVE: Final = 4096  # octets: no query of use is longer
_NAMES_LOCAL: Final = (  # ask the kernel which of our addresses a datagram came to, to answer from it
    (socket.IPPROTO_IP, 8),  # IP_PKTINFO (ip(7)); the socket module has no name for it before 3.12
    (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO),
)

Miss = tuple[bytes, bytes, object]  # packet, client's address (4 or 16 octets), where to send the answer


class Drain(Protocol):
    """A UDP socket that clients ask on."""

    def receive(self, tables: Mapping[bytes, Table], now: float) -> tuple[int, list[Miss]]:
        """Take what has arrived, up to BATCH datagrams, and answer what `tables` know at second `now`.

        Returns the number of datagrams taken and the misses.
        """

    def send(self, replies: Iterable[tuple[bytes, object]]) -> None:
        """Send answers, each to where its query came from. What the kernel does not take is lost, and counted."""


def new_drain(sock: socket.socket, region: Region) -> Drain:
    """Return the compiled drain of `sock` where it could be built, else the plain one."""
    if _udp is None:
        return PlainDrain(sock, region)
    local = is_wildcard(sock)
    if local:
        sock.setsockopt(*_NAMES_LOCAL[sock.family != socket.AF_INET], 1)
    drain: Drain = _udp.Drain(sock.fileno(), sock.family == socket.AF_INET6, local, region.memory)
    return drain


class PlainDrain:
    """The drain in plain Python."""

    def __init__(self, sock: socket.socket, region: Region) -> None:
        self._socket = sock
        self._region = region
        level = 0 if sock.family == socket.AF_INET else 1
        # Only on a wildcard address could the answer leave from an address other than the one asked.
        self._local = is_wildcard(sock)
        if self._local:
            sock.setsockopt(*_NAMES_LOCAL[level], 1)

    def receive(self, tables: Mapping[bytes, Table], now: float) -> tuple[int, list[Miss]]:
        misses: list[Miss] = []
        taken = 0
        second = int(now)
        family = self._socket.family
        for taken in range(1, BATCH + 1):
            try:
                packet, peer, source = self._take()
            except BlockingIOError:
                return taken - 1, misses
            except OSError:  # an ICMP error of an earlier answer; nothing was taken
                continue
            self._region.words[Word.RECEIVED_BYTES] += len(packet)
            address = _packed(family, source)
            table = tables.get(address)
            given = table.get(packet[2:]) if table is not None else None
            if given is None or given.expires <= second:
                misses.append((packet, address, peer))
                continue
            answer = given.answer
            if given.ttl_offsets and given.stored != second:
                answer = aged(answer, given.ttl_offsets, second - given.stored)
            region = self._region
            region.give(given, address, time.monotonic() - now)
            self._put(packet[:2] + answer, peer)
        return taken, misses

    def send(self, replies: Iterable[tuple[bytes, object]]) -> None:
        for answer, peer in replies:
            self._put(answer, peer)

    def _take(self) -> tuple[bytes, object, tuple[str, int]]:
        if not self._local:
            packet, source = self._socket.recvfrom(_RECEIVE)
            return packet, source, source
        packet, ancillary, _, source = self._socket.recvmsg(_RECEIVE, 64)
        return packet, (source, _reply_from(ancillary)), source

    def _put(self, answer: bytes, peer: Any) -> None:  # noqa: ANN401 (what _take made)
        try:
            if self._local:
                source, ancillary = peer
                self._socket.sendmsg((answer,), ancillary, 0, source)
            else:
                self._socket.sendto(answer, peer)
        except OSError:
            self._region.words[Word.SEND_ERRORS] += 1
        else:
            self._region.words[Word.SENT_BYTES] += len(answer)


def is_wildcard(sock: socket.socket) -> bool:
    """Tell whether `sock` is bound to every address of the machine."""
    return sock.getsockname()[0] in ("0.0.0.0", "::")  # noqa: S104 (a comparison)


def _packed(family: int, source: tuple[str, int]) -> bytes:
    return socket.inet_pton(family, source[0].partition("%")[0])


def _reply_from(ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """Turn the note "came to this address" into "leave from this address" (ip(7), ipv6(7))."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP:  # struct in_pktinfo: interface, local address, header's address
            return [(level, kind, b"\0\0\0\0" + data[4:8] + b"\0\0\0\0")]
        return [(level, socket.IPV6_PKTINFO, data)]
    return []
