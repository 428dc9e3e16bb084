"""Which files of feeds are compiled, and what is said of those that are not."""

import pytest

from blocker.config import Config, Feed
from blocker.feeds import files
from blocker.feeds.store import FACTS, Store
from tests.feeds.test_store import NEW, OLD, publish

FEED = Feed(name="threats", app="games", url="file:///srv/threats", format="domains")
CONFIG = Config(feeds=(FEED,))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, "threats")


def found(tmp_path):
    there, warnings = files.in_force(CONFIG, tmp_path)
    return [file.path.read_bytes() for file in there], warnings


def test_in_force(tmp_path, store):
    with store.lock():
        publish(store, OLD)
    (file,), warnings = files.in_force(CONFIG, tmp_path)
    assert (file.name, file.app, file.format, file.path.read_bytes(), warnings) == (
        "threats",
        "games",
        "domains",
        OLD,
        (),
    )


def test_never_fetched(tmp_path):
    there, (warning,) = found(tmp_path)
    assert (there, warning.startswith("feed threats was never fetched: none of its names are blocked yet.")) == (
        [],
        True,
    )


@pytest.mark.parametrize("former", [True, False])
def test_damaged(tmp_path, store, former):
    with store.lock():
        if former:
            publish(store, OLD)
        publish(store, NEW, 2.0)
    store.path(store.facts().in_force).write_bytes(b"evil.example\n")
    before = sorted(path.name for path in store.folder.iterdir())
    there, (warning,) = found(tmp_path)
    assert there == ([OLD] if former else [])
    assert ("its former edition serves" if former else "none of its names are blocked") in warning
    assert sorted(path.name for path in store.folder.iterdir()) == before


def test_unreadable(tmp_path, store):
    store.folder.mkdir(parents=True)
    (store.folder / FACTS).mkdir()
    there, (warning,) = found(tmp_path)
    assert (there, "is absent" in warning) == ([], True)
