"""The process that keeps HTTP, logs and the control socket away from DNS: nothing that fails here stops an answer.

    all journals      -> drainer -> attempt log, query log
    workers' counters -> /metrics, /readyz, status
    control socket, changed files -> reload -> supervisor

Started by the supervisor by fork, with its sockets already listening.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import setproctitle

from blocker import config as configuration
from blocker.config import Config
from blocker.errors import ConfigError
from blocker.serve import commands, priority
from blocker.serve.bookkeeper import Bookkeeper
from blocker.serve.commands import Console
from blocker.serve.drain import Drainer
from blocker.serve.httpd import Httpd, pages
from blocker.serve.link import Link, Message
from blocker.serve.rollouts import Rollouts
from blocker.serve.watch import Watch
from blocker.sinks import exceptions, oplog, rollouts
from blocker.sinks.facts import Facts
from blocker.sinks.metrics import Collector, outcomes
from blocker.sinks.querylog import QueryLog
from blocker.sinks.region import Region, Word

_LAST_WORDS: Final = 5.0  # seconds the logs may take for what is left in the end
_OTHERS: Final = 2.0  # seconds that those who still write into journals may take before that


def run(
    regions: Sequence[Region],
    config: Config,
    supervisor: socket.socket,
    http: socket.socket | None,
    control: socket.socket,
    beside: Mapping[str, Region] = MappingProxyType({}),
) -> int:
    """Be the control process: the body of a forked child. Returns its exit status.

    `regions` are the workers', `beside` those of the companions that record attempts, by name.
    """
    setproctitle.setproctitle("blocker: control")
    priority.be_prompt()  # no less than the workers: who answers faster than anybody records fills the journal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when: the workers' last words come first
    try:
        node, copies = configuration.node(config), configuration.checkpoints_file(config)
        query_log = QueryLog(config.log, config.evidence, node, copies)
    except ConfigError as error:
        for problem in error.problems:
            oplog.get("control").error("cannot log", why=problem)
        return 1
    signal.signal(signal.SIGHUP, lambda *_: query_log.reopen())
    return Control(regions, beside, config, supervisor, query_log).serve(http, control)


class Control:
    """Everything the control process does, tied together."""

    def __init__(
        self,
        regions: Sequence[Region],
        beside: Mapping[str, Region],
        config: Config,
        supervisor: socket.socket,
        query_log: QueryLog,
    ) -> None:
        """Look at `regions` and those `beside` them, and talk with the supervisor at the other end of `supervisor`."""
        self._regions = regions
        self._beside = beside
        self._facts = Facts()
        self._began = time.time()
        self._log = oplog.get("control")
        self._query_log = query_log
        self._link = Link(supervisor)
        self._rollouts = Rollouts(lambda: self._link.reload(commands.RELOAD))
        self._bookkeeper = Bookkeeper(self._amend)
        self._drainer = Drainer([*regions, *beside.values()], query_log, self._rollouts.heed)
        self._watch = Watch(self._changed) if config.lists.watch else None
        self._under_way = config.upstream.deadline  # seconds that a worker may wait for upstreams

    def serve(self, http: socket.socket | None, control: socket.socket) -> int:
        """Serve until the supervisor says stop, or is gone; then write what is left."""
        self._drainer.start()
        if http is not None:
            collector = Collector(
                self._regions,
                lambda: self._facts,
                beside=self._beside,
                counted=self._rollouts.counts,
                kept=lambda: not self._bookkeeper.trouble,
            )
            Httpd(http, pages(collector, self._regions, self._beside)).start()
        answering = {
            "status": self._status,
            "reload": self._reload,
            "rollouts": self._rollouts_now,
            "exceptions": self._amend,
        }
        Console(control, answering).start()
        self._rollouts.start()
        self._bookkeeper.start()
        if self._watch is not None:
            self._watch.start()
        for event in self._link.events():
            if event["event"] == "stop":  # the workers have ended before
                self._outlive(self._beside.values(), _OTHERS)
                break
            self._hear(event)
        else:  # the supervisor was killed: nobody has waited for the workers
            self._outlive((*self._regions, *self._beside.values()), self._under_way + _OTHERS)
        if not self._drainer.end(_LAST_WORDS):
            self._log.error("the logs did not take all that was left", dropped=self._drainer.dropped)
            return 1
        return 0

    def _outlive(self, regions: Iterable[Region], patience: float) -> None:
        """Wait for those who still write into `regions`, seconds at the most: that belongs into the logs as well."""
        deadline = time.monotonic() + patience
        for region in regions:
            if not _ended(region.words[Word.PID], deadline):
                self._log.error("a process still answers; what it records from now on is lost", seconds=patience)
                return

    def _hear(self, event: Message) -> None:
        if event["event"] == "generation":
            self._hear_generation(event)
        elif event["event"] == "reopen":
            self._query_log.reopen()
        else:
            self._log.warning("the supervisor says something strange", said=str(event)[:200])

    def _hear_generation(self, event: Message) -> None:
        try:
            self._facts = self._facts.after(event)
            self._bookkeeper.adopt(event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._log.error("the supervisor's words on a generation make no sense", why=repr(error))
            return
        if self._facts.path:
            self._rollouts.adopt(self._facts.path)
        if self._watch is not None:
            self._watch.watch(self._facts.paths, self._facts.looked)

    def _status(self) -> commands.Answer:
        said = commands.status(self._regions, self._facts, self._began, time.time(), time.monotonic_ns())
        return {**said, "exceptions": exceptions.status(self._facts.exceptions, time.time(), self._bookkeeper.trouble)}

    def _rollouts_now(self) -> commands.Answer:
        seen = outcomes((*self._regions, *self._beside.values()))
        return {"ok": True, "rollouts": rollouts.told(self._facts.rollouts, seen, self._rollouts.counts())}

    def _reload(self) -> commands.Answer:
        return self._link.reload(commands.RELOAD)

    def _amend(self) -> commands.Answer:
        return self._link.ask("exceptions", commands.RELOAD)

    def _changed(self, paths: list[str]) -> None:
        """Have changed files read; the supervisor logs what comes of it."""
        self._log.info("files changed; reloading", files=", ".join(paths[:5]) + (" ..." if len(paths) > 5 else ""))
        reply = self._link.reload(commands.RELOAD)
        if not reply.get("ok"):
            self._log.warning("changed files are not in force", problems="; ".join(reply.get("problems", ())))


def _ended(pid: int, deadline: float) -> bool:
    """Wait for the end of a process that is not our child until `deadline`, monotonic seconds; tell whether it came."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:  # it has ended; or there never was one
        return True
    try:
        ended, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
    finally:
        os.close(descriptor)
    return bool(ended)
