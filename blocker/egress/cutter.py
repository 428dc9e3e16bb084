"""Cuts connections that were found out: the end with CAP_NET_ADMIN of a socket whose other end reads packets.

A shell around cut.py. All that has arrived goes into one transaction. Passes over what is no connection, and holds no
more than the kernel has room for: a device that is found out without end loses the oldest of its own. What it is told
can only close, never open.
"""

import errno
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from blocker.egress import cut, elements, sets
from blocker.egress.book import Book, Pair
from blocker.egress.cut import Cut
from blocker.egress.elements import Change
from blocker.errors import KernelError

_NETFILTER: Final = 12  # NETLINK_NETFILTER
_PER_DEVICE: Final = 4096  # connections of one device that are refused; then the ones it lost first are let go
_MOST: Final = sets.CUT_SIZE // 2  # ... of all devices
_EXPIRE: Final = 64  # devices looked at for what has ended, each time that something is cut
_LARGEST: Final = 64  # octets of a message; longer ones are none
_AT_ONCE: Final = 256
_SAY_EVERY: Final = 60.0  # seconds between two lines about the same trouble


class Kernel(Protocol):
    """What netlink.Netlink does."""

    def apply(self, changes: Sequence[Change]) -> None: ...


class Cutter:
    """Takes what is to be cut from `asked`, a socket of packets, until its other end is closed."""

    def __init__(
        self,
        asked: socket.socket,
        kernel: Kernel,
        say: Callable[[str], None],
        uncut: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """`say` shows trouble to the operator, `uncut` counts connections that go on. Raises KernelError."""
        self._asked = asked
        self._kernel = kernel
        self._say = say
        self._uncut = uncut
        self._say_at = 0.0
        self._sequence = 0
        self._book = Book(_PER_DEVICE, _MOST)
        self.cut = 0  # connections
        try:
            self._table = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
        except OSError as error:
            raise KernelError(f"conntrack: {error.strerror}", error.errno or 0) from error
        self._table.settimeout(1.0)
        self._table.bind((0, 0))

    def run(self) -> None:
        """Cut until the other end is closed."""
        while True:
            try:
                if not self.step():
                    return
            except Exception as error:  # noqa: BLE001 a bug of ours: the next connection must be cut all the same
                self._uncut(1)
                self._trouble(f"a bug of ours: {error!r}")

    def step(self) -> bool:
        """Wait for connections and cut them; return whether there may be more."""
        wanted: list[Cut] = []
        try:
            message = self._asked.recv(_LARGEST)
            if not message:
                return False
            while True:
                if (found := cut.decode(message)) is not None:
                    wanted.append(found)
                if len(wanted) >= _AT_ONCE:
                    break
                message = self._asked.recv(_LARGEST, socket.MSG_DONTWAIT)
                if not message:
                    break
        except BlockingIOError:
            pass
        except OSError:
            return False
        self._cut(wanted)
        return True

    def close(self) -> None:
        """Close what is ours."""
        self._table.close()

    def _cut(self, wanted: Sequence[Cut]) -> None:
        if not wanted:
            return
        now = time.monotonic()
        self._book.expire(now, _EXPIRE)
        connections = list(dict.fromkeys(wanted))
        gone: list[Pair] = []
        for each in connections:
            self._book.open(cut.pair(each), now + cut.SECONDS)
            gone += self._book.surplus(each.client)
        try:
            self._kernel.apply([*cut.let_go(gone), *map(cut.change, connections)])
        except KernelError as error:
            self._book.close(map(cut.pair, connections))
            self._uncut(len(wanted))
            self._trouble(f"{len(wanted)} connections are not cut: {error}")
            return
        for each in connections:
            self._forget(each)
            self.cut += 1
        try:
            self._kernel.apply([change for each in connections for change in cut.moved(each)])
        except KernelError as error:  # full, say: the connections themselves are cut all the same
            self._trouble(f"QUIC may go on from another port: {error}")

    def _forget(self, each: Cut) -> None:
        """Have the kernel look at the connection's next packet as at a new one's."""
        self._sequence += 1
        try:
            self._table.send(cut.forget(each, self._sequence))
            while (said := next(elements.replies(self._table.recv(4096)))).sequence != self._sequence:
                pass  # to one that nobody waited for any more
        except (OSError, KernelError, StopIteration) as error:
            self._trouble(f"a connection goes on: conntrack: {error!r}")
            return
        if said.error not in (0, errno.ENOENT):  # ENOENT: it has ended, or was never tracked
            self._trouble(f"a connection goes on: conntrack: {os.strerror(said.error)}")

    def _trouble(self, text: str) -> None:
        now = time.monotonic()
        if now >= self._say_at:
            self._say_at = now + _SAY_EVERY
            self._say(text)
