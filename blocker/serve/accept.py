"""Takes connections from listening sockets, and pauses where the system has no room for more.

Not asyncio's own server: without a descriptor it tries a thousand times a turn, and each failure is noise.
"""

import asyncio
import errno
import resource
import socket
from collections.abc import Callable
from typing import Final

_AT_ONCE: Final = 64  # connections per wake-up, so that others get their turn
EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
"""Errors of accept() that say nothing of the connection: the system has no room, and will have none at once."""

_PAUSE: Final = 1.0  # seconds until accepting is tried again where the system had no room

Welcome = Callable[[], asyncio.Protocol]


def descriptors() -> int:
    """Return how many files and sockets this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Acceptor:
    """Accepts connections in an event loop, until it is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, refused: Callable[[], object]) -> None:
        """`refused` is called each time that there was no room for a connection; it goes on waiting."""
        self._loop = loop
        self._refused = refused
        self._listening: list[socket.socket] = []
        self._arriving: set[asyncio.Task[object]] = set()

    def serve(self, sock: socket.socket, welcome: Welcome) -> None:
        """Accept connections on a listening socket that does not block; `welcome` makes what speaks with each."""
        self._listening.append(sock)
        self._resume(sock, welcome)

    def close(self) -> None:
        """Accept no more, and close the sockets: our own descriptors of them."""
        for sock in self._listening:
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._listening.clear()

    def _resume(self, sock: socket.socket, welcome: Welcome) -> None:
        if sock in self._listening:
            self._loop.add_reader(sock.fileno(), self._accept, sock, welcome)

    def _accept(self, listening: socket.socket, welcome: Welcome) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _peer = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:  # most often of the connection, which is gone (accept(2))
                if error.errno in EXHAUSTED:
                    self._refused()
                    self._loop.remove_reader(listening.fileno())
                    self._loop.call_later(_PAUSE, self._resume, listening, welcome)
                    return
                continue
            sock.setblocking(False)
            task = self._loop.create_task(self._loop.connect_accepted_socket(welcome, sock))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)
