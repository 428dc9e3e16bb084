"""One update of one feed, a straight line: fetch, read, judge, publish or hold, and say what came of it."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from blocker.bundle import current as bundles
from blocker.config import Config, Feed
from blocker.errors import BundleError, FeedError, ListError
from blocker.feeds import compare, guard
from blocker.feeds.facts import Edition, Facts
from blocker.feeds.fetch import Fetched, Progress, fetch, shown, source_of
from blocker.feeds.files import file_of
from blocker.feeds.guard import Course, Limits
from blocker.feeds.store import Store, digest_of
from blocker.lists import feed as reading
from blocker.lists import gather
from blocker.lists.feed import FeedFile, Rejected
from blocker.lists.formats import NamesFile
from blocker.lists.must_resolve import MustResolve

_READING: Final = threading.Lock()  # one list at a time is read: a million names take hundreds of MB
_NOTHING: Final = Rejected()
_SAMPLES: Final = 5  # rejected lines that are told


class State(StrEnum):
    """How an update ended."""

    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    HELD = "held"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an update, for people and their scripts."""

    feed: str
    state: State
    before: int  # entries in force until now
    after: int  # entries of what was published or held, else those in force
    rejected: Rejected = _NOTHING
    why: str = ""

    @property
    def well(self) -> bool:
        """Tell whether nobody needs to look at it."""
        return self.state in (State.PUBLISHED, State.UNCHANGED, State.REJECTED)


def update(
    feed: Feed,
    config: Config,
    state: Path,
    now: float,
    *,
    dry_run: bool = False,
    progress: Progress = lambda _octets, _of: None,
) -> Result:
    """Bring the feed up to date below the state folder `state`; `dry_run`: only say what would come of it.

    Raises nothing for what a source may do: the result says so, and the edition in force stays.
    """
    store = Store(state, feed.name)
    facts = Facts()
    try:
        with store.lock():
            if not dry_run:
                store.heal()
            facts = store.facts()
            try:
                got = fetch(feed, config.fetch, _known(store, facts), store.draft, progress)
                if got is not None:
                    must = gather.required(bundles.in_force(config).lists)
                    with _READING:
                        return admit(store, feed, facts, got, must, now, dry_run=dry_run)
                return _still(store, feed, facts, now, dry_run=dry_run)
            except (FeedError, ListError, BundleError) as error:
                store.draft.unlink(missing_ok=True)
                if not dry_run:
                    store.save(facts.after_failure(str(error), now))
                return _ended(feed, facts, State.FAILED, why=str(error))
    except FeedError as error:  # of the folder itself
        return _ended(feed, facts, State.FAILED, why=str(error))


def admit(
    store: Store, feed: Feed, facts: Facts, got: Fetched, must: MustResolve, now: float, *, dry_run: bool = False
) -> Result:
    """Read and judge what has arrived in `store.draft`, wherever it came from; then publish it, hold it, or refuse it.

    The caller holds the store's lock. Raises FeedError when it is refused; then nothing has changed.
    """
    if feed.sha256 is not None and got.sha256 != feed.sha256:
        raise FeedError(f"the source has another list (SHA-256 {got.sha256}) than the one in the configuration.")
    if facts.latest is not None and facts.latest.sha256 == got.sha256:
        return _still(store, feed, _with_validators(facts, feed, got), now, dry_run=dry_run)
    if facts.in_force is not None and facts.in_force.sha256 == got.sha256:  # and another one is held: taken back
        if not dry_run:
            store.save(facts.returned(_renewed(facts.in_force, feed, got), now))
        store.draft.unlink(missing_ok=True)
        return _ended(feed, facts, State.UNCHANGED)
    before = _before(store, feed, facts)
    lines = compare.gone(before.path, store.draft) if before else b""
    found, rejected = _read(store.draft, feed, must)
    rejected = replace(rejected, samples=_renamed(rejected.samples, store.draft, feed))
    entries = _entries(found)
    in_force, lost = _compared(before, lines, found, facts, must)
    ruling = guard.judge(in_force, guard.Update(entries, rejected.bad, lost), Limits(feed.shrink, feed.growth))
    if ruling.course is Course.REFUSE:
        raise FeedError(f"{shown(feed.url)}: {ruling.why}")
    held = ruling.course is Course.HOLD
    edition = Edition(
        sha256=got.sha256,
        octets=got.octets,
        entries=entries,
        bad=rejected.bad,
        unsupported=rejected.unsupported,
        refused=rejected.refused,
        fetched=now,
        etag=got.etag,
        modified=got.modified,
        source=source_of(feed),
    )
    if dry_run:
        store.draft.unlink()
    else:
        store.keep(store.draft, edition, held=held)
        store.save(facts.keeping(edition, ruling.why, now) if held else facts.published(edition, now))
    return Result(feed.name, State.HELD if held else State.PUBLISHED, in_force or 0, entries, rejected, ruling.why)


def accept(feed: Feed, state: Path, now: float) -> Result:
    """Put the held edition of the feed in force, as a person has decided.

    Raises FeedError if nothing is held, or another edition than when the person decided.
    """
    store = Store(state, feed.name)
    seen = store.facts()
    with store.lock():
        facts = _unchanged(feed, store, seen)
        try:
            after = facts.accepted(now)
        except FeedError as error:
            raise FeedError(f"feed {feed.name}: {error}") from error
        assert facts.held is not None
        store.release(facts.held)
        store.save(after)
        return Result(feed.name, State.PUBLISHED, _known_entries(facts), facts.held.entries)


def reject(feed: Feed, state: Path, now: float) -> Result:
    """Note that a person does not want the held edition of the feed.

    It stays on disk, so that it can be accepted after all, until the source has another one. Raises FeedError as above.
    """
    store = Store(state, feed.name)
    seen = store.facts()
    with store.lock():
        try:
            after = _unchanged(feed, store, seen).after_rejection(now)
        except FeedError as error:
            raise FeedError(f"feed {feed.name}: {error}") from error
        store.save(after)
        return _held(feed, after)


def _unchanged(feed: Feed, store: Store, seen: Facts) -> Facts:
    """Return the facts as they are under the lock, if what is held is what was `seen` before. Raises FeedError."""
    facts = store.facts()
    if (facts.held and facts.held.sha256) != (seen.held and seen.held.sha256):
        how = f"blocker lists diff {feed.name} {feed.name}:held"
        raise FeedError(f"feed {feed.name}: it was updated while you decided. Look at what is held now: {how}")
    return facts


def _known(store: Store, facts: Facts) -> Edition | None:
    """Return the edition that need not be sent again."""
    edition = facts.latest
    if edition is None or digest_of(store.path(edition, held=facts.held is not None)) != edition.sha256:
        return None
    return edition


def _still(store: Store, feed: Feed, facts: Facts, now: float, *, dry_run: bool) -> Result:
    """Take note that the source has what it had."""
    store.draft.unlink(missing_ok=True)
    if not dry_run:
        store.save(facts.unchanged(now))
    if facts.held is not None:
        return _held(feed, facts)
    return _ended(feed, facts, State.UNCHANGED)


def _held(feed: Feed, facts: Facts) -> Result:
    """Tell of an edition that is held already."""
    assert facts.held is not None
    state = State.HELD if facts.waiting else State.REJECTED
    return replace(_ended(feed, facts, state, why=facts.why_held), after=facts.held.entries)


def _with_validators(facts: Facts, feed: Feed, got: Fetched) -> Facts:
    """Return the facts with the source's newest validators for the edition that it had already."""
    if facts.held is not None:
        return replace(facts, held=_renewed(facts.held, feed, got))
    return replace(facts, in_force=facts.in_force and _renewed(facts.in_force, feed, got))


def _renewed(edition: Edition, feed: Feed, got: Fetched) -> Edition:
    return replace(edition, etag=got.etag, modified=got.modified, source=source_of(feed))


def _read(path: Path, feed: Feed, must: MustResolve) -> tuple[NamesFile, Rejected]:
    try:
        return reading.read(file_of(feed, path), must)
    except ListError as error:
        raise FeedError("; ".join(_renamed(error.problems, path, feed))) from error


def _renamed(problems: Iterable[str], path: Path, feed: Feed) -> tuple[str, ...]:
    """Return `problems` with the feed's name for the file's, which is a draft's."""
    return tuple(problem.replace(str(path), feed.name) for problem in problems)[:_SAMPLES]


def _before(store: Store, feed: Feed, facts: Facts) -> FeedFile | None:
    """Return the file that is in force, if there is a whole one."""
    edition = store.intact(facts)
    return file_of(feed, store.path(edition)) if edition else None


def _compared(
    before: FeedFile | None, lines: bytes, found: NamesFile, facts: Facts, must: MustResolve
) -> tuple[int | None, int]:
    """Return how many entries are in force, None if none are, and how many of them `found` no longer has."""
    if before is None:
        return None, 0
    try:
        entries = _known_entries(facts) or _entries(reading.read(before, must)[0])
        return entries, compare.lost(before, lines, found, must)
    except ListError:  # it was read once: the feed's format was changed in the configuration
        return None, 0


def _entries(found: NamesFile) -> int:
    return len(found.keys) + len(found.ranges)


def _ended(feed: Feed, facts: Facts, state: State, why: str = "") -> Result:
    return Result(feed.name, state, _known_entries(facts), _known_entries(facts), why=why)


def _known_entries(facts: Facts) -> int:
    return facts.in_force.entries if facts.in_force else 0
