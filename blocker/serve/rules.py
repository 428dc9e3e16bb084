"""Keeps the kernel's rules those of the generation in force, and tells how they do; a thread of the egress process.

A table that somebody else has removed or changed is put back. What the kernel refuses leaves the former rules in
force, and is tried again.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from blocker.egress import apply, status
from blocker.egress.planned import planned
from blocker.egress.precedence import Precedence
from blocker.egress.ruleset import Ruleset
from blocker.egress.status import Status
from blocker.errors import BlockerError
from blocker.serve.excepted import Standing
from blocker.serve.generation import Generation
from blocker.sinks import oplog

_LOOK: Final = 2.0  # seconds between looks at the counters


class Rules:
    """The rules in the kernel."""

    def __init__(self, state: Path, replaced: Callable[[Generation], None], precedence: Precedence) -> None:
        """Keep the status in the `state` folder; `replaced` is called whenever the sets may be new ones.

        With `precedence` rules are replaced however busy the sets are.
        """
        self._precedence = precedence
        self._state = state
        self._replaced = replaced
        self._log = oplog.get("egress")
        self._newest: Standing | None = None  # what to make rules of
        self._made: Standing | None = None  # what `_wanted` was made of
        self._generation: Generation | None = None
        self._news = threading.Event()
        self._wanted: Ruleset | None = None
        self._status = replace(status.read(state), digest="", problem="")

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="rules", daemon=True).start()

    def adopt(self, standing: Standing) -> None:
        """Make rules of what is in force, if it is news; from any thread."""
        if standing != self._newest:
            self._newest = standing
            self._news.set()

    def _run(self) -> None:
        while True:
            self._news.wait(_LOOK)
            self._news.clear()
            self.step()

    def step(self) -> None:
        """Do what there is to do."""
        if self._newest != self._made:  # it is news, or no rules could be made of it
            self._attempt(self._change)
        elif self._wanted is not None:
            self._attempt(self._look)
        try:
            status.write(self._status, self._state)
        except OSError as error:
            self._log.warning("the status of the rules cannot be written", why=str(error))

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 a bug of ours must not end the thread: the rules stay, and the next may pass
            if self._status.problem != str(error):
                trace = None if isinstance(error, BlockerError) else error
                self._log.error("the rules stay as they were", why=str(error), exc_info=trace)
            self._status = replace(self._status, failures=self._status.failures + 1, problem=str(error))

    def _change(self) -> None:
        """Put the rules of the newest generation into the kernel."""
        newest = self._newest
        assert newest is not None
        generation = self._generation = Generation.open(newest, self._generation)
        if not generation.config.egress.enabled:
            self._wanted = None
            self._status = Status(failures=self._status.failures)
            if apply.remove():
                self._log.warning("egress.enabled is false now; the rules are removed")
            self._made = newest
            return
        self._wanted = planned(generation.config, generation.clients, generation.index, generation.servers)
        self._made = newest
        self._apply(self._wanted, generation)

    def _apply(self, wanted: Ruleset, generation: Generation) -> None:
        began = time.monotonic()
        with self._precedence.taken():
            apply.apply(wanted)
        self._replaced(generation)
        self._status = replace(
            self._status,
            digest=wanted.digest,
            applied=time.time(),
            seconds=round(time.monotonic() - began, 3),
            problem="",
            elements={name: len(elements) for name, (_, elements) in wanted.static.items()},
        )
        sizes = sum(self._status.elements.values())
        if offloaded := apply.flowtables():
            cure = "take the devices' networks out of them (docs/egress.md)"
            self._log.warning("connections in flowtables pass by the rules", flowtables=", ".join(offloaded), cure=cure)
        self._log.info("rules applied", rules=len(wanted.rules), elements=sizes, seconds=self._status.seconds)

    def _look(self) -> None:
        """Read the counters; put the rules back if they are not ours any more."""
        assert self._wanted is not None
        assert self._generation is not None
        held = apply.table()
        if held is None or held.digest != self._wanted.digest:
            if not self._status.problem:
                self._log.error("the rules were removed or replaced by somebody else; putting them back")
                self._status = replace(self._status, failures=self._status.failures + 1)
            self._apply(self._wanted, self._generation)
            return
        self._status = replace(self._status, packets=held.counters, problem="")
