"""The process that looks for names nobody has listed: it reads along in the workers' journals, and may come late.

    workers' journals -> search -> candidates on disk -> `blocker candidates`, metrics

Nothing waits for it: what it does not read in time it misses, and counts. It hears from the supervisor which lists are
in force.
"""

import signal
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import setproctitle

from blocker.bundle import current as bundles
from blocker.candidates.search import Search
from blocker.candidates.seen import of_record
from blocker.candidates.store import Store
from blocker.config import Candidates
from blocker.errors import BlockerError, CandidateError
from blocker.lists import gather
from blocker.serve import priority
from blocker.serve.excepted import Standing
from blocker.serve.generation import Generation
from blocker.serve.link import Link, Message
from blocker.sinks import oplog
from blocker.sinks.region import Region, Word

_PAUSE: Final = 0.1  # seconds between looks at the journals
_BATCH: Final = 8192  # records per look and journal
_TELL: Final = 5.0  # seconds between two looks at what was found
_REST: Final = 30.0  # seconds after which that we look is written down though nothing was found
_SAID: Final = 10  # findings that one look logs: whoever asks for names must not fill the log
_FADE: Final = 86400.0  # seconds after which what was counted counts half
_SAY_EVERY: Final = 600.0  # seconds between two words on the same trouble


def run(state: Path, supervisor: socket.socket, regions: Sequence[Region]) -> int:
    """Be the process: the body of a forked child. Returns its exit status."""
    setproctitle.setproctitle("blocker: candidates")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when
    priority.give_way()
    return Relatives(Store(state), Link(supervisor), regions).serve()


class Relatives:
    """Reads along, in a thread of its own."""

    def __init__(self, store: Store, link: Link, regions: Sequence[Region]) -> None:
        """Keep what is found in `store`, read the journals of `regions`, and hear from the supervisor over `link`."""
        self._store = store
        self._link = link
        self._regions = regions
        self._log = oplog.get("candidates")
        self._positions = [region.head for region in regions]
        self._unsearched = [region.words[Word.UNSEARCHED] for region in regions]
        self._search: Search | None = None
        self._wanted: Candidates | None = None
        self._newest: Standing | None = None  # whose lists count; None: they are known
        self._missed = 0
        self._told = float("-inf")  # unix time of the last writing
        self._say_at = 0.0  # monotonic seconds
        self._ending = threading.Event()

    def serve(self) -> int:
        """Serve until the supervisor says stop, is gone, or nobody wants a search any more."""
        thread = threading.Thread(target=self._run, name="search", daemon=True)
        thread.start()
        for event in self._link.events():
            if event["event"] == "stop" or (event["event"] == "generation" and not self._hear(event)):
                break
        self._ending.set()
        thread.join(_TELL)
        return 0

    def _hear(self, event: Message) -> bool:
        """Take note of what is in force; False: no search is wanted."""
        self._newest = Standing.of(event["standing"])
        return bool(event.get("candidates"))

    def _run(self) -> None:
        tell_at = time.monotonic() + _TELL
        fade_at = time.monotonic() + _FADE
        pause = 0.0
        while not self._ending.wait(pause):
            try:
                self._adopt()
                pause = 0.0 if self._look() >= _BATCH else _PAUSE
                if time.monotonic() >= tell_at:
                    tell_at = time.monotonic() + _TELL
                    self.tell(time.time())
                if self._search is not None and time.monotonic() >= fade_at:
                    fade_at = time.monotonic() + _FADE
                    self._search.memory.fade()
            except Exception as error:  # noqa: BLE001 the next look may do better; the process must not fall silent
                pause = _PAUSE
                self._complain("a bug of ours in the search for candidates", error)
        self.tell(time.time())

    def _adopt(self) -> None:
        """Go on under the newest lists; the memory stays unless the section itself has changed."""
        newest, self._newest = self._newest, None
        if newest is None:
            return
        try:
            generation = Generation.open(newest)
            must = gather.required(bundles.in_force(generation.config).lists)
        except BlockerError as error:
            self._log.error("the search for candidates goes on with the former lists", why=str(error))
            return
        wanted = generation.config.candidates
        fresh = Search(generation.index, must, wanted)
        if self._search is None or wanted != self._wanted or fresh.words != self._search.words:
            self._search, self._wanted = fresh, wanted
        else:
            self._search.renew(generation.index, must)
        try:
            self._store.forget(self._search.is_decided)
        except CandidateError as error:
            self._complain("candidates that lists have meanwhile cannot be taken back", error)

    def _look(self) -> int:
        """Take in what was asked since the last look, and return the size of the largest batch."""
        search = self._search
        largest = 0
        for at, region in enumerate(self._regions):
            if search is None:
                self._positions[at] = region.head
                continue
            records, self._positions[at], missed = region.follow(self._positions[at], _BATCH)
            unsearched, self._unsearched[at] = self._unsearched[at], region.words[Word.UNSEARCHED]
            self._missed += missed + self._unsearched[at] - unsearched
            largest = max(largest, len(records))
            for record in records:
                if (seen := of_record(record.when, record.client, record.tail)) is not None:
                    search.memory.see(seen)
        return largest

    def tell(self, now: float) -> None:
        """Keep what was learnt, at unix time `now`."""
        if self._search is None:
            return
        self._search.memory.settle(now)
        found = list(self._search.findings())
        if not found and 0 <= now - self._told < _REST:
            return  # nothing worth a disk's time
        missed, self._missed = self._missed, 0
        try:
            new = self._store.put(found, now, missed)
        except CandidateError as error:
            self._complain("candidates cannot be kept", error)
            if error.damaged:
                self._log.error("what was kept is damaged; beginning anew", moved_to=str(self._store.set_aside()))
            return
        self._told = now
        if len(new) > _SAID:
            self._log.info("more candidates", found=len(new), shown=_SAID)
        for finding in new[:_SAID]:
            kinds = ", ".join(sorted(finding.kinds))
            self._log.info("candidate", name=finding.name, app=finding.app, weight=finding.score, evidence=kinds)

    def _complain(self, what: str, error: Exception) -> None:
        if time.monotonic() >= self._say_at:
            self._say_at = time.monotonic() + _SAY_EVERY
            if isinstance(error, BlockerError):
                self._log.error(what, why=str(error))
            else:
                self._log.error(what, exc_info=error)
