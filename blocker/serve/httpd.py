"""/metrics, /healthz and /readyz over HTTP, for Prometheus, load balancers and orchestrators. Read-only."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus
from socketserver import BaseRequestHandler
from types import MappingProxyType
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from blocker.egress.hello import http
from blocker.egress.hello.seen import LIMIT, MORE, Request, Unread
from blocker.serve.threaded import ThreadedServer, hear
from blocker.sinks import companions, oplog, workers
from blocker.sinks.metrics import Collector
from blocker.sinks.region import Region

_CONNECTIONS: Final = 16
_PATIENCE: Final = 5.0  # seconds a peer may take for its request, and again for its answer
_LIFETIME: Final = 15.0  # seconds a connection lasts at the most: one request and its answer
_USUAL: Final = 4096  # octets of a request that nothing more is expected behind
_LATE: Final = 1 << 17  # octets of a longer one that are still taken, and seconds
_LINGER: Final = 1.0
_TEXT: Final = "text/plain; charset=utf-8"
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Page(NamedTuple):
    """What a request is answered with."""

    status: HTTPStatus
    content_type: str
    body: bytes


Pages = Mapping[str, Callable[[str], Page]]
"""Paths, and what makes their pages of a request's Accept header."""


def pages(
    collector: Collector,
    regions: Sequence[Region],
    beside: Mapping[str, Region] = MappingProxyType({}),
    clock: Callable[[], int] = time.monotonic_ns,
) -> Pages:
    """Return all there is to see; `beside` are the regions of companions, `clock` tells monotonic nanoseconds."""
    making = threading.Lock()  # one at a time: many who ask at once must not keep the logs' thread from its turn
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return {
        "/metrics": lambda accept: _metrics(registry, making, accept),
        "/healthz": lambda _accept: Page(HTTPStatus.OK, _TEXT, b"ok\n"),
        "/readyz": lambda _accept: _readiness(regions, beside, clock()),
    }


def _metrics(registry: CollectorRegistry, making: threading.Lock, accept: str) -> Page:
    encode, content_type = choose_encoder(accept)
    with making:
        return Page(HTTPStatus.OK, content_type, encode(registry))


def _readiness(regions: Sequence[Region], beside: Mapping[str, Region], now: int) -> Page:
    """Say whether DNS is served; a companion that does not live is named, but DNS goes on without it."""
    seen = workers.look(regions, now)
    troubles = [worker.trouble for worker in seen if not worker.up]
    warnings = [each.trouble for each in companions.look(beside, now) if not each.up]
    said = {"ready": not troubles, "workers": len(seen), "problems": troubles, "warnings": warnings}
    status = HTTPStatus.SERVICE_UNAVAILABLE if troubles else HTTPStatus.OK
    return Page(status, "application/json", json.dumps(said).encode() + b"\n")


class Httpd(ThreadedServer):
    """The HTTP server."""

    def __init__(self, listener: socket.socket, shown: Pages) -> None:
        """Serve the pages `shown` on `listener`."""
        super().__init__(listener, _Handler, limit=_CONNECTIONS, lifetime=_LIFETIME, busy=_BUSY)
        self.pages = shown


class _Handler(BaseRequestHandler):
    server: Httpd
    request: socket.socket

    def handle(self) -> None:
        """Answer one request; nobody keeps one of the few connections for more."""
        said = hear(self.request, lambda octets: http.read(octets) is not MORE, LIMIT, _PATIENCE)
        self.server.heard(self.request)
        if not said:
            return
        request = http.read(said)
        page = self._page(request, http.field(said, b"accept"))
        with_body = not (isinstance(request, Request) and request.method == b"HEAD")
        self.request.settimeout(_PATIENCE)
        with contextlib.suppress(OSError):
            self.request.sendall(_head(page) + (page.body if with_body else b""))
            if len(said) > _USUAL:  # more may be under way: closing now would take back what was said (RFC 9112 §9.6)
                self.request.shutdown(socket.SHUT_WR)
                hear(self.request, lambda _: False, _LATE, _LINGER)

    def _page(self, request: Request | Unread, accept: str) -> Page:
        if isinstance(request, Unread):
            return Page(HTTPStatus.BAD_REQUEST, _TEXT, b"400 this is no request\n")
        if request.method not in (b"GET", b"HEAD"):
            return Page(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"405 only GET and HEAD\n")
        path = request.path.partition(b"?")[0].decode("latin-1")
        make = self.server.pages.get(path)
        if make is None:
            return Page(HTTPStatus.NOT_FOUND, _TEXT, b"404 try /metrics, /healthz or /readyz\n")
        try:
            return make(accept)
        except Exception as error:  # noqa: BLE001 a monitor must hear of a bug, not only see a connection break
            oplog.get("control").error("a page could not be made", path=path, exc_info=error)
            return Page(HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, b"500 see the log\n")


def _head(page: Page) -> bytes:
    """Return what comes before a page's body; nothing in it is a stranger's."""
    lines = [
        f"HTTP/1.1 {page.status.value} {page.status.phrase}",
        "Server: blocker",  # and no version: that is for those who may see /metrics
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    if page.status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
