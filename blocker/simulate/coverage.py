"""What do the lists cover of a corpus, and what in them is dead weight or rests on one source? Pure but for gathering.

An entry is hit by a name if the index finds it for that name, whether or not it is the one that decides.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from blocker import names
from blocker.errors import NameFormatError
from blocker.lists import row
from blocker.lists.gather import Sources
from blocker.lists.index import Index
from blocker.lists.source import AppList, Category, Entry
from blocker.policy import Scope

_Key = tuple[str, str, str, bool, bool]  # app, source, value, an exception, in shadow


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry, and what of the corpus it matches."""

    entry: str  # as it stands in the list
    source: str  # file:line
    allow: bool
    shadow: bool
    names: int
    queries: int


@dataclass(frozen=True, slots=True)
class Unhit:
    """An entry in force that nothing in the corpus matches."""

    entry: str
    source: str
    role: str


@dataclass(frozen=True, slots=True)
class Alone:
    """An entry in force that only one source has."""

    entry: str
    source: str  # file:line
    known_from: str  # the one source
    confidence: int | None
    hit: bool


@dataclass(frozen=True, slots=True)
class Covered:
    """One app."""

    app: str
    names: int  # distinct names of the corpus that an entry of its, no exception and not in shadow, matches
    queries: int
    entries: int  # in force, by name or pattern
    hit: int  # of those
    hits: Sequence[Hit]  # the most names first
    never: Sequence[Unhit]  # of YAML lists
    never_in_files: int  # of plain files, counted only
    known_from: Mapping[str, int]  # entries by source; one may have several
    alone: Sequence[Alone]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two lists that say the same."""

    first: str
    second: str
    same: int  # names in both
    first_within: int  # names of the first below a suffix of the second
    second_within: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """All apps, over one corpus."""

    names: int
    queries: int
    bad: int
    matched: int  # distinct names that an entry of any app, no exception and not in shadow, matches
    apps: Sequence[Covered]
    overlaps: Sequence[Overlap]

    def as_data(self) -> dict[str, Any]:
        """Return the coverage for JSON."""
        return asdict(self)


def coverage(index: Index, sources: Sources, corpus: Iterable[tuple[str, int]], app: str | None = None) -> Coverage:
    """Return what the lists cover of `corpus`, names with the number of their queries; of one `app`, or of all."""
    asked, queries, bad, matched = 0, 0, 0, 0
    of_app: Counter[str] = Counter()
    of_app_queries: Counter[str] = Counter()
    found: dict[_Key, list[int]] = {}
    for text, count in corpus:
        try:
            name = names.from_text(text)
        except NameFormatError:
            bad += count
            continue
        asked += 1
        queries += count
        rules = {rule for rules in index.find(name) for rule in rules if app in (None, rule.app)}
        blocking = {rule.app for rule in rules if not rule.allow and not rule.shadow}
        matched += bool(blocking)
        for each in blocking:
            of_app[each] += 1
            of_app_queries[each] += count
        for rule in rules:
            counts = found.setdefault((rule.app, rule.source, rule.value, rule.allow, rule.shadow), [0, 0])
            counts[0] += 1
            counts[1] += count
    hits = _by_app(found)
    apps = [
        _covered(each, sources, hits.get(each, []), of_app[each], of_app_queries[each])
        for each, about in sorted(index.apps.items())
        if about.loaded and app in (None, each)
    ]
    return Coverage(asked, queries, bad, matched, apps, list(overlaps(sources, app)))


def overlaps(sources: Sources, app: str | None = None) -> Iterator[Overlap]:
    """Yield each two lists that block a name in common, or one a name below the other's."""
    reach = [(file, keys, wide) for file, of, keys, wide in _reach(sources) if keys and app in (None, of)]
    for (first, keys, wide), (second, others, wider) in combinations(reach, 2):
        overlap = Overlap(first, second, len(keys & others), _within(keys, wider), _within(others, wide))
        if overlap.same or overlap.first_within or overlap.second_within:
            yield overlap


def _by_app(found: Mapping[_Key, list[int]]) -> dict[str, list[Hit]]:
    hits: dict[str, list[Hit]] = {}
    for (app, source, value, allow, shadow), (asked, queries) in found.items():
        hits.setdefault(app, []).append(Hit(value, source, allow, shadow, asked, queries))
    for some in hits.values():
        some.sort(key=lambda hit: (-hit.names, -hit.queries, hit.source, hit.entry))
    return hits


def _covered(app: str, sources: Sources, hits: list[Hit], asked: int, queries: int) -> Covered:
    hit = {each.source for each in hits}
    listed = [(each, entry) for each in sources.lists if each.app == app for entry in _named(each, sources)]
    # What a file repeats is one entry: the index keeps its first line, and a query can hit no other.
    files = {file.file: len(set(file.keys)) for file in sources.files if file.app == app}
    hit_in_files = sum(1 for each in hits if each.source.rpartition(":")[0] in files)
    in_files = sum(files.values())
    return Covered(
        app=app,
        names=asked,
        queries=queries,
        entries=len(listed) + in_files,
        hit=len(hits),
        hits=hits,
        never=[
            Unhit(entry.value, _where(each, entry), entry.role)
            for each, entry in listed
            if _where(each, entry) not in hit
        ],
        never_in_files=max(0, in_files - hit_in_files),
        known_from=dict(Counter(source for _, entry in listed for source in entry.sources).most_common()),
        alone=[
            Alone(entry.value, _where(each, entry), entry.sources[0], entry.confidence, _where(each, entry) in hit)
            for each, entry in listed
            if len(entry.sources) == 1
        ],
    )


def _named(each: AppList, sources: Sources) -> Iterator[Entry]:
    """Yield the entries in force that a name can hit."""
    return (entry for entry in each.entries if entry.scope is not Scope.CIDR and sources.on(each.app, entry.switch))


def _where(each: AppList, entry: Entry) -> str:
    return f"{each.file}:{entry.line}"


def _reach(sources: Sources) -> Iterator[tuple[str, str, set[bytes], set[bytes]]]:
    """Yield each list's file and app, the names that it blocks, and those that it blocks with all below (reversed)."""
    for each in sources.lists:
        if each.category is Category.PROTOCOL:
            continue
        entries = [
            entry
            for entry in _named(each, sources)
            if not entry.allow and not entry.shadow and isinstance(entry.target, bytes)
        ]
        keys = {entry.target[::-1] for entry in entries if isinstance(entry.target, bytes)}
        wide = {
            entry.target[::-1] for entry in entries if entry.scope is Scope.SUFFIX and isinstance(entry.target, bytes)
        }
        yield each.file, each.app, keys, wide
    for file in sources.files:
        keys = {key for key, flags in zip(file.keys, file.rows, strict=True) if not flags & row.ALLOW}
        yield file.file, file.app, keys, keys if file.scope is Scope.SUFFIX else set()


def _within(keys: set[bytes], wide: set[bytes]) -> int:
    """Return how many of `keys` lie below one of `wide`, and are not it."""
    if not wide:
        return 0
    return sum(1 for key in keys if any(upper[::-1] in wide for upper in list(names.parents(key[::-1]))[1:-1]))
