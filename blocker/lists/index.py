"""Looks names and addresses up in a compiled artifact; immutable, shared by all processes through the page cache.

Answers what is listed, the most specific first. Must not decide what wins (policy.decide does) and must
not hold an object per entry: rules are built when a name hits, and a bounded number is remembered.
"""

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

import marisa_trie

from blocker import names
from blocker.lists import artifact, row
from blocker.lists.artifact import Artifact, Part
from blocker.lists.pattern import Pattern
from blocker.names import Name
from blocker.policy import Action, Rule, Scope, Trigger

_REMEMBERED: Final = 4096  # names, rules, patterns; full: forgotten all at once

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class AppInfo:
    """One app for people, metrics and policies."""

    title: str
    vendor: str
    reason: str
    reference: str  # id of the first decision that it rests on
    decision: str  # its text
    category: str
    quiet: bool
    file: str
    entries: int  # in force
    switches: Mapping[str, bool]  # as they stand
    loaded: bool  # False: named in lists.disable, known by name only
    brand: Sequence[str] = ()  # words by which relatives are looked for


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry as `explain` shows it, in force or not."""

    rule: Rule
    active: bool
    switch: str = ""
    note: str = ""
    role: str = ""
    sources: tuple[str, ...] = ()
    confidence: int | None = None


class Index:
    """The compiled lists."""

    def __init__(self, checked: Artifact) -> None:
        """Take an artifact that `artifact.open_checked` has checked; use `open`."""
        about = json.loads(bytes(checked.parts[Part.ABOUT]))
        self.digest = checked.digest
        self.compiled = checked.compiled
        self.apps: Mapping[str, AppInfo] = MappingProxyType({
            app: AppInfo(**{**said, "switches": MappingProxyType(said["switches"])})
            for app, said in about["apps"].items()
        })  # fmt: skip
        self.references = {app: info.reference for app, info in self.apps.items()}
        """The decision that each app is banned by."""
        self._mapped = checked  # the trie reads from it as long as it lives
        self._trie = marisa_trie.BinaryTrie().map(checked.parts[Part.TRIE])
        self._prefixes = self._trie.prefixes
        self._first = checked.parts[Part.FIRST].cast("I")
        self._rows = checked.parts[Part.ROWS].cast("Q")
        self._detail_at = checked.parts[Part.DETAIL_AT].cast("I")
        self._details = checked.parts[Part.DETAILS]
        self._files: list[tuple[str, str]] = [(shown, app) for shown, app, _ in about["files"]]
        self.origins: tuple[str, ...] = tuple(feed or shown.rpartition("/")[2] for shown, _, feed in about["files"])
        """What the entries of each file come from: a feed's name, or the file's own."""
        self._ranges = _Ranges(about["ranges"])
        self._clients = _Ranges(about["clients"])
        self._servers = _Ranges(about["servers"])
        self._named_servers: bool = next(self._trie.iterkeys(row.MARK), None) is not None
        self.judges_servers: bool = self._named_servers or self._servers.any
        """Whether anything is listed of a zone's name servers ..."""
        self.judges_server_addresses: bool = self._servers.any
        """... and of their addresses."""
        self.judges_clients: bool = self._clients.any
        """Whether `find_client` ever returns a rule."""
        self._remembered: dict[Name, tuple[tuple[Rule, ...], ...]] = {}
        self._remembered_rules: dict[tuple[int, Name], Rule] = {}
        self._remembered_patterns: dict[int, Pattern] = {}
        self._shared: list[int] = about["shared"]
        self._floating = [(each, self._pattern(each)) for each in about["floating"]]
        self._gate = _gate(pattern.needle for each, pattern in self._floating if not each & row.DISABLED)

    @classmethod
    def open(cls, path: Path, pause: float = 0.0) -> "Index":
        """Open the artifact at `path`, with pauses for who serves beside, in seconds (see `artifact.open_checked`).

        Raises ArtifactError if it is missing, damaged or of another version.
        """
        return cls(artifact.open_checked(path, pause))

    def find(self, name: Name) -> tuple[tuple[Rule, ...], ...]:
        """Return the rules in force that match `name`: one tuple per listed name, the most specific first.

        Patterns whose right end is not spelt out come last, together: they are weaker than any listed name.
        """
        # Almost every name is a miss, and pays for these two look-ups alone: 0.6 us.
        keys = self._prefixes(name[::-1])
        floating = self._gate(name)
        if not keys and floating is None:
            return ()
        found = self._remembered.get(name)
        if found is None:
            matching = self._matching(name, keys, floating=floating is not None)
            in_force = ([(each, where) for each, where in some if not each & row.DISABLED] for some in matching)
            found = tuple(tuple(self._rule(each, where) for each, where in some) for some in in_force if some)
            _remember(self._remembered, name, found)
        return found

    def find_address(self, address: bytes) -> tuple[Rule, ...]:
        """Return the rules whose range holds `address` (4 or 16 octets), the longest prefix first."""
        return tuple(self._rule(each, names.ROOT) for each in self._ranges.find(address))

    def find_client(self, address: bytes) -> tuple[Rule, ...]:
        """Return the rules about the client at `address` (4 or 16 octets) itself, the longest prefix first."""
        return tuple(self._rule(each, names.ROOT) for each in self._clients.find(address))

    def find_server(self, name: Name) -> tuple[tuple[Rule, ...], ...]:
        """Return the rules about a zone's name server of this `name`, as `find` does for names that are asked."""
        keys = self._prefixes(row.MARK + name[::-1]) if self._named_servers else ()
        return tuple(
            tuple(self._rule(each, where) for each, where in some)
            for some in self._listed_at(name, keys, row.MARK) if some
        )  # fmt: skip

    def find_server_address(self, address: bytes) -> tuple[Rule, ...]:
        """Return the rules about a name server at `address` (4 or 16 octets), the longest prefix first."""
        return tuple(self._rule(each, names.ROOT) for each in self._servers.find(address))

    def ordered(self) -> Iterator[tuple[Name, tuple[int, ...]]]:
        """Yield each listed name with its entries in force (row.py), a name before those below it; for exports.

        Names under which patterns are kept are among them.
        """
        for key in self._trie.iterkeys():  # in the order of their octets: compiled so
            if key.startswith(row.MARK):
                return
            if in_force := self._in_force(key):
                yield key[::-1], in_force

    def ordered_servers(self) -> Iterator[tuple[Name, tuple[int, ...]]]:
        """Yield each name of a name server that is listed, as `ordered` does."""
        for key in self._trie.iterkeys(row.MARK):
            yield key[:0:-1], self._in_force(key)

    def server_stretches(self, size: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the first and last address of each stretch of name servers, of `size` octets, that rules are about."""
        yield from self._servers.stretches(size)

    def _in_force(self, key: bytes) -> tuple[int, ...]:
        key_id = self._trie.key_id(key)
        rows = self._rows[self._first[key_id] : self._first[key_id + 1]]
        return tuple(each for each in rows if not each & row.DISABLED)

    def floating(self) -> Iterator[int]:
        """Yield the entries in force that `ordered` cannot show: patterns that are tried on every name."""
        yield from (each for each, _ in self._floating if not each & row.DISABLED)

    def suspects(self, name: Name) -> bool:
        """Tell whether one of the `floating` patterns may match `name`."""
        return self._gate(name) is not None

    def app_of(self, each: int) -> str:
        """Return the app of an entry."""
        return self._files[row.unpack(each).file][1]

    def origin_of(self, each: int) -> str:
        """Return what an entry comes from: a feed's name, or its file's own."""
        return self.origins[row.unpack(each).file]

    def rule(self, each: int) -> Rule:
        """Return the rule of an entry of the YAML lists, which says its own value."""
        return self._rule(each, names.ROOT)

    def stretches(self, size: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the first and last address of each stretch, of `size` octets, that an exclusive range covers."""
        yield from self._ranges.stretches(size)

    def client_stretches(self, size: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the first and last address of each stretch of clients, of `size` octets, that rules are about."""
        yield from self._clients.stretches(size)

    def places(self) -> dict[str, "array[int]"]:
        """Return, by app, the places of its blocked names in force, for `name_at`: four octets for each."""
        found: dict[str, array[int]] = {app: array("I") for app in self.apps}
        apps = [found[app] for _, app in self._files]
        skipped = row.ALLOW | row.DISABLED | row.PATTERN | row.SERVER
        first, rows = self._first, self._rows
        for key_id in range(len(first) - 1):
            for at in range(first[key_id], first[key_id + 1]):
                if not rows[at] & skipped:
                    apps[rows[at] >> 48].append(key_id)
        return found

    def name_at(self, place: int) -> Name:
        """Return the name at one of the `places`."""
        return self._trie.restore_key(place)[::-1]

    def shared(self) -> Iterator[Listed]:
        """Yield the ranges in force that are not the app's alone: no answer is judged by them, only packets may be."""
        yield from (self._listed(each, names.ROOT) for each in self._shared)

    def listed(self, name: Name) -> tuple[Listed, ...]:
        """Return every entry that matches `name`, also those whose switch is off; the most specific first."""
        return tuple(
            self._listed(each, where)
            for matching in self._matching(name, self._prefixes(name[::-1]), floating=True)
            for each, where in matching
        )

    def walk(self) -> Iterator[tuple[str, bytes, int, str]]:
        """Yield every entry in force: its app, its key, its flags, and what is written there where that is no name.

        A range of addresses has no key; a pattern has its tail's, or none.
        """
        for key in self._trie.keys():  # noqa: SIM118 a trie, not a dict
            key_id = self._trie.key_id(key)
            for each in self._rows[self._first[key_id] : self._first[key_id + 1]]:
                if not each & row.DISABLED:
                    yield self._walked(each, key)
        ranges = {*self._ranges.entries(), *self._clients.entries(), *self._servers.entries()}
        for each in sorted(ranges | {each for each, _ in self._floating if not each & row.DISABLED}):
            yield self._walked(each, b"")

    def _walked(self, each: int, key: bytes) -> tuple[str, bytes, int, str]:
        file, number, flags = row.unpack(each)
        if key and not flags & row.PATTERN:
            return self._files[file][1], key, flags, ""
        said = self._detail(number)
        return self._files[file][1], key, flags, shown_value(said["value"], said.get("trigger"))

    def _matching(self, name: Name, keys: list[bytes], *, floating: bool) -> Iterable[list[tuple[int, Name]]]:
        """Yield the rows that match `name`, each with the name that it is listed under."""
        yield from self._listed_at(name, keys, b"")
        if floating:
            near = [(each, pattern) for each, pattern in self._floating if pattern.needle in name]
            labels = tuple(names.labels(name)) if near else ()
            yield [(each, names.ROOT) for each, pattern in near if pattern.matches_labels(labels)]

    def _listed_at(self, name: Name, keys: Sequence[bytes], mark: bytes) -> Iterator[list[tuple[int, Name]]]:
        """Yield the rows of `keys`, `mark` in front of each, that match `name`, and the name each is listed under."""
        borders = {len(upper) for upper in names.parents(name)} if keys else set()
        for key in reversed(keys):
            listed = key.removeprefix(mark)
            # A crafted label may hold a length octet and look like a border: names.is_below, all at once.
            if len(listed) in borders:
                key_id = self._trie.key_id(key)
                rows = self._rows[self._first[key_id] : self._first[key_id + 1]]
                yield [(each, listed[::-1]) for each in rows if self._covers(each, listed, name)]

    def _covers(self, each: int, key: bytes, name: Name) -> bool:
        if each & row.EXACT:
            return len(key) == len(name)
        if each & row.BELOW:
            return len(key) < len(name)
        return not each & row.PATTERN or self._pattern(each).matches(name)

    def _rule(self, each: int, name: Name) -> Rule:
        """Return the rule of a row that is listed under `name`."""
        rule = self._remembered_rules.get((each, name))
        if rule is None:
            rule = self._rule_of(each, name)
            _remember(self._remembered_rules, (each, name), rule)
        return rule

    def _rule_of(self, each: int, name: Name) -> Rule:
        file, number, flags = row.unpack(each)
        shown, app = self._files[file]
        said = self._detail(number) if flags & row.DETAILED else {}
        about = self.apps[app]
        return Rule(
            app=app,
            value=said.get("value") or names.to_text(name),
            scope=Scope(said["scope"]) if said else _scope(flags),
            allow=bool(flags & row.ALLOW),
            source=f"{shown}:{said.get('line', number)}",
            reference=about.reference,
            reason=about.reason,
            title=about.title,
            answer=Action(said["answer"]) if "answer" in said else row.answer_of(flags),
            guarded=bool(flags & row.GUARDED),
            quiet=about.quiet,
            feed=bool(flags & row.FEED),
            shadow=bool(flags & row.SHADOW),
            origin=self.origins[file],
            trigger=Trigger(said["trigger"]) if "trigger" in said else Trigger.NSDNAME if flags & row.SERVER else None,
        )

    def _listed(self, each: int, name: Name) -> Listed:
        _, number, flags = row.unpack(each)
        said = self._detail(number) if flags & row.DETAILED else {}
        return Listed(
            self._rule(each, name),
            not flags & row.DISABLED,
            said.get("switch", ""),
            said.get("note", ""),
            said.get("role", ""),
            tuple(said.get("sources", ())),
            said.get("confidence"),
        )

    def _detail(self, number: int) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(bytes(self._details[self._detail_at[number] : self._detail_at[number + 1]]))
        return said

    def _pattern(self, each: int) -> Pattern:
        pattern = self._remembered_patterns.get(each)
        if pattern is None:
            pattern = Pattern.parse(self._detail(row.unpack(each).number)["value"])
            _remember(self._remembered_patterns, each, pattern)
        return pattern


class _Ranges:
    """Ranges of addresses, flattened (ranges.py): which entries hold an address."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        stretches = {int(size): some for size, some in said.items()}
        self._starts = {size: [bytes.fromhex(start) for start, _ in some] for size, some in stretches.items()}
        self._held = {size: [tuple(held) for _, held in some] for size, some in stretches.items()}
        self.any: bool = any(stretches.values())

    def find(self, address: bytes) -> tuple[int, ...]:
        """Return the entries whose range holds `address`, the longest prefix first."""
        at = bisect_right(self._starts[len(address)], address)
        return self._held[len(address)][at - 1] if at else ()

    def stretches(self, size: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the first and last address of each stretch of addresses of `size` octets that an entry holds."""
        starts = self._starts[size]
        for at, start in enumerate(starts):
            if self._held[size][at]:
                last = int.from_bytes(starts[at + 1]) - 1 if at + 1 < len(starts) else (1 << size * 8) - 1
                yield start, last.to_bytes(size)

    def entries(self) -> Iterator[int]:
        """Yield the entries, as often as they hold a stretch."""
        for some in self._held.values():
            for held in some:
                yield from held


def shown_value(value: str, trigger: str | None) -> str:
    """Return what an entry that is no name says, apart from others that say the same of something else."""
    return f"{trigger} {value}" if trigger else value


def _scope(flags: int) -> Scope:
    return Scope.EXACT if flags & row.EXACT else Scope.BELOW if flags & row.BELOW else Scope.SUFFIX


def _remember(memo: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(memo) >= _REMEMBERED:
        memo.clear()
    memo[key] = value


def _gate(needles: Iterable[bytes]) -> Callable[[Name], re.Match[bytes] | None]:
    """Return a function that tells quickly, by a match or None, whether any needle is in a name.

    Needles that hold another one are left out: the shorter one lets their names through as well.
    """
    wanted = set(needles)
    least = sorted(each for each in wanted if not any(other != each and other in each for other in wanted))
    return re.compile(b"|".join(map(re.escape, least)) if least else rb"(?!)").search
