"""What is in force, and how it is replaced: preparer, then each worker on its own, then the word to those who asked.

Nothing changes until the preparer has succeeded. A worker that starts meanwhile starts with the newest
generation; one that cannot adopt it is replaced by one that starts with it.
"""

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from blocker.errors import ProblemsError
from blocker.serve import preparer
from blocker.serve.slot import Slot
from blocker.serve.systemd import Systemd
from blocker.sinks import oplog

_PREPARE: Final = 120.0  # seconds a preparer may take
_ADOPT: Final = 30.0  # seconds workers may take to adopt a generation

StartPreparer = Callable[[int], tuple[int, socket.socket]]  # generation number -> pid, pipe
Say = Callable[[Mapping[str, object]], None]


@dataclass(slots=True)
class Reload:
    """A reload under way."""

    pid: int  # of the preparer
    pipe: socket.socket | None
    began: float  # monotonic seconds
    deadline: float  # monotonic seconds
    askers: list[Say] = field(default_factory=list)  # who waits for its result
    prepared: bool = False
    problems: list[str] = field(default_factory=list)  # why it was refused, though moved rollouts come into force
    waiting: set[int] = field(default_factory=set)  # slots that have not adopted yet
    again: bool = False  # asked for once more meanwhile: what is being read may be older than what was asked for
    askers_again: list[Say] = field(default_factory=list)


class Reloads:
    """The generation in force, and the reload under way."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        slots: Sequence[Slot],
        start_preparer: StartPreparer,
        say: Say,
        systemd: Systemd,
    ) -> None:
        """`say` reaches all companions: what is in force is for them to count, show and serve."""
        self._selector = selector
        self._slots = slots
        self._start_preparer = start_preparer
        self._say = say
        self._systemd = systemd
        self._log = oplog.get("supervisor")
        self._under_way: Reload | None = None
        self._number = int(time.time())  # above every number of a former run, whose files may still lie there
        self._succeeded = 0
        self._refused = 0
        self._last_success = time.time()
        self._problems: list[str] = []
        self._duration = 0.0
        self._at_start: Mapping[str, str] = {}  # what only a start puts in force, as it was then
        self.current: dict[str, Any] = {}
        """What is in force, as `generation.prepare` describes it."""

    def first(self) -> None:
        """Prepare the first generation, and wait for it. Raises ProblemsError with all that is wrong."""
        pid, pipe = self._start_preparer(self._number)
        said = preparer.result(pipe, started=False)
        os.waitpid(pid, 0)
        if "problems" in said:
            raise ProblemsError(said["problems"])
        self.current = said
        self._at_start = said["at_start"]
        self._duration = said["duration"]

    def begin(self, asker: Say | None = None) -> None:
        """Read everything anew; `asker` is told the result."""
        askers = [asker] if asker is not None else []
        self._begin(askers)

    def _begin(self, askers: list[Say]) -> None:
        if self._under_way is not None:
            self._under_way.again = True
            self._under_way.askers_again += askers
            return
        self._number += 1
        self._systemd.reloading()
        now = time.monotonic()
        try:
            pid, pipe = self._start_preparer(self._number)
        except OSError as error:  # no process or descriptor left
            self._under_way = Reload(0, None, now, now, askers)
            self._end([f"the process that reads the lists cannot be started: {error}"])
            return
        self._under_way = Reload(pid, pipe, now, now + _PREPARE, askers)
        self._selector.register(pipe, selectors.EVENT_READ, self._hear)

    def heard(self, slot: Slot, said: Mapping[str, Any]) -> None:
        """Take note of what a worker says of the generation that it was told to adopt."""
        if "refused" in said:
            self._log.error("worker cannot adopt; replacing it", worker=slot.number, why=said["why"])
            slot.kill(signal.SIGTERM)
        self.left(slot)

    def left(self, slot: Slot) -> None:
        """Wait no more for a slot: its worker has adopted, or is dead, and the next one starts with the newest."""
        if self._under_way is not None:
            self._under_way.waiting.discard(slot.number)

    def look(self, now: float) -> None:
        """End a reload that is complete, or that takes too long."""
        reload = self._under_way
        if reload is None:
            return
        if not reload.prepared and now >= reload.deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(reload.pid, signal.SIGKILL)  # its pipe closes, and that is the answer
        elif reload.prepared and (not reload.waiting or now >= reload.deadline):
            for slot in self._slots:
                if slot.number in reload.waiting:
                    slot.kill(signal.SIGTERM)  # its successor starts with the newest
            late = [f"worker {number} did not adopt it in time; replaced" for number in sorted(reload.waiting)]
            self._end([*reload.problems, *late])

    def tell(self) -> None:
        """Tell the companions what is in force, if anything is yet, and how all reloads went."""
        if not self.current:
            return
        reloads = {"succeeded": self._succeeded, "refused": self._refused, "last_success": self._last_success}
        state = {"event": "generation", "problems": self._problems, "duration": self._duration, "reloads": reloads}
        self._say({**self.current, **state})

    def _hear(self, pipe: socket.socket) -> None:
        """Take the preparer's result."""
        reload = self._under_way
        assert reload is not None
        self._selector.unregister(pipe)
        said = preparer.result(pipe)
        if "problems" in said:
            if "instead" not in said:
                self._end(said["problems"])
                return
            reload.problems, said = said["problems"], said["instead"]
        self.current = said
        reload.prepared = True
        reload.deadline = time.monotonic() + _ADOPT
        for slot in self._slots:
            if slot.channel is not None:
                reload.waiting.add(slot.number)
                slot.tell({"adopt": said["path"]})

    def _end(self, problems: list[str]) -> None:
        reload = self._under_way
        assert reload is not None
        self._under_way = None
        self._problems = problems
        self._duration = round(time.monotonic() - reload.began, 3)
        if problems:
            self._refused += 1
            for problem in problems:
                self._log.error("reload refused; the former lists and policy stay in force", why=problem)
        else:
            self._succeeded += 1
            self._last_success = time.time()
            self._log.info("reloaded", generation=self.current["number"], seconds=self._duration)
        late = [key for key, value in self.current["at_start"].items() if value != self._at_start.get(key, value)]
        if late and not problems:
            self._log.warning("what was changed here is in force only after a restart", keys=", ".join(late))
        self.tell()
        for asker in reload.askers:
            asker(
                {
                    "ok": not problems,
                    "problems": problems,
                    "generation": self.current["number"],
                    "digest": self.current["digest"],
                    "seconds": self._duration,
                    **({"only_after_a_restart": late} if late else {}),
                }
            )
        self._systemd.ready()
        if reload.again:
            self._begin(reload.askers_again)
