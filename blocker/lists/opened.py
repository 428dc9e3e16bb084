"""The index that the server would use for some lists: the one it has compiled already, else one made for the moment."""

from collections.abc import Sequence
from pathlib import Path

from blocker.config import Lists
from blocker.errors import ArtifactError
from blocker.lists import compile as compiling
from blocker.lists.feed import FeedFile
from blocker.lists.index import Index


def opened(lists: Lists, kept: Path, scratch: Path, feeds: Sequence[FeedFile] = ()) -> Index:
    """Return the index of `lists` and the copies of `feeds`: from the state folder `kept` if it stands there.

    Else it is compiled into `scratch`. Raises ListError when a list is refused, ArtifactError when nothing can be
    written.
    """
    name = f"lists-{compiling.fingerprint(lists, feeds)}.index"
    if (kept / name).exists():
        try:
            return Index.open(kept / name)
        except ArtifactError:  # damaged, or not ours to read
            pass
    target = scratch / name
    try:
        compiling.build(compiling.gather(lists, feeds=feeds), target)
    except OSError as error:
        raise ArtifactError(f"{target}: cannot be written: {error}. Free some space, or set TMPDIR.") from error
    return Index.open(target)
