"""What is the least that one owner holds? `a.b.tiktok-new.co.uk` is below `tiktok-new.co.uk`; that is what gets listed.

At a service where strangers have names (github.io, akamaized.net) it is each stranger's own name there.
"""

from collections.abc import Iterable
from typing import Final

from blocker import names
from blocker.lists import suffixes
from blocker.names import Name

_KEPT: Final = 20_000  # names; full: forgotten all at once


class Owners:
    """Finds what was registered, by public suffixes and by the parents that many strangers share."""

    def __init__(self, shared: Iterable[Name] = ()) -> None:
        """`shared` are the parents that lists know as shared (domain_lists/shared.yaml)."""
        self._shared = frozenset(shared)
        self._suffixes = suffixes.load()
        self._kept: dict[Name, Name | None] = {}

    def of(self, name: Name) -> Name | None:
        """Return what one owner holds at or above `name`; None if it is no more than a suffix itself."""
        if name in self._kept:
            return self._kept[name]
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        uppers = list(names.parents(name))[:-1]
        found = None
        for each in uppers:  # from the left: the last that may be owned, before strangers share what is above
            if self._is_shared(each):
                break
            found = each
        self._kept[name] = found
        return found

    def _is_shared(self, name: Name) -> bool:
        return name in self._shared or self._suffixes.is_private(name) or self._suffixes.is_refused(name)
