"""A worker's side of learning: says what allowed and banned names it meets, and looks banned ones up when asked.

Only what upstreams said anew is told, not each query. What the line does not take for now is kept, as far as there is
room for it; what is dropped comes again with the next answer from upstream. An answer waits for it only if it names an
address that is refused: until that is let go, for a moment at the most.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from blocker.cache import Cache
from blocker.egress import talk
from blocker.egress.talk import Answer, Done, LookUp, Message, Refused
from blocker.errors import WireError
from blocker.exchange import Exchange
from blocker.names import Name
from blocker.policy import PASSTHRU, Trigger
from blocker.serve.channel import Channel
from blocker.sinks.region import Region
from blocker.wire.query import Query, parse_query
from blocker.wire.response import Response

_HEAD: Final = b"\0\0\1\0\0\1\0\0\0\0\0\0"  # recursion desired, one question
_GATHER: Final = 0.001  # seconds between two messages of what was met: a refused address is let go before most connect
_MOST: Final = 200  # answers in one message; what is met beyond that meanwhile is dropped
_WAIT: Final = 0.05  # seconds that an answer waits for an address to be let go
_LOOK: Final = 0.1  # seconds between looks at the cache for what upstream was asked


class Teacher:
    """Tells what one worker meets."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        path: Path,
        region: Region,
        cache: Cache,
        refresh: Callable[[Query, float], None],
        deadline: float,
        look_again: Callable[[], None],
        go_on: Callable[[Exchange], None],
        flush: Callable[[], None],
    ) -> None:
        """`path` is the egress process's socket; `refresh` asks upstream, whose answer is in `cache` by `deadline`.

        `look_again` has what is cached told as news: who begins to learn knows nothing of what was said before.
        `go_on` takes answers that have waited, `flush` ends a batch of them.
        """
        self._loop = loop
        self._cache = cache
        self._refresh = refresh
        self._deadline = deadline
        self._look_again = look_again
        self._go_on = go_on
        self._flush = flush
        self._refused: set[bytes] = set()  # addresses of banned names that the kernel refuses
        self._waiting: dict[int, Exchange] = {}  # by the number of what was told, the oldest first
        self._numbers = itertools.count(1)
        self._met: dict[Name, Answer] = {}
        self._banned: set[Name] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._channel = Channel(loop, path, region, self)

    def passes(self, exchange: Exchange) -> bool:
        """Take note of an exchange that is settled, and tell whether its answer may go; else `go_on` gets it later."""
        response = exchange.fresh
        if response is None or self._refused.isdisjoint(response.addresses) or len(self._waiting) >= _MOST:
            self._note(exchange)
            return True
        assert exchange.query is not None
        number = next(self._numbers) & 0xFFFFFFFF or next(self._numbers)
        if not self._channel.send(talk.met([_told(exchange, exchange.query.qname, response)], number)):
            self._note(exchange)  # and again when the line takes it
            return True
        exchange.fresh = None  # it is told now, and once
        self._waiting[number] = exchange
        self._loop.call_later(_WAIT, self._release, number)
        return False

    def _note(self, exchange: Exchange) -> None:
        query, response = exchange.query, exchange.fresh
        if query is None:
            return
        if response is not None and len(self._met) < _MOST:
            self._met[query.qname] = _told(exchange, query.qname, response)
        elif exchange.noted is not PASSTHRU and exchange.noted.trigger is Trigger.QNAME and len(self._banned) < _MOST:
            self._banned.add(query.qname)
        else:
            return
        self.ready()

    def close(self) -> None:
        """Say no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._channel.close()
        self._release_all()

    def begun(self) -> None:
        """Say that we can be asked; what is refused we are told."""
        self._refused.clear()
        self._release_all()
        self._look_again()
        self._channel.send(talk.met(()))
        self.ready()

    def ready(self) -> None:
        """Say what the line did not take."""
        if self._timer is None:
            self._timer = self._loop.call_later(_GATHER, self._tell)

    def heard(self, message: Message) -> None:
        """Look up what is asked for, and take note of what is refused."""
        if isinstance(message, Refused):
            (self._refused.update if message.refused else self._refused.difference_update)(message.addresses)
        elif isinstance(message, Done):
            self._release(message.number)
        elif isinstance(message, LookUp):
            self._look_up(message)

    def _look_up(self, message: LookUp) -> None:
        query = _query(message.name, message.qtype)
        if query is None:
            return
        now = time.monotonic()
        entry = self._cache.get(query.key, int(now))
        if entry is not None and now < entry.expires:
            self._answer(query)
            return
        self._refresh(query, now)
        self._loop.call_later(_LOOK, self._look, query, now + self._deadline + _LOOK)

    def heard_all(self) -> None:
        """Send the answers that may go."""
        self._flush()

    def _release(self, number: int) -> None:
        if (exchange := self._waiting.pop(number, None)) is not None:
            self._go_on(exchange)
            self._flush()

    def _release_all(self) -> None:
        for number in list(self._waiting):
            self._release(number)

    def _tell(self) -> None:
        self._timer = None
        message: list[Answer] = []
        room = talk.MAX_MESSAGE
        for answer in self._met.values():
            if (room := room - talk.answer_size(answer)) < 0:
                break
            message.append(answer)
        if message and not self._channel.send(talk.met(message)):
            return  # an address that is refused would stay so: again when the line takes it
        self._met.clear()
        if self._banned:
            self._channel.send(talk.banned(self._banned))
            self._banned.clear()

    def _look(self, query: Query, until: float) -> None:
        """Answer if upstream has, or at last."""
        now = time.monotonic()
        entry = self._cache.get(query.key, int(now))
        if now >= until or (entry is not None and now < entry.expires):
            self._answer(query)
        else:
            self._loop.call_later(_LOOK, self._look, query, until)

    def _answer(self, query: Query) -> None:
        now = int(time.monotonic())
        entry = self._cache.get(query.key, now)
        if entry is None:
            said = Answer(query.qname, 0, ())
        else:
            said = _answer(query.qname, entry.response)._replace(ttl=max(0, entry.expires - now))
        self._channel.send(talk.looked_up(query.qtype, said))


def _told(exchange: Exchange, name: Name, response: Response) -> Answer:
    return _answer(name, response)._replace(excepted=exchange.noted.waiver is not None)


def _answer(name: Name, response: Response) -> Answer:
    return Answer(name, response.least_ttl or 0, response.addresses, response.aliases)


def _query(name: Name, qtype: int) -> Query | None:
    try:
        return parse_query(_HEAD + name + qtype.to_bytes(2) + b"\0\1")
    except WireError:  # an odd name, which has no addresses
        return None
