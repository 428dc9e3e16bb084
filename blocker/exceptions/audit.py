"""The audit log of exceptions: a line for each change, in the store and in a file that only grows.

The store's table is written in one transaction with the change; `publish` appends to the file what it does not hold
yet. Where there is a key each change is followed by a signed checkpoint, which `publish` also copies into a file of
its own, meant to leave the machine: who rewrites store and log can do it no more without that it shows.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from blocker.errors import ExceptionsError
from blocker.evidence import chain, checkpoint, resume
from blocker.evidence.chain import GENESIS, End

HOW: Final = "Run: blocker exceptions verify"
_MODE: Final = 0o640

Sign = Callable[[str, str], str]
"""Takes a checkpoint's statement and a comment for people, returns the text of a `.minisig` file."""


class Audit:
    """The log of the store that `db` is; who changes anything holds a transaction."""

    def __init__(self, db: sqlite3.Connection, path: Path, node: bytes, sign: Sign | None) -> None:
        """Take `path` for the log's file; `sign` None: there are no checkpoints."""
        self._db = db
        self._path = path
        self._node = node
        self._sign = sign

    @property
    def end(self) -> End:
        """Where the log ends in the store. Raises sqlite3.Error."""
        row = self._db.execute("SELECT seq, line FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        return chain.behind(row[1], row[0]) if row is not None else GENESIS

    def lines(self) -> list[bytes]:
        """Return the lines that the file must hold, in their order. Raises sqlite3.Error."""
        return [line for (line,) in self._db.execute("SELECT line FROM audit ORDER BY seq")]

    def note(self, event: str, now: float, **more: object) -> None:
        """Add a line to the store. Raises sqlite3.Error."""
        if self.end == GENESIS:
            self._add(checkpoint.note("start", now, version=1))
        self._add(checkpoint.note(event, now, **more))

    @property
    def is_sealed(self) -> bool:
        """Whether a signed checkpoint stands at the end, or there is none to be had. Raises sqlite3.Error."""
        row = self._db.execute("SELECT line FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        return self._sign is None or row is None or checkpoint.is_one(row[0])

    def seal(self, now: float) -> None:
        """Add a signed checkpoint over all lines. Raises ConfigError, sqlite3.Error."""
        assert self._sign is not None
        end, node = self.end, self._node.decode()
        said = checkpoint.statement(node, end, now, final=False)
        signature = self._sign(said, f"blocker exceptions, {node}, up to line {end.next - 1}")
        self._add(checkpoint.body(said, signature, now))

    def _add(self, body: bytes) -> None:
        end = self.end
        (line,) = chain.joined(end, [body], self._node, [None])
        self._db.execute("INSERT INTO audit VALUES (?, ?)", (end.next, line))

    # The log's file.

    def logged(self) -> End:
        """Return where the log's file ends. Raises ExceptionsError, EvidenceError, OSError."""
        tail = resume.tail([self._path], self._node)
        if resume.is_foreign(self._path):
            raise ExceptionsError(f"{self._path}: does not end with a line of this log. {HOW}")
        return tail.end if tail is not None else GENESIS

    def check(self, at: End, end: End) -> None:
        """Raise ExceptionsError unless `at`, the log's end, is one of the states up to `end` of the store.

        Who does not keep others from writing must look at the log first, and at the store then.
        """
        row = self._db.execute("SELECT line FROM audit WHERE seq = ?", (at.next - 1,)).fetchone()
        if at.next > end.next:
            raise ExceptionsError(
                f"the store of exceptions is older than its log, {self._path}, which knows lines up to {at.next - 1}"
                f" where the store ends with {end.next - 1}. {HOW}"
            )
        if at != GENESIS and (row is None or chain.behind(row[0], at.next - 1) != at):
            raise ExceptionsError(f"{self._path}: line {at.next - 1} is not what the store says that it is. {HOW}")

    def ready(self) -> None:
        """Raise ExceptionsError or OSError unless the file can be written, and says what the store says."""
        with _locked(self._path):
            resume.untorn(self._path)
            self.check(self.logged(), self.end)

    def publish(self) -> None:
        """Append to the files what they do not hold yet. Raises ExceptionsError, OSError."""
        with _locked(self._path) as descriptor:
            resume.untorn(self._path)
            at = self.logged()
            self.check(at, self.end)
            rows = self._db.execute("SELECT line FROM audit WHERE seq >= ? ORDER BY seq", (at.next,)).fetchall()
            lines = [line for (line,) in rows]
            if not lines:
                return
            _append(descriptor, self._path, lines)
        if sealed := [line for line in lines if checkpoint.is_one(line)]:
            copies = copies_of(self._path)
            with _locked(copies) as descriptor:
                resume.untorn(copies)
                _append(descriptor, copies, sealed)


def copies_of(path: Path) -> Path:
    """Return the file that takes a copy of every checkpoint of the log at `path`."""
    return path.with_name(f"{path.name}.checkpoints")


def give(descriptor: int, folder: Path) -> None:
    """Give a file that root has made to the folder's owner, who must be able to go on with it. Raises OSError."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _append(descriptor: int, path: Path, lines: list[bytes]) -> None:
    text = b"".join(lines)
    size = os.fstat(descriptor).st_size
    if os.write(descriptor, text) != len(text):
        os.ftruncate(descriptor, size)
        raise OSError(f"{path}: no space left; the change is made, its line follows with the next one")
    os.fsync(descriptor)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        give(descriptor, path.parent)
        yield descriptor
    finally:
        os.close(descriptor)
