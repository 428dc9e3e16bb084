"""One serving process: its sockets, its line, its upstreams. Decides nothing that a client could notice.

Started by the supervisor by fork, with sockets already bound; told over a channel what to serve and when to
stop. A sign of life and everything it counts stand in its region.
"""

import asyncio
import faulthandler
import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import setproctitle

from blocker.cache import Cache
from blocker.config import Config
from blocker.errors import BlockerError
from blocker.events import ATTEMPT, QUERY, SEARCH
from blocker.exchange import TCP, UDP, Exchange, Transport
from blocker.fast import Fast
from blocker.line import Line
from blocker.serve import priority
from blocker.serve.accept import descriptors
from blocker.serve.excepted import Standing
from blocker.serve.gate import Held
from blocker.serve.generation import Generation
from blocker.serve.stream import Connection, Listener
from blocker.serve.teach import Teacher
from blocker.serve.udp import BATCH, Drain, new_drain
from blocker.sinks import oplog
from blocker.sinks.region import Region, Word
from blocker.upstream.resolver import Resolver
from blocker.wire.query import Query

UNOPENED: Final = 3  # exit status: what is in force could not be opened
_BATCHES: Final = 8  # per wake-up and socket, so that upstreams and connections get their turn
_PULSE: Final = 0.5  # seconds between signs of life
_TRACEBACK_EVERY: Final = 60.0  # seconds between two tracebacks of the same place
_SWITCH: Final = 0.0002  # seconds a thread that opens a generation may keep the queries waiting
_PAUSE: Final = 0.0003  # seconds that this thread rests after each 0.1 ms of checking a new index
_GC_THRESHOLDS: Final = (50_000, 20, 1000)  # cached answers are many and long-lived: look at them rarely


class Sockets(NamedTuple):
    """One worker's share of the listening sockets."""

    udp: Sequence[socket.socket]
    tcp: Sequence[socket.socket]
    gate: Path | None = None  # where the egress process listens, if there is one


class Worker:
    """Sockets, line and upstreams, tied together."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        region: Region,
        sockets: Sockets,
        channel: socket.socket,
        generation: Generation,
        workers: int,
    ) -> None:
        self._loop = loop
        self._region = region
        self._channel = channel
        self._workers = workers
        self._log = oplog.get("worker")
        self._shown: dict[str, float] = {}
        region.report = self._show
        config = generation.config
        self._generation = generation
        self._cache = Cache(generation.cache_limits(workers))
        self._fast = Fast(self._cache.limits.size // 2)
        self._logged = (ATTEMPT if config.log.attempts != "off" else 0) | (QUERY if config.log.queries != "off" else 0)
        self._line = Line(
            generation.index, self._cache, self._fast, generation.wording, region, self._journaled(), generation.basis
        )
        self._clients = generation.clients
        self._adopting = asyncio.Lock()
        self._resolver = self._new_resolver()
        self._retired: list[Resolver] = []  # former ones, for as long as somebody waits for them
        self._drains: list[Drain] = [new_drain(sock, region) for sock in sockets.udp]
        self._udp = sockets.udp
        self._tcp = sockets.tcp
        self._replies: dict[Drain, list[tuple[bytes, object]]] = {drain: [] for drain in self._drains}
        self._held: Held | None = None
        self._teacher: Teacher | None = None
        if sockets.gate is not None:
            self._held = Held(
                loop, sockets.gate, config.egress.gating, self._line, self._fast, region, self._send, self._flush
            )
        self._gate = sockets.gate
        self._teach(config)
        self._listener = Listener(loop, config.limits, region, self._asked, descriptors() // 2)
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until told to stop, then settle what is under way."""
        for sock, drain in zip(self._udp, self._drains, strict=True):
            self._loop.add_reader(sock.fileno(), self._readable, drain)
        for sock in self._tcp:
            self._listener.serve(sock)
        self._loop.add_reader(self._channel.fileno(), self._told)
        self._pulse()
        self._region.words[Word.READY] = 1
        await self._stopping.wait()
        await self._finish()

    def stop(self) -> None:
        """Begin to stop."""
        self._stopping.set()

    def _readable(self, drain: Drain) -> None:
        """Answer what clients have asked; the only place where a UDP query enters."""
        for _ in range(_BATCHES):
            now = time.monotonic()
            taken, misses = drain.receive(self._fast.by_address, now)
            for packet, address, peer in misses:
                policy = self._clients.policy_for(address)
                self._fast.remember(address, policy)
                exchange = self._line.open(packet, policy, address, UDP, now, (drain, peer))
                self._go_on(exchange, now)
            self._flush()
            if taken < BATCH:
                return

    def _asked(self, packet: bytes, address: bytes, transport: Transport, peer: object) -> None:
        """Take a query that came over TCP."""
        now = time.monotonic()
        exchange = self._line.open(packet, self._clients.policy_for(address), address, transport, now, peer)
        self._go_on(exchange, now)

    def _go_on(self, exchange: Exchange, now: float) -> None:
        if exchange.wanted:
            self._resolver.ask(exchange, now)
            return
        self._settled(exchange)
        if exchange.refresh and exchange.query is not None:
            self._resolver.refresh(exchange.query, now)

    def _settled(self, exchange: Exchange) -> None:
        """Send the answer of an exchange, unless it must wait for the kernel's sets."""
        if self._teacher is None or self._teacher.passes(exchange):
            self._leave(exchange)

    def _leave(self, exchange: Exchange) -> None:
        if not exchange.told or self._held is None or self._held.passes(exchange):
            self._send(exchange)

    def _send(self, exchange: Exchange) -> None:
        """Send the answer of an exchange; over UDP it waits for the batch's end."""
        if exchange.transport == TCP:
            assert isinstance(exchange.peer, Connection)
            exchange.peer.reply(exchange)
        elif exchange.answer is not None:
            drain, peer = exchange.peer
            self._replies[drain].append((exchange.answer, peer))

    def _flush(self) -> None:
        for drain, replies in self._replies.items():
            if replies:
                drain.send(replies)
                replies.clear()

    def _teach(self, config: Config) -> None:
        """Tell the egress process what names have, as long as it learns."""
        wanted = self._gate is not None and config.egress.enabled and config.egress.learned
        if self._teacher is not None and not wanted:
            self._teacher.close()
            self._teacher = None
        elif self._teacher is None and wanted and self._gate is not None:
            self._teacher = Teacher(
                self._loop, self._gate, self._region, self._cache, self._refresh, config.upstream.deadline,
                self._look_again, self._leave, self._flush,
            )  # fmt: skip

    def _look_again(self) -> None:
        self._cache.look_again()
        self._fast.clear()

    def _refresh(self, query: Query, now: float) -> None:
        """Ask upstream for the cache's sake; whoever wants the answer finds it there."""
        self._resolver.refresh(query, now)

    def _new_resolver(self) -> Resolver:
        config = self._generation.config
        return Resolver(
            self._loop,
            config.upstream,
            self._generation.servers,
            self._line,
            self._region,
            self._settled,
            self._flush,
            stale_after=config.cache.stale_after,
            client_in_flight=config.limits.client_in_flight,
            most_ports=descriptors() // 4,
        )

    def _told(self) -> None:
        """Do what the supervisor says."""
        try:
            message = self._channel.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:  # killed before it had read what we said
            message = b""
        if not message:  # the supervisor is gone: nobody would replace or stop us
            self.stop()
            self._loop.remove_reader(self._channel.fileno())
            return
        said = json.loads(message)
        if "adopt" in said:
            self._loop.create_task(self._adopt(Standing.of(said["adopt"]), said["told"]))
        elif "stop" in said:
            self.stop()

    async def _adopt(self, standing: Standing, told: int) -> None:
        """Go on with other lists, exceptions or another moment, opened beside the loop: no query waits for it."""
        async with self._adopting:  # in the order in which we are told: the last one counts
            await self._replace(standing, told)

    async def _replace(self, standing: Standing, told: int) -> None:
        former = self._generation
        try:
            generation = await self._loop.run_in_executor(None, Generation.open, standing, former, _PAUSE)
        except BlockerError as error:
            self._say({"refused": told, "why": str(error)})
            return
        self._generation = generation
        self._clients = generation.clients
        self._line.adopt(
            generation.index, generation.wording, generation.clients.policy_for, generation.basis, self._journaled()
        )
        if _asking(generation) != _asking(former):
            self._resolver.retire()
            self._retired = [*(each for each in self._retired if len(each)), self._resolver]
            self._resolver = self._new_resolver()
        self._cache.limits = generation.cache_limits(self._workers)
        self._fast.limit = self._cache.limits.size // 2
        self._listener.limits = generation.config.limits
        if self._held is not None:
            self._held.config = generation.config.egress.gating
        self._teach(generation.config)
        self._region.words[Word.GENERATION] = generation.number
        self.adopted(told)

    def adopted(self, told: int) -> None:
        """Say that what we were told is in force, and when it changes by itself."""
        self._say({"adopted": told, "turns": self._clients.turns})

    def _journaled(self) -> int:
        """Return which records somebody wants: the logs as at the start, the search for relatives, watched rollouts."""
        config = self._generation.config
        wanted = self._logged | (SEARCH if config.candidates.enabled else 0)
        return wanted | (ATTEMPT if config.rollout.plans else 0)

    def _say(self, message: dict[str, object]) -> None:
        try:
            self._channel.send(json.dumps(message).encode())
        except OSError as error:
            self._log.warning("channel to the supervisor is broken", error=str(error))

    def _pulse(self) -> None:
        """Show that we live, and what we hold."""
        words = self._region.words
        words[Word.CACHE_ENTRIES] = len(self._cache)
        words[Word.CACHE_BYTES] = self._cache.size
        words[Word.CACHE_EVICTED] += self._cache.evicted
        words[Word.CACHE_HITS] += self._line.hits
        words[Word.CACHE_MISSES] += self._line.misses
        words[Word.PREFETCHES] += self._line.prefetches
        words[Word.UNJUDGED] += self._line.unjudged
        self._cache.evicted = self._line.hits = self._line.misses = self._line.prefetches = self._line.unjudged = 0
        words[Word.PULSE] = time.monotonic_ns()
        self._loop.call_later(_PULSE, self._pulse)

    def _show(self, error: Exception) -> None:
        """Show a bug of ours, once a minute for the same place."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
        now = time.monotonic()
        if now - self._shown.get(place, -_TRACEBACK_EVERY) >= _TRACEBACK_EVERY:
            self._shown[place] = now
            self._log.error("a bug of ours; the client heard SERVFAIL", place=place, exc_info=error)

    async def _finish(self) -> None:
        """Answer what has arrived and what is on its way, then let go."""
        self._region.words[Word.READY] = 0
        for sock, drain in zip(self._udp, self._drains, strict=True):
            self._readable(drain)
            self._loop.remove_reader(sock.fileno())
        self._listener.drain()
        deadline = time.monotonic() + self._generation.config.upstream.deadline
        resolvers = [self._resolver, *self._retired]
        while any(map(len, resolvers)) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for resolver in resolvers:
            resolver.close()
        if self._teacher is not None:
            self._teacher.close()
        if self._held is not None:
            while len(self._held) and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
            self._held.close()
        self._flush()
        self._loop.remove_reader(self._channel.fileno())  # what comes now comes too late to be adopted
        await asyncio.sleep(0)
        self._listener.close()


def _asking(generation: Generation) -> tuple[object, ...]:
    """Return all that a resolver is made of."""
    config = generation.config
    return generation.servers, config.upstream, config.cache.stale_after, config.limits.client_in_flight


def main(
    region: Region,
    sockets: Sockets,
    channel: socket.socket,
    standing: Standing,
    told: int,
    slot: int,
    workers: int,
) -> int:
    """Be a worker: the body of a forked process. Returns its exit status."""
    setproctitle.setproctitle(f"blocker: worker {slot}")
    faulthandler.enable()  # a worker that is aborted for its silence leaves a traceback
    gc.set_threshold(*_GC_THRESHOLDS)
    sys.setswitchinterval(_SWITCH)
    priority.be_prompt()
    channel.setblocking(False)
    log = oplog.get("worker")
    try:
        opened = Generation.open(standing)
    except BlockerError as error:
        log.error("cannot serve", error=str(error))
        return UNOPENED
    region.adopt()
    region.words[Word.PID] = os.getpid()
    region.words[Word.STARTED] = int(time.time())
    region.words[Word.GENERATION] = opened.number

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda _loop, said: region.bug(said.get("exception") or RuntimeError(said["message"]))
        )
        worker = Worker(loop, region, sockets, channel, opened, workers)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.stop)
        worker.adopted(told)
        await worker.run()

    asyncio.run(serve())
    sys.stderr.flush()
    return 0
