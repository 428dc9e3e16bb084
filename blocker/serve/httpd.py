"""/metrics, /healthz and /readyz over HTTP, for Prometheus, load balancers and orchestrators. Read-only."""

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from blocker.serve.threaded import ThreadedServer
from blocker.sinks import companions, oplog, workers
from blocker.sinks.metrics import Collector
from blocker.sinks.region import Region

_CONNECTIONS: Final = 16
_LIFETIME: Final = 15.0  # seconds a connection lasts at the most: one request and its answer
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
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return {
        "/metrics": partial(_metrics, registry),
        "/healthz": lambda _accept: Page(HTTPStatus.OK, _TEXT, b"ok\n"),
        "/readyz": lambda _accept: _readiness(regions, beside, clock()),
    }


def _metrics(registry: CollectorRegistry, accept: str) -> Page:
    encode, content_type = choose_encoder(accept)
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


class _Handler(BaseHTTPRequestHandler):
    server: Httpd
    timeout = 5.0  # seconds to wait for a peer
    protocol_version = "HTTP/1.1"
    error_content_type = _TEXT
    error_message_format = "%(code)d %(message)s\n"

    def do_GET(self) -> None:
        """Answer with a page."""
        self._answer(self._page())

    def do_HEAD(self) -> None:
        """Answer with a page's head."""
        self._answer(self._page(), with_body=False)

    def _refuse(self) -> None:
        page = Page(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"405 only GET and HEAD\n")
        self._answer(page, headers={"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815 http.server's names

    def _page(self) -> Page:
        make = self.server.pages.get(self.path.partition("?")[0])
        if make is None:
            return Page(HTTPStatus.NOT_FOUND, _TEXT, b"404 try /metrics, /healthz or /readyz\n")
        try:
            return make(self.headers.get("Accept", ""))
        except Exception as error:  # noqa: BLE001 a monitor must hear of a bug, not only see a connection break
            oplog.get("control").error("a page could not be made", path=self.path, exc_info=error)
            return Page(HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, b"500 see the log\n")

    def _answer(self, page: Page, *, with_body: bool = True, headers: Mapping[str, str] | None = None) -> None:
        self.close_connection = True  # one request per connection: nobody keeps one of the few for himself
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(page.body)

    def version_string(self) -> str:
        """Name the product, but no version: that is for those who may see /metrics."""
        return "blocker"

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: monitors ask every few seconds."""
