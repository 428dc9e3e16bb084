"""What can be seen of the workers from outside: their words in shared memory, and what the kernel says of them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blocker.sinks.region import Region, Word

SILENT: Final = 5.0  # seconds without a sign of life after which a worker does not count as ready
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")  # octets
_TICKS: Final = os.sysconf("SC_CLK_TCK")  # per second


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker slot at one moment."""

    number: int
    pid: int  # 0: none was ever started
    ready: bool  # it says that it serves
    silence: float  # seconds since its last sign of life
    generation: int
    started: int  # unix seconds
    restarts: int

    @property
    def up(self) -> bool:
        """Tell whether it serves, as far as anybody can see."""
        return self.ready and self.silence < SILENT

    @property
    def trouble(self) -> str:
        """Say why it is not up; nothing if it is."""
        if not self.ready:
            return f"worker {self.number}: not ready"
        return "" if self.up else f"worker {self.number}: no sign of life for {self.silence:.1f} s"


def look(regions: Sequence[Region], now: int) -> list[Worker]:
    """Return the workers as they are at monotonic time `now`, nanoseconds."""
    return [
        Worker(
            number=number,
            pid=words[Word.PID],
            ready=words[Word.READY] == 1,
            silence=max(0, now - words[Word.PULSE]) / 1e9,  # a pulse may be younger than `now`
            generation=words[Word.GENERATION],
            started=words[Word.STARTED],
            restarts=words[Word.RESTARTS],
        )
        for number, words in enumerate(region.words for region in regions)
    ]


def usage(pid: int) -> tuple[int, float] | None:
    """Return the resident memory (octets) and the processor time (seconds) of a process; None if it is gone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = state.rpartition(b") ")[2].split()  # the name before it may hold anything (proc(5))
    return int(fields[21]) * _PAGE, (int(fields[11]) + int(fields[12])) / _TICKS
