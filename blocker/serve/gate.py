"""A worker's side of the gate: answers wait here until the kernel lets their clients where they point.

What waits is said to the egress process once per batch, and goes out when it has said that the sets are changed. An
answer that changes nothing in the kernel does not wait. Decides nothing but that, and how long.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from blocker.config import Gating
from blocker.egress import talk
from blocker.egress.memo import Memo
from blocker.egress.talk import Ask, Done, Forget, Message, Status
from blocker.exchange import Exchange
from blocker.fast import Fast
from blocker.line import Line
from blocker.policy import Gate
from blocker.serve.channel import Channel
from blocker.sinks.region import Region, Word

_FIRST_WAIT: Final = 2.0  # seconds, for an egress process that was not heard yet: it starts when we do
_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291 §2.5.5.2


class _Request(NamedTuple):
    """Answers that were asked for together."""

    since: float  # monotonic seconds
    exchanges: list[Exchange]  # none: only whether anybody answers matters
    asks: list[Ask]


class Held:
    """The answers of one worker that wait."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        path: Path,
        config: Gating,
        line: Line,
        fast: Fast,
        region: Region,
        send: Callable[[Exchange], None],
        flush: Callable[[], None],
    ) -> None:
        """`path` is the egress process's socket; `send` takes answers that may go, `flush` ends a batch of them."""
        self.config = config
        self._loop = loop
        self._line = line
        self._fast = fast
        self._words = region.words
        self._send = send
        self._flush = flush
        self._memo = Memo()
        self._new: list[Exchange] = []  # not said yet
        self._new_since = 0.0  # monotonic seconds, of the oldest
        self._said: dict[int, _Request] = {}  # by number, the oldest first
        self._numbers = itertools.count(time.monotonic_ns() & 0x3FFFFFFF)  # not those of a former worker of the slot
        self._held = 0
        self._starting = True  # nobody answered yet, and nobody waited in vain
        self._silent = False  # nobody answered in time: until somebody does, nobody waits
        self._timer: asyncio.TimerHandle | None = None
        self._channel = Channel(loop, path, region, self)

    def __len__(self) -> int:
        """The number of answers that wait."""
        return self._held

    def passes(self, exchange: Exchange) -> bool:
        """Tell whether an answer with addresses may go now; else it is kept, and handed to `send` later."""
        now = time.monotonic()
        until = self._memo.until(_plain(exchange.client), exchange.told)
        spare = until - now - max(exchange.ttl, self.config.minimum) - self.config.grace / 2
        if spare >= 0:
            self._remember(exchange, int(now + spare))
            return True
        if self._silent or self._held >= self.config.waiting:
            self._fail(exchange)
            if not self._said:  # whether it is still silent
                self._ask(now, [], [self._wish(exchange)])
            return True
        if not self._new:
            self._new_since = now
            self._loop.call_soon(self.ready)  # once for all that comes in this turn
        self._new.append(exchange)
        self._held += 1
        self._wake()
        return False

    def close(self) -> None:
        """Let go of everything that waits, for good."""
        if self._timer is not None:
            self._timer.cancel()
        self._channel.close()
        self._look_at(float("inf"))

    def begun(self) -> None:
        """Tell the process that takes the place of one that has died all that was not answered; what it says counts."""
        self._forget(())
        again = [exchange for request in self._said.values() for exchange in request.exchanges]
        if again:
            self._new_since = next(iter(self._said.values())).since
            self._new = again + self._new
        self._said.clear()
        self.ready()

    def ready(self) -> None:
        """Say what is new, if the line takes it; what it does not take goes together with what comes next."""
        while self._new:
            asks: list[Ask] = []
            room = talk.MAX_MESSAGE
            for exchange in self._new:
                wish = self._wish(exchange)
                room -= talk.size(wish)
                if room < 0:
                    break
                asks.append(wish)
            if not self._ask(self._new_since, self._new[: len(asks)], asks):
                return
            del self._new[: len(asks)]

    def heard(self, message: Message) -> None:
        """Take what the egress process says."""
        if isinstance(message, Done):
            self._done(message)
        elif isinstance(message, Forget):
            self._forget(message.clients)

    def heard_all(self) -> None:
        """Send the answers that may go."""
        self._flush()

    def _ask(self, since: float, exchanges: list[Exchange], asks: list[Ask]) -> bool:
        number = next(self._numbers) & 0xFFFFFFFF
        if not self._channel.send(talk.asks(number, asks)):
            return False
        self._said[number] = _Request(since, exchanges, asks)
        self._wake()
        return True

    def _wish(self, exchange: Exchange) -> Ask:
        seconds = max(exchange.ttl, self.config.minimum) + self.config.grace
        return Ask(_plain(exchange.client), seconds, exchange.told)

    def _done(self, said: Done) -> None:
        self._silent = False
        if self._starting:
            self._starting = False
            self._look_later(self.config.wait)  # what else waited since the start is about to be answered
        request = self._said.pop(said.number, None)
        if request is None:  # too late, or a former worker's
            return
        now = time.monotonic()
        opened = said.status is Status.OPEN
        if opened:
            for ask in request.asks:
                self._memo.put(ask.client, tuple(ask.addresses), request.since + ask.seconds)
        self._words[Word.GATE_NS] += int((now - request.since) * 1e9) * len(request.exchanges)
        self._release(request.exchanges, opened=opened)

    def _forget(self, clients: Sequence[bytes]) -> None:
        """Let every answer to these clients, or to all, change the kernel's sets anew."""
        if not clients:
            self._memo.clear()
            self._fast.forget_own()
            return
        self._memo.forget(clients)
        for client in clients:
            self._fast.forget(client)
            self._fast.forget(_MAPPED + client)

    @property
    def _wait(self) -> float:
        return max(self.config.wait, _FIRST_WAIT) if self._starting else self.config.wait

    def _wake(self) -> None:
        if self._timer is None:
            self._look_later(self._wait)

    def _look_later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Let go of what has waited long enough."""
        self._timer = None
        now = time.monotonic()
        self._look_at(now - self._wait)
        oldest = min(
            [request.since for request in self._said.values()] + [self._new_since] * bool(self._new), default=None
        )
        if oldest is not None:
            self._look_later(max(0.0, oldest + self._wait - now))
        self._flush()

    def _look_at(self, since: float) -> None:
        """Let go of what waits since then or longer."""
        for number in [number for number, request in self._said.items() if request.since <= since]:
            self._give_up()
            self._release(self._said.pop(number).exchanges, opened=False)
        if self._new and self._new_since <= since:
            self._give_up()
            late, self._new = self._new, []
            self._release(late, opened=False)

    def _give_up(self) -> None:
        self._silent, self._starting = True, False

    def _release(self, exchanges: Sequence[Exchange], *, opened: bool) -> None:
        self._held -= len(exchanges)
        self._words[Word.GATE_HELD] += len(exchanges)
        for exchange in exchanges:
            if not opened:
                self._fail(exchange)
            self._send(exchange)

    def _fail(self, exchange: Exchange) -> None:
        """Do without the kernel's word: where the gate is in force, the client could not connect."""
        self._words[Word.GATE_FAILED] += 1
        if exchange.policy.gate is Gate.ENFORCE:
            self._line.withhold(exchange)

    def _remember(self, exchange: Exchange, until: int) -> None:
        """Let the drain give the answer again to the same client, for as long as nothing needs to change for it."""
        given, query = exchange.given, exchange.query
        if given is not None and query is not None:
            given = given._replace(expires=min(given.expires, until))
            self._fast.put(exchange.policy, exchange.client, query.packet, given)


def _plain(client: bytes) -> bytes:
    """Return an address as packets carry it: IPv4-mapped IPv6 is how a socket for both speaks of IPv4."""
    return client[12:] if client.startswith(_MAPPED) else client
