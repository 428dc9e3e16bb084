"""The way to the kernel's sets: one socket, on which changes go in whole transactions and sets are read.

A shell around elements.py. Needs CAP_NET_ADMIN in its network namespace; whoever holds a socket decides what goes
into sets, so this stays in the egress process and in root's commands.
"""

import contextlib
import errno
import os
import re
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from blocker.egress import counts, elements
from blocker.egress.elements import Change, Element
from blocker.egress.sets import TABLE
from blocker.errors import KernelError

_NETFILTER: Final = 12  # NETLINK_NETFILTER
_NETLINK: Final = 270  # SOL_NETLINK
_CAP_ACK: Final = 10  # acknowledgements need not repeat what we said
_SEND_FORCED: Final = 32  # SO_SNDBUFFORCE; the socket module has no names for these two
_RECEIVE_FORCED: Final = 33
_BUFFER: Final = 64 << 20  # octets: a transaction of a million elements; the kernel takes it only as it is used
_RECEIVE: Final = 1 << 17  # octets: the kernel fills 32 KiB at the most
_WAIT: Final = 5.0  # seconds; the kernel answers before the request returns, so this is for bugs alone
_UPDATES: Final = (6, 12)  # the first kernel that sets an element's time anew
_AGAIN: Final = 5  # times a set is read, at the most
_HELP: Final = {
    errno.ENFILE: "the set is full: raise its size and apply the rules again",
    errno.ENOENT: "no such table or set: `blocker egress apply` makes them",
    errno.EPERM: "CAP_NET_ADMIN is missing",
    errno.EMSGSIZE: "too much for one transaction",
    errno.ENOBUFS: "the kernel had no room for its answer",
    errno.EINVAL: "a key or a time does not fit the set's type",
    errno.EOPNOTSUPP: "the kernel has no nf_tables, or the set knows no such elements",
}


class Netlink:
    """A socket to nf_tables; for one thread."""

    def __init__(self, table: str = TABLE, release: str | None = None) -> None:
        """Speak of `table` of the family inet. `release` is the kernel's, if not the running one's.

        Raises KernelError where there is no netfilter.
        """
        self._table = table
        self._updates = version_of(release or os.uname().release) >= _UPDATES
        self._sequence = 0
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
        except OSError as error:
            raise KernelError(f"nftables: {error.strerror}: {_HELP[errno.EOPNOTSUPP]}", error.errno or 0) from error
        self._socket.setsockopt(_NETLINK, _CAP_ACK, 1)
        self._socket.settimeout(_WAIT)
        for forced, usual in ((_SEND_FORCED, socket.SO_SNDBUF), (_RECEIVE_FORCED, socket.SO_RCVBUF)):
            self._socket.setsockopt(socket.SOL_SOCKET, usual, _BUFFER)  # as far as everybody may go
            with contextlib.suppress(PermissionError):
                self._socket.setsockopt(socket.SOL_SOCKET, forced, _BUFFER)
        self._socket.bind((0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def apply(self, changes: Sequence[Change]) -> None:
        """Make all of `changes`, or none; they are in force when this returns.

        Raises KernelError, whose `number` is that of errno: ENFILE for a full set, ENOENT for a set that is not there.
        """
        wanted = elements.batch(self._table, changes, self._sequence + 1, updates=self._updates)
        if wanted.last == wanted.first:
            return
        self._sequence = wanted.last + 1
        self._send(wanted.wire)
        failed = 0
        while True:
            for sequence, error in elements.replies(self._receive()):
                if not wanted.first <= sequence <= wanted.last:
                    continue  # to a request that nobody waits for any more
                failed = failed or error
                if sequence == wanted.last or (sequence == wanted.first and error):
                    self._check(failed, ", ".join(sorted({change.set for change in changes})))
                    return

    def holds(self, name: str, key: bytes) -> bool:
        """Tell whether the set `name` holds `key`; a set that is not there holds nothing. Raises KernelError."""
        self._sequence += 1
        self._send(elements.look_up(self._table, name, key, self._sequence))
        while True:
            page = elements.page(self._receive(), self._sequence)
            if page.elements:
                return True
            if page.error == errno.ENOENT:
                return False
            if page.done:
                self._check(page.error, name)

    def dump(self, name: str) -> list[Element]:
        """Return what the set `name` holds, with the milliseconds that each element has left. Raises KernelError.

        While the kernel gives a grown set more room it may pass over elements, and says nothing: so the set is read
        until a reading shows nothing new.
        """
        found: dict[bytes, int] = {}
        for _ in range(_AGAIN):
            former = len(found)
            found.update(seen := self._read(name))
            if not seen or (former and len(found) == former):
                break
        return [Element(key, left) for key, left in found.items()]

    def counters(self) -> dict[str, int]:
        """Return the packets of each counter of the table; none where there is no table. Raises KernelError."""
        found: dict[str, int] = {}
        self._sequence += 1
        self._send(counts.question(self._table, self._sequence))
        while True:
            page = counts.page(self._receive(), self._sequence, self._table)
            found.update(page.packets)
            if page.done:
                self._check(page.error, "counters")
                return found

    def _read(self, name: str) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        self._sequence += 1
        self._send(elements.question(self._table, name, self._sequence))
        while True:
            page = elements.page(self._receive(), self._sequence)
            found.update(page.elements)
            if page.done:
                self._check(page.error, name)
                return found

    def _send(self, wire: bytes) -> None:
        try:
            self._socket.send(wire)
        except OSError as error:
            raise _failed(error.errno or errno.EIO, "a request") from error

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_RECEIVE)
        except TimeoutError as error:
            raise _failed(errno.ETIMEDOUT, "a request") from error
        except OSError as error:
            raise _failed(error.errno or errno.EIO, "a request") from error

    def _check(self, number: int, what: str) -> None:
        if number:
            raise _failed(number, what)


def _failed(number: int, what: str) -> KernelError:
    said = _HELP.get(number)
    why = f"{os.strerror(number)}{f' ({said})' if said else ''}"
    return KernelError(f"nftables: {what}: {why}", number)


def version_of(release: str) -> tuple[int, int]:
    """Return major and minor number of a kernel's release."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)
