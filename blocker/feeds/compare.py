"""What would an update no longer block that is blocked now? Counted for the guard.

A million names compared entry by entry take seconds and half a gigabyte. Almost always all but a few lines stay as
they are, so lines are compared first, and only those that went away are read.
"""

import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from blocker.errors import ListError
from blocker.lists import feed as reading
from blocker.lists import row
from blocker.lists.feed import AUTO, FeedFile
from blocker.lists.formats import NamesFile, detect
from blocker.lists.must_resolve import MustResolve
from blocker.names import parents
from blocker.rule import Action

_HEAD: Final = 65536  # octets that tell a format
_CANCELLING: Final = re.compile(rb"badfilter", re.IGNORECASE)
_BY_LINES: Final = frozenset(  # no line changes another's meaning, but for _CANCELLING
    {"domains", "hosts", "wildcard", "adblock", "dnsmasq"}
)
_REACH: Final = row.EXACT | row.BELOW


def gone(before: Path, after: Path) -> bytes:
    """Return the lines of the file `before` that the file `after` has nowhere; all, if `after` may take some back.

    Raises OSError.
    """
    if _cancels(after):
        return before.read_bytes()
    with after.open("rb") as file:
        there = set(map(hash, file))  # of 64 bits and salted: nobody can make two lines alike
    with before.open("rb") as file:
        return b"".join(line for line in file if hash(line) not in there)


def _cancels(path: Path) -> bool:
    """Tell whether the file holds the word by which a line of adblock's takes another out of force."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _CANCELLING.search(content) is not None


def lost(before: FeedFile, lines: bytes, found: NamesFile, must: MustResolve) -> int:
    """Return how many names `before` blocks and `found` does not; `lines` are those of `before` that went away.

    A name that has become an exception is lost too, and so is one of whose names below some have. Raises ListError
    when `before` is no list any more.
    """
    allowed = {key for key, each in zip(found.keys, found.rows, strict=True) if row.lets_through(each)}
    open_below = _open_below(found)
    excepted = open_below or allowed.intersection(_keys(found))
    if found.format not in _BY_LINES or excepted or _format(before) != found.format:
        names, _ = reading.read(before, must)
    elif not lines:
        return 0
    else:
        try:
            names, _ = reading.parse(lines, FeedFile(before.name, before.app, before.path, found.format), must)
        except ListError:  # comments alone, or lines that were of no use before either
            return 0
    wanted = set(_blocks(names))
    wanted.difference_update(pair for pair in _blocks(found) if pair[0] not in allowed)
    if open_below := open_below - _open_below(names) - {key for key, _ in wanted}:
        open_below.intersection_update(_keys(names))
    return len(wanted) + len(open_below) + len(_ranges(names) - _ranges(found))


def _blocks(names: NamesFile) -> Iterator[tuple[bytes, int]]:
    """Yield what is blocked: keys, and what of each; one after the other, so that no million is held twice."""
    return (
        (key, each & _REACH) for key, each in zip(names.keys, names.rows, strict=True) if not row.lets_through(each)
    )


def _open_below(names: NamesFile) -> set[bytes]:
    """Return what is blocked with the names below it, though an exception takes some of those out."""
    exceptions = (key for key, each in zip(names.keys, names.rows, strict=True) if row.lets_through(each))
    above = {upper[::-1] for key in exceptions for upper in list(parents(key[::-1]))[1:-1]}
    if not above:
        return above
    return {key for key, reach in _blocks(names) if key in above and not reach & row.EXACT}


def _ranges(names: NamesFile) -> set[tuple[str, str]]:
    """Return the blocked ranges of addresses, and of what they are."""
    return {
        (each.value, str(each.trigger)) for each in names.ranges if not (each.allow or each.answer is Action.TCP_ONLY)
    }


def _keys(names: NamesFile) -> Iterator[bytes]:
    return (key for key, _ in _blocks(names))


def _format(file: FeedFile) -> str:
    """Return how `file` is read."""
    if file.format != AUTO:
        return file.format
    with file.path.open("rb") as content:
        return detect.detect(content.read(_HEAD))
