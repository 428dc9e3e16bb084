"""One visitor's connection to the sinkhole: it says what it wants, is told, and goes, each in its time.

Decides when a connection ends and how: after an answer it is left open until the visitor has read it, or for as long
again as it had to speak; else it is reset, so that nothing of it stays.
"""

import asyncio
import socket
import struct
from typing import Final, Protocol

from blocker.egress.attempt import Flow
from blocker.sinkhole.limits import Door
from blocker.sinkhole.visit import Greeting, Kind, Outcome, Visit

_LATE_WORDS: Final = 1 << 17  # octets that a visitor may still say when it has its answer
_NO_LINGER: Final = struct.pack("ii", 1, 0)  # SO_LINGER for 0 seconds: close() sends a reset
_TCP: Final = "tcp"


class House(Protocol):
    """Whom visitors come to."""

    door: Door

    def admit(self, address: bytes) -> bool:
        """Tell whether a visitor from `address` may come in; count those who may not."""

    def tell(self, flow: Flow, visit: Visit) -> bytes:
        """Record a visit, and return what it is answered with; nothing: a reset."""

    def over(self, kind: Kind, outcome: Outcome) -> None:
        """Count how a visit ended that `tell` never heard of."""


class Visitor(asyncio.Protocol):
    """One connection."""

    def __init__(self, house: House, *, heard_out: bool) -> None:
        """Come to `house`; `heard_out`: it may say what it wants."""
        self._house = house
        self._heard_out = heard_out
        self._transport: asyncio.Transport | None = None
        self._flow: Flow | None = None  # of a visitor who was let in
        self._greeting = Greeting()
        self._told = False  # it has its answer, and its visit is counted
        self._late = 0  # octets that came after that
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        peer, here = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if peer is None or here is None:  # gone already
            self._reset()
            return
        client, destination = (socket.inet_pton(sock.family, each[0].partition("%")[0]) for each in (peer, here))
        if not self._house.admit(client):
            self._reset()
            return
        self._flow = Flow(client, destination, here[1], _TCP)
        if not self._heard_out:
            self._tell(Visit(Kind.OTHER))
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._told:
            self._late += len(data)
            if self._late > _LATE_WORDS:
                self._reset()
        elif (visit := self._greeting.take(data)) is not None:
            self._tell(visit)

    def eof_received(self) -> bool:
        """Close: who said everything has its answer already."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        self._transport = None
        if self._deadline is not None:
            self._deadline.cancel()
        if self._flow is not None:
            self._settle(Outcome.CLOSED)
            self._house.door.leave(self._flow.client)

    def _tell(self, visit: Visit) -> None:
        assert self._flow is not None
        self._told = True
        said = self._house.tell(self._flow, visit)
        if not said or self._transport is None:
            self._reset()
            return
        self._transport.write(said)
        self._transport.write_eof()
        self._wait()

    def _wait(self) -> None:
        """Give the visitor time: to speak, or to read."""
        if self._deadline is not None:
            self._deadline.cancel()
        seconds = self._house.door.limits.read
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._settle(Outcome.TIMEOUT)
        self._reset()

    def _settle(self, outcome: Outcome) -> None:
        """Count how the visit ended, unless it was."""
        if not self._told:
            self._told = True
            self._house.over(self._greeting.kind, outcome)

    def _reset(self) -> None:
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()
