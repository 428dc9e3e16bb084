"""Which files of other people's lists are compiled, by the server and by every command: the one place that says so."""

from pathlib import Path

from blocker.config import Config, Feed
from blocker.errors import FeedError
from blocker.feeds.store import Store
from blocker.lists.feed import FeedFile
from blocker.rpz import taken


def in_force(config: Config, state: Path) -> tuple[tuple[FeedFile, ...], tuple[str, ...]]:
    """Return the files to compile, and what an operator should hear of feeds that have none or not their newest.

    `state` is the state folder.
    Changes nothing on disk: a damaged edition is set aside by whoever fetches it anew.
    """
    files: list[FeedFile] = []
    warnings: list[str] = []
    for feed in config.feeds:
        store = Store(state, feed.name)
        try:
            facts = store.facts()
        except FeedError as error:
            warnings.append(f"feed {feed.name} is absent: {error}")
            continue
        edition = store.intact(facts)
        if edition is not None:
            files.append(file_of(feed, store.path(edition)))
        if edition != facts.in_force:
            rest = "its former edition serves" if edition else "none of its names are blocked"
            warnings.append(f"feed {feed.name}: its copy on disk is damaged; {rest} until it is fetched anew.")
        elif edition is None:
            warnings.append(
                f"feed {feed.name} was never fetched: none of its names are blocked yet."
                f" See `blocker lists update {feed.name}`."
            )
    zones, absent = taken.in_force(config.rpz.imports, state)
    return (*files, *zones), (*warnings, *absent)


def file_of(feed: Feed, path: Path) -> FeedFile:
    """Return the edition of `feed` at `path` as a list."""
    return FeedFile(feed.name, feed.subject, path, feed.format, category=feed.category is not None)
