"""Writes down which exceptions time has ended, and notices changes that nobody told the blocker of.

    generation events, the audit log's look -> store: ended, shortened -> exceptions read anew -> supervisor

In the control process, in a thread of its own. Nothing depends on it: exceptions end in the workers, on time, whether
or not it can be written down. What is written down stays ended, whatever clocks say after the next start.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from blocker import config as configuration
from blocker.config import Config
from blocker.errors import BlockerError
from blocker.exceptions import entry, store
from blocker.serve import excepted
from blocker.serve.excepted import Approved, Standing
from blocker.sinks import oplog

_STEP: Final = 1.0  # seconds between looks at the log
_SWEEP: Final = 60.0  # seconds between looks at the clock without an event: requests lapse too
_AGAIN: Final = 10.0  # seconds until what could not be had in force is asked for again: each time takes a process
_SAY_EVERY: Final = 60.0  # seconds between two complaints of the same

Ask = Callable[[], Mapping[str, Any]]


class Bookkeeper:
    """Keeps the store in step with what is in force."""

    def __init__(self, amend: Ask, clock: Callable[[], float] = time.time) -> None:
        """`amend` has the supervisor read the store anew, and returns the reply; `clock` tells unix time."""
        self.trouble = ""  # why the store cannot be kept; empty: it can
        self._config: tuple[str, Config | None] = ("", None)  # and the generation that it was read from
        self._amend = amend
        self._clock = clock
        self._log = oplog.get("exceptions")
        self._news = threading.Event()
        self._standing: Standing | None = None
        self._seq = -1  # of the changes that are in force
        self._approved: Approved | None = None
        self._refused: int | None = None  # the last change, if it could not be had in force ...
        self._again_at = 0.0  # ... and monotonic seconds at which that is tried again
        self._seen: tuple[int, int, int] | None = None  # how the log's file looked
        self._said = ("", 0.0)  # the last complaint, and monotonic seconds until which it is not said again

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="exceptions", daemon=True).start()

    def adopt(self, event: Mapping[str, Any]) -> None:
        """Take note of what has come into force. Raises KeyError, TypeError or ValueError."""
        self._standing = Standing.of(event["standing"])
        self._seq = int(event["exceptions"]["seq"])
        self._news.set()

    def _run(self) -> None:
        sweep_at = 0.0
        while True:
            due = self._news.wait(_STEP) or time.monotonic() >= sweep_at or self._has_changed()
            if not due or self._standing is None:
                continue
            self._news.clear()
            sweep_at = time.monotonic() + _SWEEP
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 a bug of ours must not end the thread
                self._complain("a bug of ours with exceptions", repr(error))

    def look(self) -> None:
        """Write down what has ended, and have the exceptions read anew if they are not those in force."""
        standing, config, now = self._standing, self._configured(), self._clock()
        if standing is None or config is None:
            return
        try:
            self._approved = excepted.approved(standing, self._approved)
            bundled = [each for each in self._approved.grants if each.is_bundled]
            is_due = any(entry.until(each, now, standing.ends) < each.ends for each in bundled)
            if not is_due and not store.is_used(config):
                return
            with store.opened(config) as kept:
                kept.catch_up(now)
                ended = kept.settle(now, standing.ends, bundled)
                seq = kept.seq
                unsigned = kept.unsigned
        except BlockerError as error:
            self.trouble = str(error)
            self._complain("exceptions cannot be kept; those in force end all the same", str(error))
            return
        self.trouble = ""
        if ended:
            self._log.info("exceptions have ended", count=ended)
        if unsigned:
            self._complain("a change of exceptions could not be signed", unsigned)
        if seq not in (self._seq, self._refused) or (seq != self._seq and time.monotonic() >= self._again_at):
            reply = self._amend()
            self._refused = None if reply.get("ok") else seq
            if self._refused is not None:
                self._again_at = time.monotonic() + _AGAIN
                self._complain("changed exceptions are not in force", "; ".join(reply.get("problems", ())))

    def _has_changed(self) -> bool:
        """Tell whether the log's file looks different: somebody has made a change, and perhaps told nobody."""
        config = self._configured()
        if config is None:
            return False
        try:
            state = configuration.exceptions_audit(config).stat()
        except OSError:
            return False
        seen, self._seen = self._seen, (state.st_ino, state.st_size, state.st_mtime_ns)
        return seen != self._seen

    def _configured(self) -> Config | None:
        """Return the configuration in force; None: it is not known, or its file is gone, and a newer one follows."""
        standing = self._standing
        if standing is not None and self._config[0] != standing.generation:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                said = json.loads(Path(standing.generation).read_bytes())["config"]
                self._config = standing.generation, Config.model_validate(said)
        return self._config[1]

    def _complain(self, what: str, why: str) -> None:
        said, until = self._said
        if said != why or time.monotonic() >= until:
            self._said = why, time.monotonic() + _SAY_EVERY
            self._log.error(what, why=why)
