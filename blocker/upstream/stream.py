"""One TCP connection to an upstream, for answers that do not fit a datagram (RFC 7766).

Kept open while it is used, queries pipelined, replies in any order. Knows ids and lengths; whether a
reply is the right one is for its caller to check.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from blocker.config import Endpoint

_IDLE: Final = 10.0  # seconds
_MAX_WAITING: Final = 1000  # queries on one connection

Replied = Callable[[bytes | None], None]


class Connection(asyncio.Protocol):
    """Queries and replies over one connection, opened when first needed and again after a loss."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: Endpoint, timeout: float) -> None:
        self._loop = loop
        self._server = server
        self._timeout = timeout
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._waiting: dict[int, Replied] = {}
        self._unsent: list[bytes] = []
        self._buffer = bytearray()
        self._watch: asyncio.TimerHandle | None = None

    def ask(self, ident: int, message: bytes, replied: Replied) -> None:
        """Send `message`, whose id is `ident`; `replied` gets the reply, or None when there will be none."""
        if ident in self._waiting or len(self._waiting) >= _MAX_WAITING:
            self._loop.call_soon(replied, None)
            return
        self._waiting[ident] = replied
        framed = len(message).to_bytes(2) + message
        if self._transport is not None:
            self._transport.write(framed)
        else:
            self._unsent.append(framed)
            if self._opening is None:
                self._opening = self._loop.create_task(self._open())
        if len(self._waiting) == 1:
            self._rewatch()

    def close(self) -> None:
        """Close the connection; whoever waits is told that there will be no reply."""
        if self._opening is not None:
            self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._fail()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer.clear()
        transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2:
            end = 2 + int.from_bytes(self._buffer[:2])
            if len(self._buffer) < end:
                return
            packet = bytes(self._buffer[2:end])
            del self._buffer[:end]
            replied = self._waiting.pop(int.from_bytes(packet[:2]), None)
            if replied is not None:
                self._rewatch()
                replied(packet)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        self._transport = None
        self._fail()

    async def _open(self) -> None:
        host, port = str(self._server.address), self._server.port
        try:
            async with asyncio.timeout(self._timeout):
                await self._loop.create_connection(lambda: self, host, port)
        except (OSError, TimeoutError):
            self._fail()
        finally:
            self._opening = None

    def _fail(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        waiting, self._waiting = self._waiting, {}
        self._unsent.clear()
        for replied in waiting.values():
            replied(None)

    def _rewatch(self) -> None:
        """Close the connection when it has been idle, or silent to our queries, for long."""
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._loop.call_later(max(_IDLE, self._timeout), self._expire)

    def _expire(self) -> None:
        self._watch = None
        if self._transport is not None:
            self._transport.abort()
