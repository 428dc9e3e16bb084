"""Which of the names that clients asked for must not become blocked?

What must resolve, and what lies below it; but not what lies below a parent that strangers share (a CDN): there a
banned app's own names are as likely as anybody's.
"""

from collections.abc import Callable

from blocker import names
from blocker.config import Lists
from blocker.lists import gather
from blocker.names import Name

Guard = Callable[[Name], str]
"""Returns why a name must not become blocked, empty if it may."""


def guard(lists: Lists) -> Guard:
    """Return the guard under `lists`. Raises ListError."""
    must = gather.required(lists)
    shared = frozenset(gather.read_shared(gather.BUILT_IN / gather.SHARED))

    def why(name: Name) -> str:
        found = must.covering(name)
        if found is None or (found.name != name and found.name in shared):
            return ""
        return f"{names.to_text(found.name)}: {found.why} ({found.source})"

    return why
