"""The files that evidence is in: read line by line, plain or gzip, in the order in which they were written."""

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from blocker.errors import DamagedError, EvidenceError
from blocker.evidence import chain, checkpoint
from blocker.evidence.chain import Entry
from blocker.evidence.checkpoint import Checkpoint
from blocker.evidence.verify import MAX_LINE

_GZIP: Final = b"\x1f\x8b"
_LOOK: Final = 4 * MAX_LINE  # octets at either end of a file, ...
_TIME: Final = len('{"time":"2026-11-23T20:12:01.123456Z"')  # octets that every line begins with
_LINES: Final = 16  # ... and lines of them: a few may be damaged


@dataclass(frozen=True, slots=True)
class _Ends:
    """The first and the last line of a chain in one file."""

    path: Path
    begun: bytes  # the beginning of the first line: its time
    first: Entry | None
    last: Entry | None


def lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of the file at `path`, each with its end; a longer one than MAX_LINE comes in pieces.

    Raises EvidenceError when the file cannot be read, DamagedError when it cannot be unpacked to its end.
    """
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP
            plain.seek(0)
            if packed:
                with gzip.open(plain) as file:
                    yield from iter(partial(file.readline, MAX_LINE), b"")
            else:
                yield from iter(partial(plain.readline, MAX_LINE), b"")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DamagedError(f"{path}: cannot be unpacked: {error}") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise EvidenceError(f"{path}: cannot be read: {why}. Name a file of evidence that you may read.") from error


def in_order(paths: Sequence[Path]) -> list[Path]:
    """Return `paths` in the order in which a chain goes through them, whatever their names and times.

    A file follows the one whose last line its first line follows from. Where nothing fits, because lines are
    missing or a new chain begins, the time in the first lines decides. Raises EvidenceError.
    """
    ends = [_ends(path) for path in paths]
    if len(ends) < 2:
        return list(paths)
    behind: dict[tuple[bytes, int], list[_Ends]] = {}
    for each in ends:
        if each.first is not None:
            behind.setdefault((each.first.node, each.first.number), []).append(each)
    next_of: dict[Path, _Ends] = {}
    followers: set[Path] = set()
    for each in ends:
        if each.last is None:
            continue
        for other in behind.get((each.last.node, each.last.number + 1), ()):
            assert other.first is not None
            if other.path not in followers and chain.follows(other.first, each.last.hash):
                next_of[each.path] = other
                followers.add(other.path)
                break
    found: list[Path] = []
    for head in sorted((each for each in ends if each.path not in followers), key=_age):
        at: _Ends | None = head
        while at is not None:
            found.append(at.path)
            at = next_of.get(at.path)
    return found


def _age(each: _Ends) -> tuple[bytes, int]:
    return each.begun, each.first.number if each.first is not None else 0


def copies(path: Path) -> Iterator[Checkpoint]:
    """Yield the checkpoints in a file of copies. Raises EvidenceError, also for a line that is no checkpoint."""
    for number, line in enumerate(lines(path), 1):
        found = checkpoint.parse(line.rstrip(b"\n"))
        if found is None:
            raise EvidenceError(f"{path}:{number}: not a checkpoint. Name the file that the node copies them to.")
        yield found


def _ends(path: Path) -> _Ends:
    begun, first, last = b"", None, None
    for line in _outer(path):
        begun = begun or line[:_TIME]
        if (entry := chain.parse(line.rstrip(b"\n"))) is not None:
            first = first or entry
            last = entry
    return _Ends(path, begun, first, last)


def _outer(path: Path) -> Iterator[bytes]:
    """Yield the first and the last lines of a file: all of a packed one, for it has to be read through anyway."""
    try:
        with path.open("rb") as file:
            if file.read(2) == _GZIP:
                with suppress(DamagedError):  # whoever reads it all tells of it
                    yield from lines(path)
                return
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            yield from file.read(_LOOK).split(b"\n")[:_LINES]
            file.seek(max(0, size - _LOOK))
            yield from file.read(_LOOK).split(b"\n")[-_LINES:]
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror}. Name a file that you may read.") from error
