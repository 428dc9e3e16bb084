"""Where a chain ended, read from the files that it is in: so that it goes on after a restart.

Looks at the last few megabytes only. A line without its end is the trace of a power cut or of a kill, and is
taken back before anything is appended.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from blocker.errors import EvidenceError
from blocker.evidence import chain, checkpoint
from blocker.evidence.chain import End, Entry
from blocker.evidence.checkpoint import Checkpoint

_WINDOW: Final = 4 << 20  # octets from the end: a whole batch of records fits
_HEAD: Final = 1 << 18  # octets of a file's beginning, ...
_FIRST_LINES: Final = 16  # ... and lines of it: two blockers may have written there


@dataclass(slots=True)
class Tail:
    """The end of one node's chain in its files."""

    end: End
    positions: dict[bytes, int] = field(default_factory=dict)  # in each journal, of its last record seen


def tail(files: Sequence[Path], node: bytes) -> Tail | None:
    """Return where the chain of `node` ends in `files`, the newest first; None: it is not in them.

    Raises OSError, and EvidenceError when the last line does not follow from the one before it.
    """
    found: Tail | None = None
    for path in files:
        entries = [entry for line in _lines(path) if (entry := chain.parse(line)) is not None and entry.node == node]
        if not entries:
            continue
        if found is None:
            _check(path, entries[-2:])
            found = Tail(End(entries[-1].number + 1, entries[-1].hash))
        for entry in reversed(entries):
            if entry.place is not None:
                found.positions.setdefault(entry.place.journal, entry.place.position)
        if found.positions:
            break  # older ones are known to be written: their room in the journal was given back
    return found


def kept_from(files: Sequence[Path], node: bytes) -> int:
    """Return the number of the first line that `node` has not removed itself, as the newest file that can says it."""
    for path in files:
        for line in _beginning(path):
            entry = chain.parse(line)
            if entry is None or entry.node != node:
                continue
            if entry.number == 0:
                return 0
            if (said := checkpoint.parse_heading(line)) is not None:
                return said.kept_from
    return 0


def first(path: Path, node: bytes) -> int | None:
    """Return the number of the first line of `node` in the file at `path`; None: there is none. Raises OSError."""
    found = (entry.number for line in _beginning(path) if (entry := chain.parse(line)) and entry.node == node)
    return next(found, None)


def _check(path: Path, entries: Sequence[Entry]) -> None:
    """Refuse a last line that does not follow from the one before it."""
    for before, last in pairwise(entries):
        if last.number != before.number + 1 or not chain.follows(last, before.hash):
            raise EvidenceError(
                f"{path}: line {last.number} of the chain does not follow from the one before it."
                " Somebody else has written to the file; run: blocker evidence verify"
            )


def latest(path: Path, node: str) -> Checkpoint | None:
    """Return the last checkpoint of `node` in the file of copies at `path`; None: there is none. Raises OSError."""
    for line in reversed(_lines(path)):
        if (found := checkpoint.parse(line)) is not None and found.node == node:
            return found
    return None


def is_foreign(path: Path) -> bool:
    """Tell whether the file at `path` ends with a line that belongs to no chain. Raises OSError."""
    lines = _lines(path)
    return bool(lines) and chain.parse(lines[-1]) is None


def other(path: Path, node: bytes) -> str:
    """Return whose chain the file at `path` ends with, if it is not that of `node`; empty: nobody's. Raises OSError."""
    for line in reversed(_lines(path)):
        if (entry := chain.parse(line)) is not None:
            return "" if entry.node == node else entry.node.decode()
    return ""


def untorn(path: Path) -> int:
    """Take back the line at the end of the file at `path` that has no end; return its octets. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return 0
    try:
        size = os.fstat(descriptor).st_size
        whole = at = size
        while at > 0:
            start = max(0, at - 65536)
            found = os.pread(descriptor, at - start, start).rfind(b"\n")
            if found >= 0:
                whole = start + found + 1
                break
            at = whole = start
        if whole < size:
            os.ftruncate(descriptor, whole)
        return size - whole
    finally:
        os.close(descriptor)


def _beginning(path: Path) -> list[bytes]:
    """Return the first lines of the file at `path`; none if it is not there. Raises OSError."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).split(b"\n")[:_FIRST_LINES]
    except FileNotFoundError:
        return []


def _lines(path: Path) -> list[bytes]:
    """Return the last whole lines of the file at `path`; none if it is not there. Raises OSError."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _WINDOW))
            lines = file.read(_WINDOW).split(b"\n")
    except FileNotFoundError:
        return []
    return lines[1 if size > _WINDOW else 0 : -1]
