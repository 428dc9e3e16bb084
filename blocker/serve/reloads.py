"""What is in force, and how it is replaced: preparer, then each worker on its own, then the word to those who asked.

Nothing changes until the preparer has succeeded. A worker that starts meanwhile starts with the newest
generation; one that cannot adopt it is replaced by one that starts with it.

Three things replace what is in force. A reload reads everything anew. An amendment reads the exceptions alone, and
waits for no reload: lists may take their time to compile. A turn reads nothing: time has come for a schedule or an
exception, and the workers are told so. It needs no file and no other process, so nothing keeps it from happening.
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
from blocker.serve.excepted import Standing
from blocker.serve.slot import Slot
from blocker.serve.systemd import Systemd
from blocker.serve.turns import Turns
from blocker.sinks import oplog

_PREPARE: Final = 120.0  # seconds a preparer may take
_MEND_EVERY: Final = 10.0  # seconds
_ADOPT: Final = 30.0  # seconds workers may take to adopt what is new

Base = Mapping[str, Any] | None  # what an amendment starts from; None: everything is read
StartPreparer = Callable[[int, Base], tuple[int, socket.socket]]  # number -> pid, pipe
Say = Callable[[Mapping[str, object]], None]
Clocks = Callable[[], tuple[float, float]]


def clocks() -> tuple[float, float]:
    """Return unix time, and the seconds of a clock that nobody sets and that runs while the machine sleeps."""
    return time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(slots=True)
class Adoption:
    """Workers that were told something new, and have not said yet that they have it."""

    told: int  # its number
    waiting: set[int]  # slots
    deadline: float  # monotonic seconds

    def is_over(self, now: float) -> bool:
        """Tell whether there is nothing to wait for any more."""
        return not self.waiting or now >= self.deadline


@dataclass(slots=True)
class Reload:
    """A reload or an amendment under way."""

    amends: bool
    base: str  # path of what was in force when it began
    number: int
    pid: int  # of the preparer
    pipe: socket.socket | None
    began: float  # monotonic seconds
    deadline: float  # monotonic seconds
    askers: list[Say] = field(default_factory=list)  # who waits for its result
    problems: list[str] = field(default_factory=list)  # why it was refused, though moved rollouts come into force
    adoption: Adoption | None = None  # None: being prepared
    again: bool = False  # asked for once more meanwhile: what is being read may be older than what was asked for
    askers_again: list[Say] = field(default_factory=list)


class Reloads:
    """What is in force, and whatever is under way to replace it."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        slots: Sequence[Slot],
        start_preparer: StartPreparer,
        say: Say,
        systemd: Systemd,
        clocks: Clocks = clocks,
    ) -> None:
        """`say` reaches all companions: what is in force is for them to count, show and serve."""
        self._selector = selector
        self._slots = slots
        self._start_preparer = start_preparer
        self._say = say
        self._systemd = systemd
        self._clocks = clocks
        self._log = oplog.get("supervisor")
        self._under_way: dict[bool, Reload] = {}  # by whether it amends
        self._turn: Adoption | None = None
        self._turns = Turns(*clocks())
        self._number = int(time.time())  # above every number of a former run, whose files may still lie there
        self._told = 0  # times that workers were told something new
        self._succeeded = 0
        self._refused = 0
        self._last_success = time.time()
        self._problems: list[str] = []
        self._unamended: list[str] = []  # problems of the last amendment
        self._duration = 0.0
        self._mend_at = 0.0  # monotonic seconds
        self._at_start: Mapping[str, str] = {}  # what only a start puts in force, as it was then
        self.current: dict[str, Any] = {}
        """What is in force, as `generation.prepare` describes it."""

    def first(self) -> None:
        """Prepare the first generation, and wait for it. Raises ProblemsError with all that is wrong."""
        pid, pipe = self._start_preparer(self._number, None)
        said = preparer.result(pipe, started=False)
        os.waitpid(pid, 0)
        if "problems" in said:
            raise ProblemsError(said["problems"])
        self._at_start = said["at_start"]
        self._duration = said["duration"]
        self._put(said)

    def begin(self, asker: Say | None = None, *, amends: bool = False) -> None:
        """Read everything anew, or the exceptions alone; `asker` is told the result."""
        askers = [asker] if asker is not None else []
        self._begin(askers, amends=amends)

    def mend(self, now: float) -> None:
        """Read everything anew, since a worker could not open what is in force: its files are gone, or damaged."""
        if now >= self._mend_at and False not in self._under_way:
            self._mend_at = now + _MEND_EVERY
            self._log.warning("what is in force cannot be opened; reading everything anew")
            self._begin([], amends=False)

    def _begin(self, askers: list[Say], *, amends: bool) -> None:
        if (reload := self._under_way.get(amends)) is not None:
            reload.again = True
            reload.askers_again += askers
            return
        self._number += 1
        if not amends:
            self._systemd.reloading()
        now, base = time.monotonic(), str(self.current.get("path", ""))
        try:
            pid, pipe = self._start_preparer(self._number, self.current if amends else None)
        except OSError as error:  # no process or descriptor left
            reload = self._under_way[amends] = Reload(amends, base, self._number, 0, None, now, now, askers)
            self._end(reload, [f"the process that reads the lists cannot be started: {error}"])
            return
        self._under_way[amends] = Reload(amends, base, self._number, pid, pipe, now, now + _PREPARE, askers)
        self._selector.register(pipe, selectors.EVENT_READ, lambda pipe: self._hear(amends, pipe))

    def heard(self, slot: Slot, said: Mapping[str, Any]) -> None:
        """Take note of what a worker says of what it was told to adopt."""
        if "refused" in said:
            self._log.error("worker cannot adopt; replacing it", worker=slot.number, why=said["why"])
            slot.kill(signal.SIGTERM)
            self.left(slot)
            return
        if said["adopted"] == self._told and self._turns.next != said["turns"]:
            self._turns.next = said["turns"]
            if not self._adoptions():  # a worker that has just started says so unasked
                self.tell()
        for adoption in self._adoptions():
            if said["adopted"] >= adoption.told:
                adoption.waiting.discard(slot.number)

    def left(self, slot: Slot) -> None:
        """Wait no more for a slot: its worker is dead, and the next one starts with the newest."""
        for adoption in self._adoptions():
            adoption.waiting.discard(slot.number)

    def look(self, now: float) -> None:
        """End what is complete, or takes too long; begin what time has come for."""
        for reload in list(self._under_way.values()):
            if reload.adoption is None:
                if now >= reload.deadline:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(reload.pid, signal.SIGKILL)  # its pipe closes, and that is the answer
            elif reload.adoption.is_over(now):
                self._end(reload, [*reload.problems, *self._replaced(reload.adoption)])
        if self._turn is not None and self._turn.is_over(now):
            self._replaced(self._turn)
            self._turn = None
            self.tell()
        self._look_at_clocks()

    @property
    def standing(self) -> Standing:
        """What is in force, and at which moment: with this a worker starts."""
        return Standing(
            self.current["path"], self.current["exceptions"]["path"], self._turns.moment, dict(self._turns.ends)
        )

    @property
    def told(self) -> int:
        """The number of what the workers were told last."""
        return self._told

    def tell(self) -> None:
        """Tell the companions what is in force, if anything is yet, and how all reloads went."""
        if not self.current:
            return
        reloads = {"succeeded": self._succeeded, "refused": self._refused, "last_success": self._last_success}
        state = {"event": "generation", "problems": self._problems, "duration": self._duration, "reloads": reloads}
        turns = {"standing": self.standing.said(), "turns": self._turns.next, "unamended": self._unamended}
        self._say({**self.current, **state, **turns})

    def _look_at_clocks(self) -> None:
        if not self.current:
            return
        wall, boot = self._clocks()
        if back := self._turns.look(wall, boot):
            self._log.warning(
                "the clock was set back; exceptions in force end as much earlier by it", seconds=round(back, 3)
            )
        if self._turn is None and self._turns.is_due(wall):
            self._log.info("time changes what is in force", was_due=self._turns.next)
            self._turn = self._adopt(wall)

    def _adopt(self, wall: float) -> Adoption:
        """Tell all workers what is in force at unix time `wall`."""
        self._turns.turn(wall)
        self._told += 1
        message = {"adopt": self.standing.said(), "told": self._told}
        waiting = {slot.number for slot in self._slots if slot.channel is not None}
        for slot in self._slots:
            slot.tell(message)
        return Adoption(self._told, waiting, time.monotonic() + _ADOPT)

    def _adoptions(self) -> list[Adoption]:
        found = [reload.adoption for reload in self._under_way.values()]
        return [each for each in (*found, self._turn) if each is not None]

    def _replaced(self, adoption: Adoption) -> list[str]:
        """Replace the workers that did not adopt in time, and return what is to be said of them."""
        for slot in self._slots:
            if slot.number in adoption.waiting:
                slot.kill(signal.SIGTERM)  # its successor starts with the newest
        return [f"worker {number} did not adopt it in time; replaced" for number in sorted(adoption.waiting)]

    def _hear(self, amends: bool, pipe: socket.socket) -> None:
        """Take a preparer's result."""
        reload = self._under_way[amends]
        self._selector.unregister(pipe)
        said = preparer.result(pipe)
        if "problems" in said:
            if "instead" not in said:
                self._end(reload, said["problems"])
                return
            reload.problems, said = said["problems"], said["instead"]
        is_stale = amends and reload.base != self.current["path"]  # read by a configuration that is over
        self._put({**self.current, "exceptions": said} if amends else said)
        reload.adoption = self._adopt(self._clocks()[0])
        if is_stale or self.current["exceptions"]["path"] != (said if amends else said["exceptions"])["path"]:
            self.begin(amends=True)  # what was read last was kept; what a bundle brought with the reload is not in it

    def _put(self, said: dict[str, Any]) -> None:
        """Let what was prepared be what is in force; of exceptions those read by who began last, not by a slow reload.

        Not those of the longest log: a store that was put away for a new one must not stay in force for that.
        """
        before, after = self.current.get("exceptions"), said["exceptions"]
        if before is not None and before["number"] > after["number"]:
            said = {**said, "exceptions": before}
        self.current = said
        granted = said["exceptions"]["granted"]
        self._turns.grant({each: (starts, ends) for each, (starts, ends) in granted.items()})

    def _end(self, reload: Reload, problems: list[str]) -> None:
        del self._under_way[reload.amends]
        duration = round(time.monotonic() - reload.began, 3)
        if reload.amends:
            self._unamended = problems
            for problem in problems:
                self._log.error("exceptions stay as they were", why=problem)
            if not problems:
                self._log.info("exceptions in force", seconds=duration)
        else:
            self._count(problems, duration)
        late = [key for key, value in self.current["at_start"].items() if value != self._at_start.get(key, value)]
        if late and not problems and not reload.amends:
            self._log.warning("what was changed here is in force only after a restart", keys=", ".join(late))
        self.tell()
        for asker in reload.askers:
            asker(
                {
                    "ok": not problems,
                    "problems": problems,
                    "generation": self.current["number"],
                    "digest": self.current["digest"],
                    "seconds": duration,
                    **({"only_after_a_restart": late} if late and not reload.amends else {}),
                }
            )
        if not reload.amends:
            self._systemd.ready()
        if reload.again:
            self._begin(reload.askers_again, amends=reload.amends)

    def _count(self, problems: list[str], duration: float) -> None:
        """Take note of how a reload went."""
        self._problems = problems
        self._duration = duration
        if problems:
            self._refused += 1
            for problem in problems:
                self._log.error("reload refused; the former lists and policy stay in force", why=problem)
        else:
            self._succeeded += 1
            self._unamended = []
            self._last_success = time.time()
            self._log.info("reloaded", generation=self.current["number"], seconds=duration)
