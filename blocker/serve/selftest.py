"""The process that asks our own listeners for banned names, and says so when one is not blocked.

    generation -> what is in force -> queries to the real listeners -> status -> metrics, log

It decides nothing that a client could notice, and readiness does not wait for it: a node that resolves and does not
enforce is for people to judge, not for a load balancer.
"""

import signal
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import setproctitle

from blocker.bundle import current as bundles
from blocker.config import Endpoint, Selftest, workers
from blocker.errors import BlockerError
from blocker.lists import gather
from blocker.names import Name
from blocker.selftest import status
from blocker.selftest.run import BATCH, UNKNOWN, Force, Report, Result, Round
from blocker.selftest.status import Outcome, Status
from blocker.serve import priority
from blocker.serve.excepted import Standing
from blocker.serve.generation import Generation
from blocker.serve.link import Link
from blocker.sinks import oplog

_BATCHES: Final = 10  # of names that must resolve after one round: the next one must not be late ...
_PAUSE: Final = 1.0  # ... and seconds before each: upstreams need not notice
_AGAIN: Final = 2.0  # seconds until a failure is tried once more: a reload may have been under way ...
_TRIES: Final = 4  # ... and as often at the most, where reload follows reload
_SAY_EVERY: Final = 600.0  # seconds between two words on the same failure


def run(state: Path, listeners: Sequence[Endpoint], supervisor: socket.socket) -> int:
    """Be the process: the body of a forked child. Returns its exit status."""
    setproctitle.setproctitle("blocker: selftest")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when
    priority.give_way()
    return Tester(state, listeners, Link(supervisor)).serve()


class Tester:
    """Asks from time to time, in a thread of its own."""

    def __init__(self, state: Path, listeners: Sequence[Endpoint], link: Link) -> None:
        """Ask `listeners`, keep the status in the `state` folder, and hear from the supervisor over `link`."""
        self._state = state
        self._listeners = listeners
        self._link = link
        self._log = oplog.get("selftest")
        self._newest: Standing | None = None  # what is in force
        self._opened: Standing | None = None  # what `_round` knows
        self._generation: Generation | None = None
        self._force: Force | None = None
        self._round: Round | None = None
        self._unseen: Sequence[Name] = ()  # that must resolve, not asked since other lists came into force
        self._blocked: dict[Name, str] = {}  # that must resolve and do not, and how that was seen
        self._wanted = Selftest()
        self._news = threading.Event()
        self._ending = threading.Event()
        self._failing: dict[str, float] = {}  # what fails, and when to say so again (monotonic seconds)

    def serve(self) -> int:
        """Serve until the supervisor says stop, is gone, or nobody wants a test any more."""
        threading.Thread(target=self._run, name="tester", daemon=True).start()
        for event in self._link.events():
            if event["event"] == "stop" or (event["event"] == "generation" and not event.get("selftest")):
                break
            if event["event"] == "generation":
                self._newest = Standing.of(event["standing"])
                self._news.set()
        self._ending.set()
        return 0

    def _run(self) -> None:
        self._news.wait()
        while not self._ending.is_set():
            began = time.monotonic()
            try:
                self._test(time.time())
            except Exception as error:  # noqa: BLE001 the next round may do better; the process must not fall silent
                self._log.error("a bug of ours in the self-test", exc_info=error)
            self._ending.wait(max(1.0, self._wanted.interval - (time.monotonic() - began)))

    def _test(self, now: float) -> None:
        """Do one round, a failing one twice, and keep how it went."""
        turn = int(now // max(1, self._wanted.interval))
        report = self._ask(turn)
        for again in range(_TRIES):
            settled = again and self._newest == self._opened
            if report is None or report.ok or settled or self._ending.wait(_AGAIN):
                break
            report = self._ask(turn)
        if report is None:
            return
        self._look_at(list(self._blocked)[:BATCH])
        self._keep(report, now)
        for _ in range(_BATCHES):
            if not self._unseen or self._newest != self._opened or self._ending.wait(_PAUSE):
                break
            some, self._unseen = self._unseen[:BATCH], self._unseen[BATCH:]
            if self._look_at(some):
                self._keep(report, now)

    def _look_at(self, needed: Sequence[Name]) -> bool:
        """Ask for these names that must resolve, and tell whether any is newly blocked."""
        if not needed or self._round is None:
            return False
        found = self._round.blocked(needed)
        new = any(why and name not in self._blocked for name, why in found.items())
        self._blocked = {name: why for name, why in {**self._blocked, **found}.items() if why}
        return new

    def _keep(self, report: Report, now: float) -> None:
        """Log and write how a round went, and which of the names that must resolve are blocked besides."""
        report = report.besides(self._blocked)
        self._say(report)
        try:
            status.write(_status(report, now), self._state)
        except OSError as error:
            self._tell("status", f"the self-test's status cannot be kept: {error.strerror}")

    def _ask(self, turn: int) -> Report | None:
        """Return how a round goes under what is newest in force; None if that cannot be read."""
        newest = self._newest
        if newest is not None and newest != self._opened:
            try:
                self._adopt(Generation.open(newest, self._generation))
            except BlockerError as error:
                self._tell("generation", f"the self-test cannot read what is in force: {error}")
                return None
            self._opened = newest
        return self._round.run(turn) if self._round is not None else None

    def _adopt(self, generation: Generation) -> None:
        """Test by this generation; of the same lists as before nothing is read again."""
        if self._force is None or self._generation is None or generation.index is not self._generation.index:
            must = gather.required(bundles.in_force(generation.config).lists)
            needed = sorted(each.name for each in must.needed.values())
            index = generation.index
            self._force = Force(index, generation.clients, generation.wording, needed, index.places())
            self._unseen = needed
            self._blocked = {name: why for name, why in self._blocked.items() if name in must.needed}
        else:
            self._force = replace(self._force, clients=generation.clients)
        self._generation = generation
        self._wanted = generation.config.selftest
        self._round = Round(self._force, self._listeners, self._wanted, workers(generation.config))

    def _say(self, report: Report) -> None:
        """Log what fails, and what does no more."""
        if report.unknown:
            self._tell("source", UNKNOWN, apps=", ".join(report.unknown))
        results = {**report.apps, **({"resolution": report.resolution} if report.resolution is not None else {})}
        for what, result in results.items():
            if result.ok and self._failing.pop(what, None) is not None:
                self._log.info("the self-test passes again", of=what)
            elif not result.ok:
                said = "NOT ENFORCED" if what in report.apps else "names that must resolve do not"
                self._tell(what, f"{said}: {result.failures[0]}", failures=len(result.failures), asked=result.asked)

    def _tell(self, what: str, said: str, **more: object) -> None:
        if time.monotonic() >= self._failing.get(what, 0.0):
            self._failing[what] = time.monotonic() + _SAY_EVERY
            self._log.error(said, of=what, **more)


def _status(report: Report, now: float) -> Status:
    def outcome(result: Result) -> Outcome:
        return Outcome(result.ok, now, result.name, result.failures[0] if result.failures else "")

    return Status(
        {app: outcome(result) for app, result in report.apps.items()},
        outcome(report.resolution) if report.resolution is not None else None,
    )
