"""The process that serves the sinkhole: people get a page, programs an end, and nobody an open connection.

    connection -> door -> greeting -> attempts -> reply -> end
                  limits  who is      policy,     page, alert
                          asked for   journal     or reset

Reads strangers' octets for a living, and holds no privilege: its sockets were bound by the supervisor. TCP alone, so
that nothing is ever sent to an address that did not shake hands. DNS goes on without it.
"""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

import setproctitle

from blocker import config as configuration
from blocker.config import Config
from blocker.egress.attempt import Flow
from blocker.errors import BlockerError
from blocker.serve import confine, priority
from blocker.serve.accept import Acceptor, descriptors
from blocker.serve.excepted import Standing
from blocker.serve.generation import Generation
from blocker.serve.link import Link, Message
from blocker.serve.visitor import Visitor
from blocker.sinkhole import reply
from blocker.sinkhole.attempts import Attempts, Force
from blocker.sinkhole.limits import Door, Limit
from blocker.sinkhole.visit import Kind, Outcome, Visit
from blocker.sinkhole.wording import Wording, wording
from blocker.sinks import companions, oplog
from blocker.sinks import sinkhole as counters
from blocker.sinks.region import Region

_BEAT: Final = 1.0  # seconds between signs of life
_SAY_EVERY: Final = 60.0  # seconds between two tracebacks


def run(
    config: Config,
    region: Region,
    supervisor: socket.socket,
    heard: Sequence[socket.socket],
    reset: Sequence[socket.socket],
) -> int:
    """Be the sinkhole process: the body of a forked child. Returns its exit status.

    Visitors who come by the listening sockets `heard` may say what they want, those by `reset` are sent away.
    """
    setproctitle.setproctitle("blocker: sinkhole")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when
    priority.give_way()
    confine.confine("", confine.readable(configuration.state_dir(config)))
    asyncio.run(Sinkhole(region, Link(supervisor)).serve(heard, reset))
    return 0


class Sinkhole:
    """Everything the sinkhole process does, tied together."""

    def __init__(self, region: Region, link: Link) -> None:
        """Count and record in `region`, and hear from the supervisor over `link` what is in force."""
        self._region = region
        self._link = link
        self._log = oplog.get("sinkhole")
        self._say_at = 0.0  # monotonic seconds
        self._force: Force | None = None
        self._wording: Wording | None = None
        self._served: set[IPv4Address | IPv6Address] = set()  # where we listen
        self._strays: tuple[str, ...] = ()  # where we should
        self._attempts = Attempts(region, 0.0)
        self._news: asyncio.Queue[Message | None] = asyncio.Queue()  # None: the supervisor says stop, or is gone
        self.door = Door(Config().sinkhole.limits, time.monotonic(), descriptors() // 2)

    async def serve(self, heard: Sequence[socket.socket], reset: Sequence[socket.socket]) -> None:
        """Serve until the supervisor says stop, or is gone; visitors wait until it has said what is in force."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._bug)
        threading.Thread(target=self._listen, args=(loop,), name="link", daemon=True).start()
        companions.begin(self._region)
        self._served = {ip_address(sock.getsockname()[0].partition("%")[0]) for sock in (*heard, *reset)}
        beat = loop.create_task(self._beat())
        acceptor = Acceptor(loop, lambda: counters.limited(self._region, Limit.CONNECTIONS))
        while (event := await self._news.get()) is not None:
            first = self._force is None
            if event["event"] == "generation" and await self._adopt(Standing.of(event["standing"])) and first:
                for sock in heard:
                    acceptor.serve(sock, lambda: Visitor(self, heard_out=True))
                for sock in reset:
                    acceptor.serve(sock, lambda: Visitor(self, heard_out=False))
        acceptor.close()
        beat.cancel()

    def tell(self, flow: Flow, visit: Visit) -> bytes:
        """Record a visit, and return what it is answered with; nothing: a reset."""
        assert self._force is not None
        assert self._wording is not None
        blocked, shown = self._attempts.record(self._force, flow, visit, time.monotonic())
        self.over(visit.kind, Outcome.NAMED if blocked else Outcome.UNNAMED)
        return reply.to(visit, shown, self._wording, time.time())

    def over(self, kind: Kind, outcome: Outcome) -> None:
        """Count how a visit ended."""
        counters.visited(self._region, kind, outcome)

    def admit(self, address: bytes) -> bool:
        """Tell whether a visitor from `address` may come in; count those who may not."""
        limit = self.door.admit(address, time.monotonic())
        if limit is not None:
            counters.limited(self._region, limit)
        return limit is None

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Pass on what the supervisor says; in a thread of its own."""
        for event in self._link.events():
            if event["event"] == "stop":
                break
            loop.call_soon_threadsafe(self._news.put_nowait, event)
        loop.call_soon_threadsafe(self._news.put_nowait, None)

    async def _adopt(self, standing: Standing) -> bool:
        """Go on with what a generation says; tell whether it could be read."""
        try:
            generation = await asyncio.get_running_loop().run_in_executor(None, Generation.open, standing)
        except BlockerError as error:
            self._log.error("the new policy cannot be read; the former one stays in force here", why=str(error))
            return False
        sinkhole, answers = generation.config.sinkhole, generation.config.answers
        self._force = Force(generation.clients, generation.index, generation.basis)
        self._wording = wording(sinkhole, answers)
        self._attempts.lines.every = sinkhole.record_every
        self.door.limits = sinkhole.limits
        if (strays := configuration.strays(self._served, answers)) != self._strays and strays:
            why = "nobody listens there since the start; right only where the network leads them to us"
            said = ", ".join(strays)
            self._log.warning("blocked names are answered with addresses that get no page", addresses=said, why=why)
        self._strays = strays
        return True

    async def _beat(self) -> None:
        while True:
            companions.beat(self._region)
            await asyncio.sleep(_BEAT)

    def _bug(self, _loop: asyncio.AbstractEventLoop, said: dict[str, Any]) -> None:
        """Tell of a bug of ours; the visitor is gone."""
        if time.monotonic() >= self._say_at:
            self._say_at = time.monotonic() + _SAY_EVERY
            self._log.error("a visitor could not be served", why=said["message"], exc_info=said.get("exception"))
