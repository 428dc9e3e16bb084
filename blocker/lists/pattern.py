"""Bounded patterns: relatives of a listed name that nobody has listed yet, without regular expressions.

`*` stands for any characters inside one label (a label `*` is exactly one label), a leading `**.` for any
labels in front, a trailing `.**` for one or more labels behind. Matching never backtracks over labels, so
that no name, however crafted, costs more than a few microseconds. Knows nothing of apps and lists.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from blocker import names
from blocker.errors import NameFormatError
from blocker.names import Name

LITERAL: Final = 4  # characters in a row that one label must spell out: a shorter word is in too many names
FLOATING: Final = 64  # patterns over all lists that are tried on every unknown name

_LABEL: Final = re.compile(r"[a-z0-9_*-]{1,63}")


@dataclass(frozen=True)
class Pattern:
    """One pattern; `labels` holds, for each label, its literal pieces around the stars."""

    text: str
    labels: tuple[tuple[bytes, ...], ...]
    front: bool  # any labels may stand in front
    behind: bool  # at least one more label must follow

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Return the pattern written as `text`. Raises NameFormatError, which says what to fix."""
        middle = text.lower()
        front, behind = middle.startswith("**."), middle.endswith(".**")
        middle = middle[3:] if front else middle
        middle = middle[:-3] if behind else middle
        written = middle.split(".")
        for label in written:
            if "**" in label:
                raise _refused(text, "'**' may only be the whole first or the whole last label")
            if not _LABEL.fullmatch(label):
                raise _refused(text, f"{label!r} is not a label of 1 to 63 letters, digits, '-', '_' and '*'")
        labels = tuple(tuple(label.encode().split(b"*")) for label in written)
        if sum(len(label) + 1 for label in written) >= names.MAX_NAME:
            raise _refused(text, f"it is longer than {names.MAX_NAME} octets")
        if not behind and all(len(pieces) == 1 for pieces in labels):
            raise _refused(text, f"it has no '*'; write {middle!r} with kind: {'suffix' if front else 'exact'}")
        if max(len(piece) for pieces in labels for piece in pieces) < LITERAL:
            raise _refused(text, f"no label spells out {LITERAL} characters in a row, so it would hit strangers")
        return cls(text, labels, front, behind)

    @cached_property
    def tail(self) -> Name | None:
        """The literal labels at the right end, under which the pattern can be looked up; None: there are none."""
        literal: list[bytes] = []
        for pieces in reversed(self.labels):
            if self.behind or len(pieces) > 1:
                break
            literal.insert(0, pieces[0])
        return b"".join(bytes((len(label),)) + label for label in literal) + names.ROOT if literal else None

    @cached_property
    def floating(self) -> bool:
        """Whether it must be tried on every name; a top-level domain alone is no place to look it up under."""
        return self.tail is None or names.depth(self.tail) == 1

    @cached_property
    def needle(self) -> bytes:
        """The longest literal piece: a name without it cannot match."""
        return max((piece for pieces in self.labels for piece in pieces), key=len)

    def matches(self, name: Name) -> bool:
        """Tell whether `name` fits."""
        return self.needle in name and self.matches_labels(tuple(names.labels(name)))

    def matches_labels(self, labels: tuple[bytes, ...]) -> bool:
        """Tell whether the name with these `labels` fits; for callers with many patterns and one name."""
        last = len(labels) - len(self.labels) - self.behind  # the right-most place where the pattern may begin
        if last < 0 or (last > 0 and not (self.front or self.behind)):
            return False
        first = last if self.front and not self.behind else 0
        stop = last + 1 if self.front else 1
        return any(all(map(_fits, self.labels, labels[start:])) for start in range(first, stop))


def _fits(pieces: tuple[bytes, ...], label: bytes) -> bool:
    """Tell whether `label` holds the `pieces` in order, the first at its start and the last at its end.

    Taking each piece at its left-most place is enough: a later place leaves less room for the rest.
    """
    if len(pieces) == 1:
        return label == pieces[0]
    first, last = pieces[0], pieces[-1]
    at, end = len(first), len(label) - len(last)
    if at > end or not label.startswith(first) or not label.endswith(last):
        return False
    for piece in pieces[1:-1]:
        found = label.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _refused(text: str, why: str) -> NameFormatError:
    return NameFormatError(f"{text!r} is not a pattern: {why}")
