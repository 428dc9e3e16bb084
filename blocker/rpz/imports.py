"""A policy zone of somebody else's, kept on disk as zone text and refreshed by its own timers (RFC 1035 §3.3.13).

Whatever a primary does, the file holds the last good version: it is replaced whole or not at all. When the zone
expires nothing is taken out of force: a ban that ends because a server is down would be one that anybody can end.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

import dns.tsig

from blocker.config import Endpoint, RpzImport
from blocker.errors import ListError
from blocker.lists import feed
from blocker.lists.must_resolve import MustResolve
from blocker.rpz import intake, taken, transfer
from blocker.rpz.history import settle, settle_folder
from blocker.rpz.intake import NoStepsError, TransferError
from blocker.rpz.serials import newer
from blocker.rpz.taken import HEADER_LINES, Soa, header, path_of
from blocker.rpz.transfer import Got, Wanted

_LEAST: Final = 5  # seconds between looks, whatever the SOA says
_MOST: Final = 86_400  # seconds between looks, whatever the SOA says
_FIRST_RETRY: Final = 30  # seconds, while there is no SOA to go by

Fetch = Callable[[Endpoint, Wanted, Callable[[str], object]], Got]


@dataclass(frozen=True, slots=True)
class Held:
    """The version on disk."""

    soa: Soa
    records: int
    confirmed: float  # unix seconds at which a primary last said that it is current


class Import:
    """One zone."""

    def __init__(self, settings: RpzImport, folder: Path, fetch: Fetch = transfer.fetch) -> None:
        """Take up what lies in `folder`. Raises OSError."""
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self.settings = settings
        self.path = path_of(settings.zone, folder)
        self.held = _read(self.path, settings.zone)
        self.due = self.held.confirmed + _wait(self.held.soa.refresh) if self.held else 0.0  # unix seconds
        self.transfers: Counter[tuple[str, str]] = Counter()  # by kind and result
        self._fetch = fetch

    def is_due(self, now: float) -> bool:
        """Tell whether to ask now, unix seconds; also where the clock was set back, and `due` is nobody knows when."""
        return not now < self.due <= now + _MOST

    def refresh(self, key: dns.tsig.Key | None, now: float) -> bool:
        """Ask the primaries in turn; tell whether there is a new version. Raises TransferError with all refusals.

        `due` says when to ask again. `now` in unix seconds.
        """
        problems = []
        for primary in self.settings.primaries:
            try:
                changed = self._from(primary, key, now)
            except TransferError as error:
                problems.append(str(error))
            except OSError as error:
                problems.append(f"{self.path}: cannot be written: {error.strerror}. Free some space")
            else:
                assert self.held is not None
                self.due = now + _wait(self.held.soa.refresh)
                return changed
        self.due = now + (_wait(self.held.soa.retry) if self.held else _FIRST_RETRY)
        raise TransferError("; ".join(problems))

    def _from(self, primary: Endpoint, key: dns.tsig.Key | None, now: float) -> bool:
        held = self.held
        if held is not None and taken.soa_of(self.path, self.settings.zone) != held.soa:  # somebody has removed it
            self._attempt(primary, key, now, None)
            return True
        if held is not None:
            try:
                return self._attempt(primary, key, now, held)
            except NoStepsError:  # the whole zone may still be right
                pass
        return self._attempt(primary, key, now, None)

    def _attempt(self, primary: Endpoint, key: dns.tsig.Key | None, now: float, since: Held | None) -> bool:
        """Fetch what is newer than `since`, None: everything, and put it in place."""
        wanted = Wanted(self.settings.zone, since.soa.serial if since else None, key, self.settings.max_records)
        lines = self.path.with_suffix(".lines")
        draft = self.path.with_suffix(".draft")
        kind = "axfr" if since is None else "ixfr"
        result = "failed"
        try:
            with lines.open("w+", encoding="ascii") as body:
                got = self._fetch(primary, wanted, body.write)
                kind = got.kind
                held = self._held_after(got, body, draft, now)
            if kind != "soa":
                draft.replace(self.path)
                settle_folder(self.path.parent)
            result = "success"
        except UnicodeError as error:
            raise TransferError(f"{self.settings.zone} from {primary}: a name is not ASCII") from error
        finally:
            lines.unlink(missing_ok=True)
            draft.unlink(missing_ok=True)
            self.transfers[kind, result] += 1
        os.utime(self.path, (now, now))  # survives us: when it was confirmed
        changed = self.held is None or held.soa.serial != self.held.soa.serial
        self.held = held
        return changed

    def _held_after(self, got: Got, body: TextIO, draft: Path, now: float) -> Held:
        """Write to `draft` the version that `got` leads to, and check it. Raises TransferError."""
        zone, held = self.settings.zone, self.held
        if got.kind == "soa":
            assert held is not None
            return replace(held, confirmed=now)
        if held is not None and newer(held.soa.serial, got.soa.serial):
            raise TransferError(
                f"{zone}: the primary's serial, {got.soa.serial}, is older than ours, {held.soa.serial}"
            )
        with draft.open("w", encoding="ascii") as file:
            file.write(header(zone, got.soa))
            if got.kind == "ixfr":
                with self.path.open(encoding="ascii") as old:
                    file.writelines(_changed(islice(old, HEADER_LINES, None), got))
            else:
                body.seek(0)
                shutil.copyfileobj(body, file)
            settle(file)
        with draft.open(encoding="ascii") as file:
            if name := intake.loop(islice(file, HEADER_LINES, None), zone):
                raise TransferError(f"{zone}: the CNAMEs of {name!r} lead back to it")
        try:
            feed.read(taken.file_of(self.settings, draft), MustResolve())
        except ListError as error:  # it would stop every reload, and the next start
            raise TransferError(f"{zone}: it cannot be read as a list: {error}") from error
        records = _count(draft)
        if records > self.settings.max_records:
            raise TransferError(f"{zone}: it has more records than rpz.imports max_records allows")
        return Held(got.soa, records, now)


def _read(path: Path, zone: str) -> Held | None:
    """Return the version on disk, None if there is none."""
    soa = taken.soa_of(path, zone)
    return Held(soa, _count(path), path.stat().st_mtime) if soa else None


def _count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file) - HEADER_LINES


def _changed(old: Iterable[str], got: Got) -> Iterable[str]:
    """Yield the lines of `old` as the steps in `got` leave them. Raises NoStepsError if they do not fit it."""
    gone = 0
    held = set()
    came = frozenset(got.came)
    for line in old:
        if line in got.went:
            gone += 1
            continue
        if line in came:
            held.add(line)
        yield line
    if gone != len(got.went):
        raise NoStepsError("the changes remove records that we do not have")
    yield from (line for line in got.came if line not in held)


def _wait(seconds: int) -> int:
    return min(max(seconds, _LEAST), _MOST)
