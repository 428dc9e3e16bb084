"""A process beside the workers: control, and whoever else logs, fetches or serves what is not a query.

Nothing that happens to it stops an answer: it is replaced after a pause. It hears what is in force, and may ask
for a reload (serve/link.py is its end of the channel). One that sees attempts has a region, and records them there
as a worker does: the same log, the same chain of evidence.
"""

import contextlib
import json
import selectors
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from blocker.sinks.region import Region, Word

_PAUSE: Final = 0.5  # seconds before one that died is replaced: no haste, no tight loop


@dataclass(slots=True)
class Companion:
    """One such process; `pid` 0: it does not run."""

    name: str
    main: Callable[[socket.socket], int]  # its body, given its end of the channel; returns its exit status
    keep: tuple[socket.socket, ...] = ()  # listening sockets that it needs
    wanted: Callable[[Mapping[str, Any]], bool] = lambda _generation: True  # by what is in force; it ends by itself
    region: Region | None = None  # where it counts and journals, and shows signs of life (`beat`)
    early: bool = False  # started once, with privileges that nobody has later; it keeps itself running
    late: bool = False  # it may ask for a reload by itself, and none must come before every worker serves
    pid: int = 0
    channel: socket.socket | None = None
    start_at: float = 0.0  # monotonic seconds before which it is not started
    crashed: bool = False  # the last one did not end by itself

    def due(self, now: float, generation: Mapping[str, Any], *, ready: bool) -> bool:
        """Tell whether it is to be started now; `ready`: every worker serves, or did."""
        if self.early or self.pid or now < self.start_at or (self.late and not ready):
            return False
        return self.wanted(generation)

    def died(self, now: float, code: int) -> None:
        """Take note that it is dead, with exit code `code`: another may start soon."""
        self.pid = 0
        self.crashed = code not in (0, 1)  # killed, or a bug
        self.start_at = now + _PAUSE
        if self.region is not None:
            self.region.words[Word.READY] = 0
            self.region.words[Word.RESTARTS] += 1

    def tell(self, message: Mapping[str, object]) -> None:
        """Say something to it, if it runs."""
        if self.channel is not None:
            with contextlib.suppress(OSError):  # it is dying: SIGCHLD comes next
                self.channel.send(json.dumps(message).encode() + b"\n")

    def hang_up(self, selector: selectors.BaseSelector) -> None:
        """Close the channel to one that is gone."""
        if self.channel is not None:
            selector.unregister(self.channel)
            self.channel.close()
            self.channel = None
