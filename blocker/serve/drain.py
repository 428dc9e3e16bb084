"""Carries the journals of all workers into the logs, in a thread of its own: a log that blocks stops nobody."""

import threading
import time
from collections.abc import Sequence
from typing import Final

from blocker.evidence.writer import Chained
from blocker.sinks import oplog
from blocker.sinks.querylog import QueryLog
from blocker.sinks.region import Region, Word

_PAUSE: Final = 0.05  # seconds between looks at the journals while they are short
_BATCH: Final = 4096  # records per look and region, about 1 MB of lines
_SAY_EVERY: Final = 60.0  # seconds


class Drainer:
    """Reads journals and writes logs until it is ended."""

    def __init__(self, regions: Sequence[Region], log: QueryLog) -> None:
        """Carry the journals of `regions` into `log`."""
        self._regions = regions
        self._log = log
        self._lost = 0  # records that met a bug of ours
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
        largest = max((self._carry(region) for region in self._regions), default=0)
        if self._regions:  # in shared memory, so that no restart of this process takes the counter back
            self._regions[0].words[Word.LOG_DROPPED] = self._former + self.dropped
            if (chained := self._log.chained) is not None:
                self._look_at(chained, self._regions[0])
        return largest

    def _run(self) -> None:
        pause = 0.0
        while not self._ending.wait(pause):
            pause = 0.0 if self.drain() >= _BATCH else _PAUSE
        while self.drain():
            pass
        if waiting := sum(region.words[Word.HEAD] - region.words[Word.TAIL] for region in self._regions):
            oplog.get("log").error("the log cannot be written; what waited in the journals is lost", octets=waiting)
        self._log.close()
        if self._log.chained is not None and self._regions:
            self._look_at(self._log.chained, self._regions[0])

    def _look_at(self, chained: Chained, region: Region) -> None:
        """Put what metrics tell of the evidence into shared memory, and losses into the evidence."""
        words = region.words
        words[Word.CHAINED] = self._chained + chained.written
        words[Word.UNCHAINED] = int(chained.broken)
        words[Word.EVIDENCE] = 1
        if chained.checkpoint:
            words[Word.CHECKPOINT] = int(chained.checkpoint)
        lost = sum(each.words[Word.DROPPED] for each in self._regions)
        if lost > words[Word.LOSS_NOTED]:
            chained.tell("lost", records=lost - words[Word.LOSS_NOTED], why="the journal had no room")
            words[Word.LOSS_NOTED] = lost

    def _carry(self, region: Region) -> int:
        now = time.time()
        if not self._log.is_ready(now):
            return 0
        records = region.read(_BATCH)
        if not records:
            return 0
        settled = len(records)
        try:
            settled = self._log.write(records, now, region.identity)
        except Exception as error:  # noqa: BLE001 a bug of ours must not end the log for good
            self._lost += len(records)
            if time.monotonic() >= self._say_at:
                self._say_at = time.monotonic() + _SAY_EVERY
                oplog.get("log").error("a bug of ours; events are dropped", dropped=self._lost, exc_info=error)
            if self._log.chained is not None:
                self._log.chained.tell("lost", records=len(records), why="a bug of ours")
        # Only now: a control process that is killed loses no line, and those of a chain come out once all the same.
        if settled == len(records):
            region.release()
        elif settled:
            region.release(records[settled - 1].end)
        return settled
