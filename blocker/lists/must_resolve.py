"""Names that must go on resolving, whatever a list says: government, updates, sign-in, certificates, emergencies.

The names ship as domain_lists/must_resolve.yaml and an operator adds to them in a file of that name in a folder
of lists. Decides which entries would block one; who refuses the entry, and how, is decided by those who ask.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from blocker import names
from blocker.config import Override
from blocker.errors import ListError, NameFormatError
from blocker.lists import form, marked, suffixes
from blocker.lists.pattern import Pattern
from blocker.names import Name

FILE: Final = "must_resolve.yaml"


@dataclass(frozen=True, slots=True)
class Needed:
    """One name that must resolve."""

    name: Name
    why: str
    source: str  # file:line

    def __str__(self) -> str:
        """Return what an operator is told."""
        return f"{names.to_text(self.name)}, which must resolve: {self.why} ({self.source})"


class MustResolve:
    """All names that must resolve, less those that an override gives up; immutable."""

    def __init__(self, needed: Iterable[Needed] = (), overrides: Iterable[Override] = ()) -> None:
        """`overrides` give up names at or below theirs, and public suffixes of just their name."""
        given_up = {_key(names.from_text(each.name)) for each in overrides}
        held: list[Needed] = []
        used: set[bytes] = {key for key in given_up if suffixes.load().is_refused(key[::-1])}
        for each in needed:
            lifted = given_up.intersection(map(_key, names.parents(each.name)))
            used |= lifted
            held += [] if lifted else [each]
        self.idle = tuple(sorted(names.to_text(key[::-1]) for key in given_up - used))  # overrides of nothing
        self.needed: Mapping[bytes, Needed] = MappingProxyType({_key(each.name): each for each in held})
        above = {_key(upper): each for each in held for upper in names.parents(each.name)}
        self._above: Mapping[bytes, Needed] = MappingProxyType({**above, **self.needed})
        self._keys = frozenset(self._above)
        self._given_up = frozenset(given_up)

    def suspects(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return those of `keys` (names reversed) at which a block could be refused; a million take 0.4 s."""
        wide = suffixes.load().refused(keys) - self._given_up
        # A set against a list loops in C; the other way round would make a set of a million first.
        return wide | set(self._keys.intersection(keys))

    def refuses(self, key: bytes, *, itself: bool = True, below: bool = True, public: bool = True) -> str:
        """Return why a block at `key` must not be; empty if it may.

        `itself`, `below`: what it would block. `public`: whether public suffixes are refused too.
        """
        if public and below and key not in self._given_up and suffixes.load().is_refused(key[::-1]):
            return "is a public suffix or lies above one, so it would block everybody below it"
        found = self._above.get(key)
        if found is None or (not below and found.name != key[::-1]):
            return ""
        if not itself and found.name == key[::-1]:
            found = next((each for at, each in self.needed.items() if at != key and _is_below(at, key)), None)
        return f"would block {found}" if found else ""

    def covering(self, name: Name) -> Needed | None:
        """Return what must resolve at or above `name`, the nearest; None if nothing, or an override gives it up."""
        uppers = [_key(upper) for upper in names.parents(name)]
        if not self._given_up.isdisjoint(uppers):
            return None
        return next((found for upper in uppers if (found := self.needed.get(upper))), None)

    def refuses_pattern(self, pattern: Pattern) -> str:
        """Return why a block of all that fits `pattern` must not be; empty if it may."""
        found = next((each for each in self.needed.values() if pattern.matches(each.name)), None)
        return f"would block {found}" if found else ""


def read(paths: Iterable[Path], overrides: Iterable[Override] = ()) -> MustResolve:
    """Return the names in the files at `paths`. Raises ListError with the mistakes of all."""
    problems: list[str] = []
    found: list[Needed] = []
    for path in paths:
        try:
            found += _read(path)
        except ListError as error:
            problems += error.problems
    if problems:
        raise ListError(problems)
    return MustResolve(found, overrides)


def _read(path: Path) -> list[Needed]:
    document = marked.read(path)
    problems: list[str] = []
    page = form.top(document, problems)
    page.expect(("must_resolve",), ("must_resolve",))
    found: list[Needed] = []
    for each in page.forms("must_resolve"):
        each.expect(("value", "why"), ("value", "why"))
        try:
            name = names.hostname(each.text("value"))
        except NameFormatError as error:
            each.refuse(f"{error}. Fix the spelling or remove the line", "value")
            continue
        if names.depth(name) < 2:
            each.refuse(f"{names.to_text(name)!r} is a top-level domain: name what must resolve below it", "value")
        found.append(Needed(name, each.text("why"), f"{path.name}:{each.line}"))
    if problems:
        raise ListError(problems)
    return found


def _is_below(key: bytes, zone: bytes) -> bool:
    return names.is_below(key[::-1], zone[::-1])


def _key(name: Name) -> bytes:
    return name[::-1]
