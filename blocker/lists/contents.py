"""What a list holds, whoever wrote it and however it is kept, in a form that can be compared.

An entry is octets: a name's key (reversed, so that neighbours sort together) and one octet for what it covers, or
the text of a pattern or an address range and an octet that says so.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blocker import names
from blocker.lists import feed, row, source
from blocker.lists.feed import FeedFile
from blocker.lists.formats import NamesFile
from blocker.lists.index import Index, shown_value
from blocker.lists.must_resolve import MustResolve
from blocker.lists.source import AppList
from blocker.policy import Scope, Trigger

Contents = Mapping[str, set[bytes]]
"""The entries of each app."""

_REACH: Final = row.EXACT | row.ALLOW | row.BELOW
_TEXT: Final = 0x80  # not a name
_SHADOW: Final = 0x02  # only tried out
_LAST: Final = [bytes((octet,)) for octet in range(256)]
_SCOPES: Final = {Scope.EXACT: row.EXACT, Scope.BELOW: row.BELOW}


@dataclass(frozen=True, slots=True)
class Change:
    """How the entries of one app differ; the lists of entries are cut off, the numbers are not."""

    app: str
    before: int
    after: int
    added: int
    removed: int
    added_entries: tuple[str, ...]
    removed_entries: tuple[str, ...]


def read(file: FeedFile, must: MustResolve) -> Contents:
    """Return what the file holds: a compiled index (`.index`), a list of ours (`.yaml`), or somebody else's.

    Raises ListError or ArtifactError.
    """
    if file.path.suffix == ".index":
        return of_index(Index.open(file.path))
    if file.path.suffix == ".yaml":
        each = source.read(file.path)
        return {each.app: of_list(each)}
    return {file.app: of_names(feed.read(file, must)[0])}


def of_names(file: NamesFile) -> set[bytes]:
    """Return the entries of a file of names."""
    found = {key + _LAST[each & _REACH] for key, each in zip(file.keys, file.rows, strict=True)}
    return found | {_text(shown_value(each.value, each.trigger), allow=each.allow) for each in file.ranges}


def of_list(each: AppList) -> set[bytes]:
    """Return the entries of a list of ours, whatever its switches."""
    return {
        entry.target[::-1] + _LAST[_SCOPES.get(entry.scope, 0) | _how(allow=entry.allow, shadow=entry.shadow)]
        if isinstance(entry.target, bytes)
        else _text(entry.value, allow=entry.allow, shadow=entry.shadow)
        for entry in each.entries
    }


def of_index(index: Index) -> Contents:
    """Return the entries of an index that are in force."""
    found: dict[str, set[bytes]] = {app: set() for app in index.apps}
    for app, key, flags, value in index.walk():
        allow, shadow = bool(flags & row.ALLOW), bool(flags & row.SHADOW)
        found[app].add(
            _text(value, allow=allow, shadow=shadow)
            if value
            else key + _LAST[flags & _REACH | _how(allow=allow, shadow=shadow)]
        )
    return found


def compare(old: Contents, new: Contents, limit: int) -> tuple[Change, ...]:
    """Return how each app differs, those that do not left out; at most `limit` entries each way are named."""
    found = []
    for app in sorted({*old, *new}):
        before, after = old.get(app, set()), new.get(app, set())
        added, removed = after - before, before - after
        if added or removed:
            told = (_told(added, limit), _told(removed, limit))
            found.append(Change(app, len(before), len(after), len(added), len(removed), *told))
    return tuple(found)


def shown(entry: bytes) -> str:
    """Return an entry for people: `name` with all below it, `=name` alone, `*.name` only below, `@@` an exception.

    One in shadow says so behind that.
    """
    body, flags = entry[:-1], entry[-1]
    if flags & _TEXT:
        text = body.decode()
    else:
        text = names.to_text(body.removeprefix(row.MARK)[::-1])
        text = f"={text}" if flags & row.EXACT else f"*.{text}" if flags & row.BELOW else text
        text = f"{Trigger.NSDNAME} {text}" if body.startswith(row.MARK) else text
    return ("@@" if flags & row.ALLOW else "") + text + (" (shadow)" if flags & _SHADOW else "")


def _text(value: str, *, allow: bool, shadow: bool = False) -> bytes:
    return value.encode() + _LAST[_TEXT | _how(allow=allow, shadow=shadow)]


def _how(*, allow: bool, shadow: bool) -> int:
    return (row.ALLOW if allow else 0) | (_SHADOW if shadow else 0)


def _told(entries: Iterable[bytes], limit: int) -> tuple[str, ...]:
    return tuple(map(shown, heapq.nsmallest(limit, entries)))


def feed_file(path: Path, app: str = "") -> FeedFile:
    """Return a file that no configuration speaks of; its app is its name unless that is said."""
    return FeedFile(path.name, app or path.stem, path)
