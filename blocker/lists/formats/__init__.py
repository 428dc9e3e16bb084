"""Plain files of names, an operator's own: `APP.txt`, one domain a line, and `APP.hosts` in hosts syntax.

In a `.txt` each name covers everything below it, and `@@name` is an exception; in a `.hosts` it stands for
itself alone, as it does in /etc/hosts. A bad line refuses the file. A million lines take about a second:
ordinary ones pass one regular expression and become a key at once, the rest are read with care.

The package has one file per format; somebody else's lists, in any of them, are read by lists/feed.py.
"""

from pathlib import Path
from typing import Final

from blocker.errors import ListError
from blocker.lists.formats import domains, hosts
from blocker.lists.formats.draft import MAX_PROBLEMS, Draft, NamesFile, key_of, lines_of
from blocker.lists.marked import MAX_SIZE
from blocker.lists.source import APP
from blocker.policy import Scope

__all__ = ["MAX_PROBLEMS", "SUFFIXES", "NamesFile", "key_of", "parse", "read"]

SUFFIXES: Final = {".txt": Scope.SUFFIX, ".hosts": Scope.EXACT}


def read(path: Path) -> NamesFile:
    """Return the names in the file at `path`, whose stem is the app. Raises ListError."""
    try:
        if path.stat().st_size > MAX_SIZE:
            raise ListError([f"{path}: the file is larger than {MAX_SIZE >> 20} MiB. Split it."])
        return parse(path.read_bytes(), path)
    except OSError as error:
        raise ListError([f"{path}: cannot be read: {error.strerror}. Check the path and its permissions."]) from error


def parse(written: bytes, path: Path) -> NamesFile:
    """Return the names in `written`, the content of the file at `path`. Raises ListError."""
    if not APP.fullmatch(path.stem):
        why = f"the file's name is the app's id, and {path.stem!r} is none: use 1 to 32 small letters, digits and '-'"
        raise ListError([f"{path}:1: {why}. Rename the file."])
    scope = SUFFIXES[path.suffix]
    draft = Draft(str(path), strict=True)
    (hosts if scope is Scope.EXACT else domains).read(lines_of(written), draft)
    if draft.problems:
        raise ListError(draft.problems)
    return NamesFile(str(path), path.stem, scope, draft.keys, draft.rows)
