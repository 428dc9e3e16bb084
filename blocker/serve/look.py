"""How files look from outside: what tells whether they have changed, without reading them.

The process that reads lists and the one that watches them ask here, so that both mean the same by a change.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TEMPORARY: Final = re.compile(r"\..*|#.*#|.*(~|\.sw[a-z]|\.tmp|\.temp|\.part|\.draft|\.new|\.bak|\.orig)|4913")
_SWAPPED: Final = "..data"  # the link by which Kubernetes changes all files of a volume at once

Look = dict[str, tuple[int, int, int]]
"""Files, each with inode, size and time of change (ns)."""


def is_temporary(name: str) -> bool:
    """Tell whether a file name is an editor's or a download's own, and not meant to be read."""
    return name != _SWAPPED and _TEMPORARY.fullmatch(name) is not None


def look(paths: Iterable[str]) -> Look:
    """Return how the files at `paths` look, and those directly in the folders among them."""
    found: Look = {}
    for path in map(Path, paths):
        try:
            inside = sorted(each for each in path.iterdir() if not is_temporary(each.name)) if path.is_dir() else [path]
        except OSError:
            continue
        for each in inside:
            try:
                state = each.stat()
            except OSError:
                continue
            found[str(each)] = (state.st_ino, state.st_size, state.st_mtime_ns)
    return found


def signature(looked: Look) -> str:
    """Return a text that is the same for two looks exactly when nothing differs between them."""
    return hashlib.blake2b(repr(sorted(looked.items())).encode(), digest_size=16).hexdigest()
