"""A zone's versions on disk: the newest in full, and what each step before it changed, for IXFR.

`SERIAL.zone` is the text of export.py, `OLD-NEW.delta` holds the lines that went ("-...") and came ("+...").
The delta is put in place before the version that it leads to, so that a crash between the two leaves a delta that
leads nowhere and is removed. Serials only ever rise, over restarts and when the clock is set back.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cmp_to_key
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Final, TextIO

from blocker.names import Name
from blocker.rpz import export
from blocker.rpz.serials import newer

KEPT: Final = 16  # steps back that IXFR can take
_LARGEST: Final = 500_000  # changed lines in a delta, or in doubt while comparing: beyond that AXFR is as good
_VERSION: Final = re.compile(r"([0-9]{1,10})\.zone")
_DELTA: Final = re.compile(r"([0-9]{1,10})-([0-9]{1,10})\.delta")
_TTL: Final = re.compile(r"\$TTL ([0-9]{1,10})\n")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a zone."""

    serial: int
    ttl: int  # seconds
    path: Path
    records: int  # the header's SOA and NS left out

    def lines(self) -> Iterator[str]:
        """Yield the records as text, one a line."""
        with self.path.open(encoding="ascii") as file:
            yield from islice(file, export.HEADER_LINES, None)


@dataclass(frozen=True, slots=True)
class Delta:
    """What one step changed."""

    old: int  # serials
    new: int
    path: Path

    def lines(self) -> Iterator[str]:
        """Yield the changed lines, `-` or `+` in front; those that went come first."""
        with self.path.open(encoding="ascii") as file:
            yield from file


class History:
    """The versions of one zone in one folder."""

    def __init__(self, folder: Path, origin: Name) -> None:
        """Take up what lies in `folder`, which is made if it is not there. Raises OSError."""
        self._folder = folder
        self._origin = origin
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self.current: Version | None = self._newest()
        self._former: Path | None = None  # a transfer may be about to open it
        self.deltas: tuple[Delta, ...] = self._chain()
        self._tidy()

    def publish(self, lines: Iterable[str], ttl: int, now: int) -> bool:
        """Make `lines` the current version, unless they are; tell whether they were new.

        `ttl` in seconds; `now`, unix seconds, is the least that the new serial may be (RFC 1982 lets it rise by
        2^31 - 1, so a clock that was years ahead is caught up with). Raises OSError, and then nothing has changed.
        """
        former = self.current
        serial = max(now, former.serial + 1 if former else 1) & 0xFFFFFFFF
        draft = self._folder / f"{serial}.draft"
        try:
            with ExitStack() as stack:
                old = stack.enter_context(former.path.open(encoding="ascii")) if former else None
                new = stack.enter_context(draft.open("w", encoding="ascii"))
                new.write(export.header(self._origin, serial, ttl))
                compared = _Comparison()
                count = compared.run(islice(old, export.HEADER_LINES, None) if old else (), lines, new)
                settle(new)
            if former and former.ttl == ttl and compared.equal:
                return False
            steps = self.deltas if former and former.ttl == ttl and compared.known else ()
            if former and former.ttl == ttl and compared.known:
                steps = (*steps, self._keep(former.serial, serial, compared))[-KEPT:]
            path = draft.with_suffix(".zone")
            draft.replace(path)
            settle_folder(self._folder)
        finally:
            draft.unlink(missing_ok=True)
        self._former = former.path if former else None
        self.current, self.deltas = Version(serial, ttl, path, count), steps
        self._tidy()
        return True

    def since(self, serial: int) -> tuple[Delta, ...] | None:
        """Return the steps from `serial` to the current version, the oldest first; None: they are not known."""
        steps = self.deltas
        return next((steps[at:] for at, step in enumerate(steps) if step.old == serial), None)

    def _keep(self, old: int, new: int, compared: "_Comparison") -> Delta:
        path = self._folder / f"{old}-{new}.delta"
        draft = path.with_suffix(".draft")
        with draft.open("w", encoding="ascii") as file:
            file.writelines(f"-{line}" for line in compared.went)
            file.writelines(f"+{line}" for line in compared.came)
            settle(file)
        draft.replace(path)
        return Delta(old, new, path)

    def _newest(self) -> Version | None:
        """Return the version with the newest serial (RFC 1982) that is one; a file that is none is passed over."""
        serials = [int(found[1]) for each in self._folder.iterdir() if (found := _VERSION.fullmatch(each.name))]
        for serial in sorted(serials, key=cmp_to_key(_order), reverse=True):
            if version := _read(Version(serial, 0, self._folder / f"{serial}.zone", 0), self._origin):
                return version
        return None

    def _chain(self) -> tuple[Delta, ...]:
        """Return the unbroken steps that lead to the current version."""
        to = {}
        for each in self._folder.iterdir():
            if found := _DELTA.fullmatch(each.name):
                to[int(found[2])] = Delta(int(found[1]), int(found[2]), each)
        steps: list[Delta] = []
        at = self.current.serial if self.current else 0
        while (step := to.pop(at, None)) is not None:
            steps.insert(0, step)
            at = step.old
        return tuple(steps[-KEPT:])

    def _tidy(self) -> None:
        keep = {self._former, *(step.path for step in self.deltas), *([self.current.path] if self.current else [])}
        for each in self._folder.iterdir():
            if each.suffix in (".zone", ".delta", ".draft") and each not in keep:
                each.unlink(missing_ok=True)


class _Comparison:
    """Finds the lines that differ between two versions, in one pass; memory is only for what differs.

    Each line waits for its like on the other side. Both versions are in the same order, so few wait for long.
    """

    def __init__(self) -> None:
        self.went: dict[str, None] = {}
        self.came: dict[str, None] = {}
        self.known = True

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.known and not self.went and not self.came

    def run(self, old: Iterable[str], new: Iterable[str], out: TextIO) -> int:
        """Compare, write the new lines to `out`, and return how many they are."""
        count = 0
        went, came = self.went, self.came
        before = chain(old, repeat(""))
        for line in new:
            out.write(line)
            count += 1
            if self.known:
                self._pair(next(before), line)
        for line in before:
            if not line or not self.known:
                break
            self._pair(line, "")
        if len(went) + len(came) > _LARGEST:
            self.known = False
        return count

    def _pair(self, old: str, new: str) -> None:
        if old == new:
            return
        went, came = self.went, self.came
        if old:
            if old in came:
                del came[old]
            else:
                went[old] = None
        if new:
            if new in went:
                del went[new]
            else:
                came[new] = None
        if len(went) + len(came) > 2 * _LARGEST:
            self.known = False
            went.clear()
            came.clear()


def _read(version: Version, origin: Name) -> Version | None:
    """Return the version with what its file says, None if that is not such a zone, whole."""
    try:
        with version.path.open(encoding="ascii") as file:
            first = "".join(islice(file, export.HEADER_LINES))
            found = _TTL.search(first)
            if found is None or first != export.header(origin, version.serial, int(found[1])):
                return None
            return replace(version, ttl=int(found[1]), records=sum(1 for _ in file))
    except (OSError, ValueError):
        return None


def _order(one: int, other: int) -> int:
    return 1 if newer(one, other) else -1


def settle(file: TextIO) -> None:
    """Write a file's content to disk."""
    file.flush()
    os.fsync(file.fileno())


def settle_folder(folder: Path) -> None:
    """Write the folder itself to disk: else the rename may not survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
