"""A place for a worker: the worker in it changes, its region and its sockets stay."""

import contextlib
import json
import os
import selectors
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from blocker.serve.worker import Sockets
from blocker.sinks.region import Region, Word

_SILENT: Final = 10.0  # seconds without a pulse after which a worker is aborted
_STARTING: Final = 30.0  # seconds a worker may take until its first pulse
_KILL_AFTER: Final = 2.0  # seconds between abort (which leaves a traceback) and kill
_RAPID: Final = 5  # deaths ...
_RAPID_WITHIN: Final = 30.0  # ... within so many seconds, after which the next worker ...
_BACK_OFF: Final = 2.0  # ... starts only so many seconds later


@dataclass(slots=True)
class Slot:
    """One worker's place; `pid` 0: nobody is in it."""

    number: int
    region: Region
    share: Sockets
    pid: int = 0
    channel: socket.socket | None = None
    start_at: float = 0.0  # monotonic seconds before which no worker is started
    aborted: float = 0.0  # monotonic seconds since when its worker should be dead; 0: it may live
    deaths: list[float] = field(default_factory=list)  # monotonic seconds

    @property
    def ready(self) -> bool:
        """Whether a worker serves here."""
        return bool(self.pid) and self.region.words[Word.READY] == 1

    def died(self, now: float) -> None:
        """Take note that the worker is dead: another may start, later if this happens often."""
        self.pid = 0
        self.region.words[Word.READY] = 0
        self.region.words[Word.RESTARTS] += 1
        self.deaths = [*[when for when in self.deaths if now - when < _RAPID_WITHIN], now]
        self.start_at = now + _BACK_OFF if len(self.deaths) >= _RAPID else now

    def check_pulse(self, now: float) -> bool:
        """Abort a worker that gives no sign of life, and kill it if that does not help.

        Returns whether it was aborted just now.
        """
        if self.aborted:
            if now - self.aborted >= _KILL_AFTER:
                self.kill(signal.SIGKILL)
        elif self.pid and now - self.region.words[Word.PULSE] / 1e9 >= (_SILENT if self.ready else _STARTING):
            self.aborted = now
            self.kill(signal.SIGABRT)
            return True
        return False

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the worker, if there is one."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def tell(self, message: Mapping[str, object]) -> None:
        """Say something to the worker, if there is one."""
        if self.channel is not None:
            with contextlib.suppress(OSError):  # it is dying: SIGCHLD comes next
                self.channel.send(json.dumps(message).encode())

    def hang_up(self, selector: selectors.BaseSelector) -> None:
        """Close the channel to a worker that is gone."""
        if self.channel is not None:
            selector.unregister(self.channel)
            self.channel.close()
            self.channel = None
