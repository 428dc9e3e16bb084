"""Carries the journals of all workers into the logs, in a thread of its own: a log that blocks stops nobody."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from blocker.evidence.writer import Chained
from blocker.sinks import oplog
from blocker.sinks.querylog import QueryLog
from blocker.sinks.region import Record, Region, Word

_PAUSE: Final = 0.05  # seconds between looks at the journals while they are short
_BATCH: Final = 4096  # records per look and region, about 1 MB of lines
_SAY_EVERY: Final = 60.0  # seconds


class Drainer:
    """Reads journals and writes logs until it is ended."""

    def __init__(
        self, regions: Sequence[Region], log: QueryLog, heed: Callable[[Sequence[Record]], object] = len
    ) -> None:
        """Carry the journals of `regions` into `log`; `heed` is shown each record once, written or not."""
        self._heed = heed
        self._heeded = [region.words[Word.TAIL] for region in regions]  # octets of each journal that were shown
        self._regions = regions
        self._log = log
        self._lost = 0  # records that met a bug of ours, ...
        self._untold = 0  # ... and of them, those that the evidence does not tell of yet
        words = regions[0].words if regions else None
        self._former = words[Word.LOG_DROPPED] if words else 0  # by a control process before us
        self._chained = words[Word.CHAINED] if words else 0  # as well
        self._say_at = 0.0  # monotonic seconds
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drainer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self, timeout: float) -> bool:
        """Write what is left, and tell whether that was done within `timeout` seconds."""
        self._ending.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def dropped(self) -> int:
        """Records that were read and not written."""
        return self._log.dropped + self._lost

    def drain(self) -> int:
        """Carry one batch of each journal, and return the size of the largest."""
        self._log.tick(time.time())
        largest = max((self._carry(at, region) for at, region in enumerate(self._regions)), default=0)
        if self._regions:  # in shared memory, so that no restart of this process takes the counter back
            self._regions[0].words[Word.LOG_DROPPED] = self._former + self.dropped
            if (chained := self._log.chained) is not None:
                self._tell_losses(chained, time.time())
                self._look_at(chained, self._regions[0])
        return largest

    def _run(self) -> None:
        self._log.begin(time.time())
        pause = 0.0
        while not self._ending.wait(pause):
            pause = 0.0 if self.drain() >= _BATCH else _PAUSE
        self._log.hurry()  # a disk that was full may have room since
        while self.drain():
            pass
        if waiting := sum(region.words[Word.HEAD] - region.words[Word.TAIL] for region in self._regions):
            oplog.get("log").error("the log cannot be written; what waited in the journals is lost", octets=waiting)
        self._log.close(time.time())
        if self._log.chained is not None and self._regions:
            self._look_at(self._log.chained, self._regions[0])

    def _look_at(self, chained: Chained, region: Region) -> None:
        """Put what metrics tell of the evidence into shared memory."""
        words = region.words
        words[Word.CHAINED] = self._chained + chained.written
        words[Word.UNCHAINED] = int(chained.broken)
        words[Word.EVIDENCE] = 1
        if chained.checkpoint:
            words[Word.CHECKPOINT] = int(chained.checkpoint)

    def _tell_losses(self, chained: Chained, now: float) -> None:
        """Have the evidence say what is missing from it; what it cannot say now it says later."""
        words = self._regions[0].words
        lost = sum(each.words[Word.DROPPED] for each in self._regions) - words[Word.LOSS_NOTED]
        if lost > 0 and chained.lose(lost, "the journal had no room", now):
            words[Word.LOSS_NOTED] += lost
        if self._untold and chained.lose(self._untold, "a bug of ours", now):
            self._untold = 0

    def _show(self, at: int, records: Sequence[Record]) -> None:
        """Show records that were not shown yet; those that cannot be written are read again and again."""
        fresh = [record for record in records if record.end > self._heeded[at]]
        if fresh:
            self._heeded[at] = fresh[-1].end
            try:
                self._heed(fresh)
            except Exception as error:  # noqa: BLE001 as in _carry
                self._say(error, "a bug of ours; records are logged, but not looked at")

    def _say(self, error: Exception, what: str, **more: object) -> None:
        if time.monotonic() >= self._say_at:
            self._say_at = time.monotonic() + _SAY_EVERY
            oplog.get("log").error(what, exc_info=error, **more)

    def _carry(self, at: int, region: Region) -> int:
        now = time.time()
        if not self._log.is_ready(now):
            self._show(at, region.follow(self._heeded[at], _BATCH).records)
            return 0
        records = region.read(_BATCH)
        if not records:
            return 0
        self._show(at, records)
        settled = len(records)
        try:
            settled = self._log.write(records, now, region.identity)
        except Exception as error:  # noqa: BLE001 a bug of ours must not end the log for good
            self._lost += len(records)
            self._say(error, "a bug of ours; events are dropped", dropped=self._lost)
            self._untold += len(records)
        # Only now: a control process that is killed loses no line, and those of a chain come out once all the same.
        if settled == len(records):
            region.release()
        elif settled:
            region.release(records[settled - 1].end)
        return settled
