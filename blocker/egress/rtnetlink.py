"""The kernel's own list of neighbours and addresses, read once and then followed: a shell around neighbours.py.

Needs no privilege.
"""

import errno
import socket
import time
from typing import Final

from blocker.egress import neighbours
from blocker.egress.neighbours import Neighbours
from blocker.errors import KernelError

_GROUPS: Final = 0x4 | 0x10 | 0x100  # RTMGRP_NEIGH, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_RECEIVE: Final = 1 << 17  # octets: the kernel fills 32 KiB at the most
_BUFFER: Final = 4 << 20  # octets of news that may wait


class Rtnetlink:
    """A socket that hears of neighbours; never waits."""

    def __init__(self) -> None:
        """Begin to listen; `read` has to be called for anything to be known. Raises KernelError."""
        self.known = Neighbours()
        self._sequence = 0
        self._wanted: list[int] = []  # dumps that are still to be asked for: one at a time
        try:
            self.socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
            )
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self.socket.bind((0, _GROUPS))
        except OSError as error:
            raise KernelError(f"rtnetlink: {error.strerror}", error.errno or 0) from error
        self._read_all()

    def read(self) -> list[bytes]:
        """Take the news there are, and return the addresses that devices were found to have. Raises KernelError."""
        found: list[bytes] = []
        while True:
            try:
                wire = self.socket.recv(_RECEIVE)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise KernelError(f"rtnetlink: {error.strerror}", error.errno or 0) from error
                self._read_all()  # some news were lost
                continue
            news, ended = self.known.heard(wire, time.monotonic())
            found += news
            if ended:
                self._ask_next()

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _read_all(self) -> None:
        self._wanted = [neighbours.GET_NEIGHBOURS, neighbours.GET_ADDRESSES]
        self._ask_next()

    def _ask_next(self) -> None:
        if self._wanted:
            self._sequence += 1
            self.socket.send(neighbours.question(self._wanted.pop(0), self._sequence))
