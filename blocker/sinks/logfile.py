"""Where log lines go: standard output, or a file that is rotated by size and age.

Only whole lines are appended, a batch with one write. What cannot be written is counted as dropped and
never raises: a full disk or a folder that vanished is tried again later, and the operators' log says so.
"""

import errno
import os
import re
import select
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from blocker.config import Rotation
from blocker.sinks import oplog

_MODE: Final = 0o640  # the blocker writes, its group (a log shipper) reads
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO that nobody reads must not stop us
_FIRST_DELAY: Final = 1.0  # seconds before a destination that failed is tried again; doubled each time ...
_LAST_DELAY: Final = 60.0  # ... up to this
_SAY_EVERY: Final = 60.0  # seconds between two complaints about one destination
_PATIENCE: Final = 1000  # milliseconds to wait for a non-blocking stdout that is full
_MIB: Final = 1 << 20
_TIME: Final = re.compile(rb'"time":"([0-9T:.-]{10,32}Z)"')
_STDOUT: Final = 1


class Destination(ABC):
    """Somewhere that lines go. Never raises: what is lost is counted in `dropped`."""

    _short: str  # why a write may come out shorter than asked for

    def __init__(self, name: str) -> None:
        """Call the destination `name` in the operators' log."""
        self.name = name
        self.kept = False  # what it does not take is kept elsewhere, and offered again
        self.dropped = 0  # lines
        self._log = oplog.get("log")
        self._delay = 0.0  # seconds; 0: all is well
        self._retry_at = 0.0  # unix time
        self._say_at = 0.0  # unix time

    def write(self, lines: Sequence[bytes], now: float) -> None:
        """Append `lines`, each with its line end, at unix time `now`; those that it does not take are dropped."""
        self.put(lines, now)

    def put(self, lines: Sequence[bytes], now: float) -> int:
        """Append `lines` as `write` does, and return how many of them, from the first on, it took."""
        if not self.is_ready(now):
            return self._took(lines, len(lines))
        try:
            lost = self._append(lines, now)
        except OSError as error:
            taken = self._took(lines, len(lines))
            self._failed(error.strerror or str(error), now)
            return taken
        taken = self._took(lines, lost)
        if lost:
            self._failed(self._short, now)
        elif self._delay:
            self._succeeded()
        return taken

    def is_ready(self, now: float) -> bool:
        """Tell whether it is worth trying: it took the last lines, or has had its pause since."""
        return not 0 < self._retry_at - now <= _LAST_DELAY  # more than that: the clock was set back

    def hurry(self) -> None:
        """Let the pause after a failure be over: there may be no later."""
        self._retry_at = 0.0

    def begins(self, now: float) -> bool:  # noqa: ARG002 files need the time
        """Tell whether the next line is the first of a file; one that is due is rotated now."""
        return False

    def outdated(self) -> Sequence[Path]:
        """Return the rotated files that are more than are to be kept, the newest first. Raises OSError."""
        return ()

    def forget(self, now: float) -> None:  # noqa: B027 (a pipe has nothing to forget)
        """Remove the files that are outdated."""

    def sync(self) -> None:  # noqa: B027 (a pipe has nothing to do here)
        """Have what was written survive a power cut, as far as the destination can. Raises OSError."""

    @abstractmethod
    def reopen(self) -> None:
        """Look anew for the destination before the next write; others may have moved it."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the destination; the next write takes it up again."""

    @abstractmethod
    def _append(self, lines: Sequence[bytes], now: float) -> int:
        """Append `lines` and return how many of them were lost. Raises OSError when all were."""

    def _took(self, lines: Sequence[bytes], lost: int) -> int:
        if not self.kept:
            self.dropped += lost
        return len(lines) - lost

    def _failed(self, why: str, now: float) -> None:
        self._delay = min(max(_FIRST_DELAY, self._delay * 2), _LAST_DELAY)
        self._retry_at = now + self._delay
        self.close()
        what = "its records wait in the journal" if self.kept else "events are dropped"
        self._say(now, f"log cannot be written; {what}", why)

    def _succeeded(self) -> None:
        self._delay = self._retry_at = 0.0
        self._log.info("log is written again", destination=self.name, dropped=self.dropped)

    def _say(self, now: float, what: str, why: str) -> None:
        if not 0 < self._say_at - now <= _SAY_EVERY:
            self._say_at = now + _SAY_EVERY
            self._log.error(what, destination=self.name, why=why, dropped=self.dropped)


class Stdout(Destination):
    """Standard output, whatever it is: a file, a pipe, a terminal."""

    _short = "nobody reads it, or its disk is full"

    def __init__(self, descriptor: int = _STDOUT) -> None:
        """Write to `descriptor`."""
        super().__init__("stdout")
        self._descriptor = descriptor
        self._owed = b""  # the rest of a line whose beginning is out already

    def reopen(self) -> None:
        """Go on: there is nothing to open."""

    def close(self) -> None:
        """Go on: it is not ours to close."""

    def _append(self, lines: Sequence[bytes], now: float) -> int:  # noqa: ARG002 files need the time
        data = self._owed + b"".join(lines)
        at = self._put(data)
        torn = data[at - 1 : at] != b"\n"
        end = data.find(b"\n", at) + 1 if torn else at
        self._owed = data[at:end]
        return data.count(b"\n", end)

    def _put(self, data: bytes) -> int:
        """Write as much of `data` as goes out, and return how much that was. Raises OSError if nothing was."""
        at = 0
        while at < len(data):
            try:
                at += os.write(self._descriptor, memoryview(data)[at:])
            except BlockingIOError:  # only where somebody made it non-blocking
                if not _has_room(self._descriptor):
                    if not at:
                        raise
                    break
            except OSError:
                if not at:
                    raise
                break
        return at


class LogFile(Destination):
    """A file, rotated to `name.YYYYmmddTHHMMSS`, of which the newest few are kept.

    If it is `kept`, old ones stay until somebody says `forget`.
    """

    _short = os.strerror(errno.ENOSPC)

    def __init__(self, path: Path, rotation: Rotation) -> None:
        """Append to the file at `path`."""
        super().__init__(str(path))
        self._path = path
        self._rotation = rotation
        self._descriptor: int | None = None
        self._identity = (0, 0)  # device and inode of the open file
        self._born = 0.0  # unix time of its first line
        self._rotate_at = 0.0  # unix time, after a rotation that failed
        self._stale = False  # told to reopen

    def reopen(self) -> None:
        """Look anew for the file before the next write. May be called by another thread."""
        self._stale = True

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def sync(self) -> None:
        """Have what was written survive a power cut. Raises OSError."""
        if self._descriptor is not None and stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.fsync(self._descriptor)

    def _append(self, lines: Sequence[bytes], now: float) -> int:
        descriptor, regular = self._opened(now)
        data = b"".join(lines)
        written = os.write(descriptor, data)
        if written == len(data):
            return 0
        whole = data.rfind(b"\n", 0, written) + 1
        if regular:  # take the torn line back
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - (written - whole))
        return data.count(b"\n", whole)

    def begins(self, now: float) -> bool:
        """Tell whether the next line is the first of a file; one that is due is rotated now."""
        if not self.is_ready(now):
            return False
        try:
            descriptor, regular = self._opened(now)
            return regular and not os.fstat(descriptor).st_size
        except OSError:  # whoever writes hears of it
            return False

    def outdated(self) -> Sequence[Path]:
        """Return the rotated files that are more than are to be kept, the newest first. Raises OSError."""
        return rotated(self._path)[self._rotation.keep :]

    def forget(self, now: float) -> None:
        """Remove the files that are outdated."""
        try:
            for old in self.outdated():
                old.unlink(missing_ok=True)
        except OSError as error:
            self._say(now, "rotated logs cannot be removed; they take more and more room", error.strerror or str(error))

    def set_aside(self, now: float) -> None:
        """Rotate the file now, whatever its size and age."""
        if self._path.is_file() and self._path.stat().st_size:
            self._rotated(now)
            self.close()

    def _opened(self, now: float) -> tuple[int, bool]:
        """Return the open file, the one that stands at the path now, and whether it is a regular one."""
        if self._stale or (self._descriptor is not None and not self._is_there()):
            self._stale = False
            self.close()
        descriptor = self._open(now) if self._descriptor is None else self._descriptor
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            return descriptor, False
        if state.st_size and self._is_due(state.st_size, now) and self._rotated(now):
            self.close()
            descriptor = self._open(now)
        return descriptor, True

    def _is_there(self) -> bool:
        """Tell whether the path still leads to the open file: others rotate too, and folders vanish."""
        try:
            state = self._path.stat()
        except OSError:
            return False
        return (state.st_dev, state.st_ino) == self._identity

    def _open(self, now: float) -> int:
        try:
            descriptor = os.open(self._path, _FLAGS | os.O_CREAT | os.O_EXCL, _MODE)
            os.fchmod(descriptor, _MODE)  # whatever the umask
        except FileExistsError:
            descriptor = os.open(self._path, _FLAGS)
        state = os.fstat(descriptor)
        self._descriptor = descriptor
        self._identity = (state.st_dev, state.st_ino)
        self._born = _born(self._path, state) if state.st_size and stat.S_ISREG(state.st_mode) else now
        return descriptor

    def _is_due(self, size: int, now: float) -> bool:
        full = size >= self._rotation.size * _MIB
        return (full or now - self._born >= self._rotation.age) and now >= self._rotate_at

    def _rotated(self, now: float) -> bool:
        """Move the file away. If that fails it simply grows on: that loses nothing."""
        try:
            if self.kept:
                self.sync()  # no checkpoint could speak for it later
            self._path.rename(self._new_name(now))
        except OSError as error:
            self._rotate_at = now + _SAY_EVERY
            self._say(now, "log cannot be rotated; it grows on", error.strerror or str(error))
            return False
        if not self.kept:
            self.forget(now)
        return True

    def _new_name(self, now: float) -> Path:
        """Return a name that sorts after those of all rotated files, also of the same second."""
        stem = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}"
        numbers = [number for found, number, _ in _rotated(self._path) if found == stem]
        suffix = f".{max(numbers) + 1}" if numbers else ""
        return self._path.with_name(f"{self._path.name}.{stem}{suffix}")


def rotated(path: Path) -> list[Path]:
    """Return the rotated files of the log at `path`, the newest first."""
    return [each for _, _, each in sorted(_rotated(path), reverse=True)]


def _rotated(path: Path) -> Iterator[tuple[str, int, Path]]:
    """Yield second, number within the second, and path of each rotated file."""
    pattern = re.compile(re.escape(path.name) + r"\.(\d{8}T\d{6})(?:\.(\d+))?")
    for each in path.parent.iterdir():
        if match := pattern.fullmatch(each.name):
            yield match[1], int(match[2] or 0), each


def _born(path: Path, state: os.stat_result) -> float:
    """Return when a file was begun: what its first line says, so that a restart does not make it young."""
    with path.open("rb") as file:
        match = _TIME.search(file.read(128))
    if match is not None:
        try:
            return datetime.fromisoformat(match[1].decode()).timestamp()
        except ValueError:
            pass
    return state.st_mtime


def _has_room(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(_PATIENCE))
