"""A small server on a listening socket that is there already: a thread per connection, and never too many.

Nobody can hold it up: beyond `limit` connections the next are refused, and each ends after `lifetime`.
"""

import contextlib
import socket
import sys
import threading
import time
from socketserver import BaseRequestHandler, TCPServer, ThreadingMixIn
from typing import Any

from blocker.sinks import oplog


class ThreadedServer(ThreadingMixIn, TCPServer):
    """Serves connections of `listener` with `handler`."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, listener: socket.socket, handler: type[BaseRequestHandler], *, limit: int, lifetime: float, busy: bytes
    ) -> None:
        """Refuse more than `limit` connections, saying `busy`; end each after `lifetime` seconds."""
        super().__init__(("", 0), handler, bind_and_activate=False)
        self.socket.close()  # the one that TCPServer has made
        self.socket = listener
        self.socket.setblocking(False)  # a peer that is gone before accept() must not stop us
        self._limit = limit
        self._lifetime = lifetime
        self._busy = busy
        self._open: dict[socket.socket, float] = {}  # monotonic seconds of the accept
        self._lock = threading.Lock()
        self._log = oplog.get("control")

    def start(self) -> None:
        """Serve in a thread of its own, until the process ends or `shutdown`."""
        threading.Thread(target=self.serve_forever, name=type(self).__name__, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 as in socketserver
        """Serve a connection in its thread, or refuse it."""
        with self._lock:
            free = len(self._open) < self._limit
            if free:
                self._open[request] = time.monotonic()
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
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End connections that have lasted too long; called by `serve_forever` twice a second."""
        now = time.monotonic()
        with self._lock:
            for request, since in self._open.items():
                if now - since >= self._lifetime:
                    with contextlib.suppress(OSError):
                        request.shutdown(socket.SHUT_RDWR)  # its thread wakes up and closes it

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 as in socketserver
        """Tell of bugs, but not of peers that went away."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self._log.error("a bug of ours in a connection", exc_info=error)
