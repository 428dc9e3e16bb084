"""Sockets towards the upstreams: each connected, each from a random source port, none for long (RFC 5452 §9.2).

A forged response must guess id, port and question. The kernel checks the address, since the sockets are
connected; a port serves some hundred queries and gives way to another, so that finding it is of no use.
"""

import asyncio
import contextlib
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from blocker.config import Endpoint
from blocker.upstream.entropy import Entropy

_USES: Final = 256  # queries from one port; opening one costs several system calls, so not one each
_AGE: Final = 30.0  # seconds a port is used at the most
_LINGER: Final = 12.0  # seconds an old port still listens for late responses
_FIRST_PORT: Final = 1024
_ROUNDS: Final = 32  # looks at the sockets per wake-up, so that clients get their turn
RECEIVE: Final = 4096  # octets of a packet that are read; we advertise 1232


@dataclass(slots=True)
class Port:
    """One socket."""

    number: int  # never used twice
    server: int
    socket: socket.socket
    opened: float  # monotonic seconds
    uses: int = 0


class Ports:
    """All sockets of one worker towards its upstreams."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        servers: Sequence[Endpoint],
        size: int,
        received: Callable[[bytes, Port], None],
        unreachable: Callable[[Port], None],
        polled: Callable[[], None],
        most: int = sys.maxsize,
    ) -> None:
        """Open `size` sockets per server; `received` gets each packet, `unreachable` each ICMP error, and
        `polled` is called after a batch of them. With `most` sockets open, old ones do not linger.
        """
        self._loop = loop
        self._servers = servers
        self._received = received
        self._unreachable = unreachable
        self._polled = polled
        self._most = most
        self._random = Entropy()
        self._numbers = 0
        self._by_fd: dict[int, Port] = {}
        self._old: deque[tuple[float, Port]] = deque()
        self._epoll = select.epoll()
        self._ports: list[list[Port | None]] = [[None] * size for _ in servers]  # opened when first used
        loop.add_reader(self._epoll.fileno(), self.poll)

    def pick(self, server: int, random: int, now: float) -> Port:
        """Return a socket towards `server`, chosen by `random`; worn out ones are replaced on the way.

        Raises OSError when there is none and none can be opened: no descriptor left, no route.
        """
        ports = self._ports[server]
        at = random % len(ports)
        port = ports[at]
        if port is None:
            port = ports[at] = self._open(server)
        port.uses += 1
        if port.uses > _USES or now - port.opened > _AGE:
            with contextlib.suppress(OSError):  # then the old one must serve on
                fresh = self._open(server)
                self._old.append((now + _LINGER, port))
                port = ports[at] = fresh
            while self._old and (self._old[0][0] < now or len(self._by_fd) > self._most):
                self._close(self._old.popleft()[1])
        return port

    def poll(self) -> None:
        """Hand over what has arrived."""
        for _ in range(_ROUNDS):
            ready = self._epoll.poll(0)
            if not ready:
                break
            for fd, _events in ready:
                port = self._by_fd.get(fd)
                if port is None:  # closed by what an earlier packet of this batch led to
                    continue
                try:
                    packet = port.socket.recv(RECEIVE)
                except BlockingIOError:
                    continue
                except OSError:
                    self._unreachable(port)
                else:
                    self._received(packet, port)
        self._polled()

    def close(self) -> None:
        """Close all sockets."""
        self._loop.remove_reader(self._epoll.fileno())
        for port in list(self._by_fd.values()):
            self._close(port)
        self._epoll.close()

    def _open(self, server: int) -> Port:
        end = self._servers[server]
        family = socket.AF_INET6 if end.address.version == 6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        for _ in range(8):
            try:
                sock.bind(("", _FIRST_PORT + self._random() % (65536 - _FIRST_PORT)))
                break
            except OSError:  # taken, or not ours to take: another one; in the end the kernel chooses
                continue
        try:
            sock.connect((str(end.address), end.port))
            with contextlib.suppress(BlockingIOError):  # until here anybody could send to it (RFC 5452 §9.1)
                while True:
                    sock.recv(1)
        except OSError:
            sock.close()
            raise
        self._numbers += 1
        port = Port(self._numbers, server, sock, time.monotonic())
        self._by_fd[sock.fileno()] = port
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        return port

    def _close(self, port: Port) -> None:
        self._epoll.unregister(port.socket.fileno())
        del self._by_fd[port.socket.fileno()]
        port.socket.close()
