"""A small server on a listening socket that is there already: a thread per connection, and never too many.

Nobody can hold it up: beyond `limit` connections whoever has waited longest to say what it wants gives way to the next,
and each ends after `lifetime`.
"""

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable
from socketserver import BaseRequestHandler, TCPServer, ThreadingMixIn
from typing import Any, Final

from blocker.serve.accept import EXHAUSTED
from blocker.sinks import oplog

_PIECE: Final = 65536  # octets read at once
_PAUSE: Final = 0.5  # seconds until accepting is tried again where the system had no room


def hear(request: socket.socket, whole: Callable[[bytes], bool], limit: int, patience: float) -> bytes:
    """Return what a peer says until it is `whole`, has `limit` octets, took `patience` seconds, or there is no more."""
    deadline = time.monotonic() + patience
    found = b""
    while not whole(found) and len(found) < limit:
        request.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = request.recv(min(_PIECE, limit - len(found)))
        except OSError:
            break
        if not data:
            break
        found += data
    return found


class ThreadedServer(ThreadingMixIn, TCPServer):
    """Serves connections of `listener` with `handler`."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, listener: socket.socket, handler: type[BaseRequestHandler], *, limit: int, lifetime: float, busy: bytes
    ) -> None:
        """Serve `limit` connections at once, and end each after `lifetime` seconds.

        While all of them are at work (`heard`), the next is told `busy`.
        """
        super().__init__(("", 0), handler, bind_and_activate=False)
        self.socket.close()  # the one that TCPServer has made
        self.socket = listener
        self.socket.setblocking(False)  # a peer that is gone before accept() must not stop us
        self._limit = limit
        self._lifetime = lifetime
        self._busy = busy
        self._open: dict[socket.socket, float] = {}  # monotonic seconds of the accept, the oldest first
        self._speaking: dict[socket.socket, None] = {}  # those that have not said what they want, the oldest first
        self._lock = threading.Lock()
        self._log = oplog.get("control")

    def start(self) -> None:
        """Serve in a thread of its own, until the process ends or `shutdown`."""
        threading.Thread(target=self.serve_forever, name=type(self).__name__, daemon=True).start()

    def heard(self, request: socket.socket) -> None:
        """Take note that a connection has said what it wants: it gives way to nobody any more."""
        with self._lock:
            self._speaking.pop(request, None)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; without descriptors wait a little, and let what is under way end."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in EXHAUSTED:
                time.sleep(_PAUSE)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 as in socketserver
        """Serve a connection in its thread, or refuse it."""
        with self._lock:
            free = len(self._open) < self._limit or self._make_room()
            if free:
                self._open[request] = time.monotonic()
                self._speaking[request] = None
        if free:
            super().process_request(request, client_address)
            return
        request.settimeout(0)
        with contextlib.suppress(OSError):
            request.sendall(self._busy)
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 as in socketserver
        """Close a connection; every one comes by here at its end."""
        with self._lock:
            self._open.pop(request, None)
            self._speaking.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End connections that have lasted too long; called by `serve_forever` twice a second."""
        now = time.monotonic()
        with self._lock:
            for request, since in self._open.items():
                if now - since >= self._lifetime:
                    _wake(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 as in socketserver
        """Tell of bugs, but not of peers that went away."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self._log.error("a bug of ours in a connection", exc_info=error)

    def _make_room(self) -> bool:
        """End the connection that has spoken longest, if there is one; tell whether there was. Needs the lock."""
        oldest = next(iter(self._speaking), None)
        if oldest is None:
            return False
        del self._open[oldest], self._speaking[oldest]  # its thread ends by itself, and holds nobody up meanwhile
        _wake(oldest)
        return True


def _wake(request: socket.socket) -> None:
    """Let the thread that serves a connection wake up, and close it."""
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
