"""DNS over TCP for clients (RFC 7766): many queries per connection, answers in the order they are ready.

A connection may idle for a while and may not be slow: who sends half a message, or none at all, is cut off.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from typing import Final

from blocker.config import Limits
from blocker.exchange import TCP, Exchange, Transport
from blocker.serve.accept import Acceptor
from blocker.sinks.region import Region, Word

BACKLOG: Final = 1024  # connections waiting to be accepted, per worker
_AT_ONCE: Final = 16  # messages of one connection before others get their turn: about 1 ms
_HIGH_WATER: Final = 256 * 1024  # octets of answers a client may leave unread before we stop reading from it

Asked = Callable[[bytes, bytes, Transport, object], None]  # packet, client's address, transport, peer


class Listener:
    """The TCP side of one worker: counts connections and keeps the limits."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        region: Region,
        asked: Asked,
        most: int = sys.maxsize,
    ) -> None:
        """Keep `limits`, and whatever they say no more than `most` connections: what descriptors there are for."""
        self.loop = loop
        self.limits = limits
        self.asked = asked
        self._most = most
        self.region = region
        self._open: dict[Connection, bytes] = {}  # clients; who was heard longest ago comes first
        self._by_client: dict[bytes, int] = {}
        self._acceptor = Acceptor(loop, self._refuse)

    def serve(self, sock: socket.socket) -> None:
        """Accept connections on a listening socket that does not block."""
        self._acceptor.serve(sock, lambda: Connection(self))

    def admit(self, connection: "Connection", client: bytes) -> bool:
        """Tell whether one more connection of `client` may stay, and count it.

        With all taken, the one that idles longest makes room (RFC 7766 §6.2.3): whoever opens many and says nothing
        keeps nobody out.
        """
        if self._by_client.get(client, 0) >= self.limits.tcp_per_client:
            self._refuse()
            return False
        if len(self._open) >= min(self.limits.tcp_connections, self._most):
            self._refuse()
            idle = next((each for each in self._open if each.is_idle), None)
            if idle is None:
                return False
            self.release(idle)
            idle.abort()
        self._by_client[client] = self._by_client.get(client, 0) + 1
        self._open[connection] = client
        self.region.words[Word.TCP_CONNECTIONS] = len(self._open)
        return True

    def heard(self, connection: "Connection", octets: int) -> None:
        """Take note that a connection has just sent a message of so many octets."""
        self.region.words[Word.RECEIVED_BYTES] += octets
        client = self._open.pop(connection, None)
        if client is not None:
            self._open[connection] = client

    def release(self, connection: "Connection") -> None:
        """Take note that a connection is gone."""
        client = self._open.pop(connection, None)
        if client is None:  # never admitted, or gone already
            return
        self._by_client[client] -= 1
        if not self._by_client[client]:
            del self._by_client[client]
        self.region.words[Word.TCP_CONNECTIONS] = len(self._open)

    def drain(self) -> None:
        """Accept no more; close each connection as soon as it waits for nothing."""
        self._acceptor.close()  # who comes now finds other workers, or nobody
        for connection in list(self._open):
            connection.retire()

    def close(self) -> None:
        """Close everything."""
        for connection in list(self._open):
            connection.abort()

    def _refuse(self) -> None:
        self.region.words[Word.TCP_REFUSED] += 1


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._client = b""
        self._retiring = False
        self._unread = False  # the client leaves too many answers unread
        self._held = False  # nothing more is read or handed over for now
        self._buffer = bytearray()
        self._unanswered = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._heard = 0.0  # monotonic seconds of the last whole message
        self._begun = 0.0  # monotonic seconds of the first octet of an unfinished one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        peer = transport.get_extra_info("peername")
        if peer is None:  # gone already
            transport.abort()
            return
        self._client = socket.inet_pton(sock.family, peer[0].partition("%")[0])
        if not self._listener.admit(self, self._client):
            transport.abort()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        self._heard = time.monotonic()
        self._watch()

    @property
    def is_idle(self) -> bool:
        """Whether no answer is waited for."""
        return not self._unanswered

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._begun = time.monotonic()
        self._buffer += data
        self._take()

    def eof_received(self) -> bool:
        """Keep the way out open for answers that are still to come (RFC 7766 §6.2.4)."""
        if not self._unanswered:
            return False
        self._retiring = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        self._transport = None
        if self._deadline is not None:
            self._deadline.cancel()
        self._listener.release(self)

    def pause_writing(self) -> None:
        """The client does not read its answers: no more questions until it does."""
        self._unread = True
        self._hold()

    def resume_writing(self) -> None:
        self._unread = False
        self._go_on()

    def reply(self, exchange: Exchange) -> None:
        """Send the answer of an exchange that came over this connection, if it has one."""
        self._unanswered -= 1
        if self._transport is None:
            return
        if exchange.answer is not None:
            self._listener.region.words[Word.SENT_BYTES] += len(exchange.answer)
            self._transport.write(len(exchange.answer).to_bytes(2) + exchange.answer)
        if self._retiring and not self._unanswered:
            self._transport.close()
        elif self._held:
            self._go_on()

    def retire(self) -> None:
        """Close once nothing is waited for."""
        self._retiring = True
        if not self._unanswered and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self) -> None:
        """Hand over the whole messages in the buffer, as many as may wait for answers at once.

        Answers that are there at once come back through `reply` before the next message is taken.
        """
        taken = 0
        while len(self._buffer) >= 2 and not self._retiring:
            size = int.from_bytes(self._buffer[:2])
            if not size:  # no message has no octets; whoever sends one speaks something else
                self.abort()
                return
            if len(self._buffer) < 2 + size:
                return
            if self._is_busy():
                self._hold()
                return
            if taken == _AT_ONCE:
                self._hold()
                self._listener.loop.call_soon(self._go_on)
                return
            taken += 1
            packet = bytes(self._buffer[2 : 2 + size])
            del self._buffer[: 2 + size]
            self._heard = self._begun = time.monotonic()
            self._listener.heard(self, size)
            self._unanswered += 1
            self._listener.asked(packet, self._client, TCP, self)

    def _is_busy(self) -> bool:
        return self._unread or self._unanswered >= self._listener.limits.tcp_pipeline

    def _hold(self) -> None:
        self._held = True
        if self._transport is not None:
            self._transport.pause_reading()

    def _go_on(self) -> None:
        if self._is_busy():
            return
        self._held = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._take()

    def _watch(self) -> None:
        """Cut off who idles, who is slow to finish a message, and who does not read."""
        limits = self._listener.limits
        now = time.monotonic()
        if self._buffer and not self._unanswered and now - self._begun >= limits.tcp_read:
            self.abort()
            return
        if not self._unanswered and now - self._heard >= limits.tcp_idle:
            if self._transport is not None and self._transport.get_write_buffer_size():
                self.abort()
            else:
                self.retire()
            return
        self._deadline = self._listener.loop.call_later(min(limits.tcp_read, limits.tcp_idle) / 4, self._watch)
