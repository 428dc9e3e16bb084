"""Writes records as a chain, and signs checkpoints: the shell around chain.py.

Each record comes out exactly once: room in a worker's journal is given back only for what was written, and after
a restart the chain goes on behind the last line in the file, past whatever the process before us had written and
not yet given back. While the log cannot be written, records wait in the journal. What could not be joined to the
chain before it begins a new one, says so in its first line, and raises `broken`.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import blocker
from blocker.config import Evidence
from blocker.errors import EvidenceError
from blocker.evidence import chain, checkpoint, resume
from blocker.evidence.chain import GENESIS, End, Place
from blocker.evidence.checkpoint import Checkpoint
from blocker.sinks import oplog
from blocker.sinks.logfile import Destination, LogFile, rotated

_LOCK_PATIENCE: Final = 2.0  # seconds a process that was killed may take to let go
_SAY_EVERY: Final = 60.0  # seconds between two complaints
_MODE: Final = 0o640


class Chained:
    """One node's chain in one destination. Never raises; used by one thread."""

    def __init__(
        self,
        destination: Destination,
        log: Path | None,
        evidence: Evidence,
        node: str,
        copies: Path,
        sign: Callable[[str, str], str] | None,
    ) -> None:
        """Write to `destination`, the file at `log` or None for standard output; `copies` takes every checkpoint."""
        self.written = 0  # lines
        self.checkpoint = 0.0  # unix time of the last
        self.broken = False
        self._destination = destination
        destination.kept = True
        self._path = log
        self._evidence = evidence
        self._node = node
        self._copies = copies
        self._sign = sign
        self._log = oplog.get("evidence")
        self._end: End | None = None  # None: not begun
        self._kept_from = 0  # number of the first line that we have not removed ourselves
        self._alone = True  # nobody else writes this chain
        self._known: dict[bytes, int] = {}  # positions in journals that a process before us has written up to
        self._notes: list[bytes] = []  # lines of ours that were not taken yet
        self._records = 0  # since the last checkpoint
        self._since = 0.0  # unix time of the first of them
        self._lock: int | None = None  # descriptor of the file of copies
        self._say_at = 0.0

    def is_ready(self, now: float) -> bool:
        """Tell whether it is worth offering records."""
        return self._destination.is_ready(now)

    def write(self, bodies: Sequence[bytes], places: Sequence[Place], now: float) -> int:
        """Append records of one journal, each without its last brace; return how many, from the first, are settled."""
        if not self._say(now):
            return 0
        first = self._already(places)
        taken = self._put(bodies[first:], places[first:], now)
        if not self._alone:
            return len(bodies)  # what was not taken is dropped, and counted
        if taken:
            self._since = self._since if self._records else now
            self._records += taken
        return first + taken

    def tick(self, now: float) -> None:
        """Do what time brings: the first line, notes that wait, a checkpoint that is due."""
        if not self._say(now) or not self._records:
            return
        late = not 0 <= now - self._since < self._evidence.every_seconds  # or the clock was set back
        if late or self._records >= self._evidence.every_records:
            self._make_checkpoint(now, final=False)

    def lose(self, records: int, why: str, now: float) -> bool:
        """Write that so many records were lost, and tell whether that worked."""
        note = checkpoint.note(checkpoint.LOST, now, records=records, why=why)
        return self._say(now) and bool(self._put([note], [None], now))

    def close(self, now: float) -> None:
        """End the chain in order: with a checkpoint that says so."""
        if self._say(now) and self._alone:
            self._make_checkpoint(now, final=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # Beginning.

    def _begin(self, now: float) -> None:
        """Go on where the chain ended, or begin one; the first line of ours says which."""
        if self._end is not None:
            return
        self._end = GENESIS
        self._alone = self._locked()
        if not self._alone:
            self.broken = True
            self._destination.kept = False
            self._log.error(
                "another process writes this evidence; records are written, but not chained",
                destination=self._destination.name,
                hint="give each blocker a log file of its own",
            )
            return
        try:
            torn = resume.untorn(self._path) if self._path is not None else 0
            resume.untorn(self._copies)
            self._join(torn, now)
        except (OSError, EvidenceError) as error:
            self._start(now, why=str(error), after=None)

    def _join(self, torn: int, now: float) -> None:
        last = resume.latest(self._copies, self._node)
        files = [self._path, *rotated(self._path)] if self._path is not None and self._path.parent.is_dir() else []
        node = self._node.encode()
        tail = resume.tail(files, node)
        if tail is None and files and resume.is_foreign(files[0]) and isinstance(self._destination, LogFile):
            self._destination.set_aside(now)  # lines from before the chain do not belong into its files
        if tail is not None and (last is None or last.number < tail.end.next):
            self._end, self._known = tail.end, tail.positions
        elif last is not None and last.final and last.end is not None:  # standard output, or the log was moved away
            self._end = last.end
        elif last is not None:
            where = "the log ends before" if self._path is not None else "standard output cannot be read back behind"
            self._start(now, why=f"{where} line {last.number}, where it had a checkpoint", after=last)
            return
        else:
            former = resume.other(files[0], node) if files else ""
            why = (
                f"the log has the chain of node {former}: set evidence.node, so that it stays the same"
                if former
                else ""
            )
            self._start(now, why=why, after=None)
            return
        self._kept_from = resume.kept_from(files, node)
        self._notes.append(checkpoint.note("resume", now, blocker=blocker.__version__, torn=torn))

    def _start(self, now: float, *, why: str, after: Checkpoint | None) -> None:
        """Begin a new chain; with `why`, one that should have gone on."""
        if why and self._path is not None:
            self.broken = True
            self._log.error("the chain of evidence is broken; a new one begins", why=why)
        said: dict[str, object] = {"version": 1, "blocker": blocker.__version__}
        if why:
            said["why"] = why
        if after is not None:
            said |= {"after_seq": after.number, "after_hash": after.hash.decode()}
        self._end, self._kept_from = GENESIS, 0
        self._notes.append(checkpoint.note("start", now, **said))

    def _locked(self) -> bool:
        """Take hold of the file of copies, for as long as we live; a file that cannot be had is no reason to stop."""
        deadline = time.monotonic() + _LOCK_PATIENCE
        while True:
            try:
                self._open_copies()
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.05)
            except OSError as error:
                self._complain(time.time(), "checkpoints cannot be copied", error)
                return True
            else:
                return True

    # Writing.

    def _already(self, places: Sequence[Place]) -> int:
        """Return how many records, from the first on, the process before us has written."""
        if not self._known or not places:
            return 0
        known = self._known.get(places[0].journal, 0)
        count = sum(place.position <= known for place in places)
        if count < len(places):
            self._known.pop(places[0].journal, None)
        return count

    def _say(self, now: float) -> bool:
        """Write what is to be said before anything else, and tell whether that worked."""
        self._begin(now)
        if self._notes and self._alone:
            del self._notes[: self._put(self._notes, [None] * len(self._notes), now)]
        return not self._notes or not self._alone

    def _put(self, bodies: Sequence[bytes], places: Sequence[Place | None], now: float) -> int:
        if not bodies:
            return 0
        if not self._alone:
            node = b',"node":"%b"}\n' % self._node.encode()
            return self._destination.put([body + node for body in bodies], now)
        return self._append(bodies, places, now) if self._head(now) else 0

    def _head(self, now: float) -> bool:
        """Begin a later file with what it follows and how far back files are kept; tell whether that worked.

        What is said to be removed is removed after it was said; or before, if the disk is too full for a word.
        """
        assert self._end is not None
        if not self._end.next or not self._destination.begins(now):
            return True
        with contextlib.suppress(OSError):  # who writes hears of it
            self._kept_from = self._kept(self._destination.outdated())
        taken = self._append([checkpoint.heading(self._end.hash, self._kept_from, now)], [None], now)
        self._destination.forget(now)
        return bool(taken)

    def _kept(self, outdated: Sequence[Path]) -> int:
        """Return the number of the first line that there will be without the files that are outdated."""
        if not outdated:
            return self._kept_from
        assert self._path is not None
        assert self._end is not None
        kept = rotated(self._path)[: -len(outdated)]
        first = resume.first(kept[-1], self._node.encode()) if kept else self._end.next
        return first if first is not None and first <= self._end.next else self._kept_from

    def _append(self, bodies: Sequence[bytes], places: Sequence[Place | None], now: float) -> int:
        assert self._end is not None
        lines = chain.joined(self._end, bodies, self._node.encode(), places)
        taken = self._destination.put(lines, now)
        if taken:
            self._end = chain.behind(lines[taken - 1], self._end.next + taken - 1)
            self.written += taken
        return taken

    def _make_checkpoint(self, now: float, *, final: bool) -> None:
        if not self._head(now):
            return
        assert self._end is not None
        said = checkpoint.statement(self._node, self._end, now, final=final)
        try:
            self._destination.sync()  # it must not speak of lines that a power cut takes away
            comment = f"blocker evidence, {self._node}, up to line {self._end.next - 1}, {checkpoint.time_text(now)}"
            signature = self._sign(said, comment) if self._sign is not None else ""
        except OSError as error:
            self._complain(now, "no checkpoint: the log cannot be brought to disk", error)
            return
        end = self._end
        body = checkpoint.body(said, signature, now)
        if self._append([body], [None], now):
            self._records = 0
            self.checkpoint = now
            try:
                self._copy(chain.joined(end, [body], self._node.encode(), [None])[0])
            except OSError as error:
                self._complain(now, "checkpoints cannot be copied", error)

    # The file of copies.

    def _open_copies(self) -> int:
        """Return the descriptor of the file at its path now, which is ours alone. Raises OSError."""
        if self._lock is not None:
            state = os.fstat(self._lock)
            try:
                there = self._copies.stat()
            except FileNotFoundError:
                there = None
            if there is not None and (state.st_dev, state.st_ino) == (there.st_dev, there.st_ino):
                return self._lock
            os.close(self._lock)  # others have moved it
            self._lock = None
        descriptor = os.open(self._copies, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        self._lock = descriptor
        return descriptor

    def _copy(self, line: bytes) -> None:
        descriptor = self._open_copies()
        size = os.fstat(descriptor).st_size
        if os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, size)
            raise OSError(f"{self._copies}: no space left")
        os.fsync(descriptor)

    def _complain(self, now: float, what: str, error: OSError) -> None:
        if not 0 < self._say_at - now <= _SAY_EVERY:
            self._say_at = now + _SAY_EVERY
            self._log.error(what, file=str(self._copies), why=error.strerror or str(error))
