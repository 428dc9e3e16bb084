"""A feed's folder: whatever dies, or decays, what is in force is whole."""

import hashlib
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from blocker.errors import FeedError
from blocker.feeds.facts import Edition, Facts
from blocker.feeds.store import FACTS, Store, digest_of
from tests.e2e.conftest import need

OLD, NEW = b"old.example\n", b"new.example\n"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, "threats")


def edition(content):
    return Edition(hashlib.sha256(content).hexdigest(), len(content), content.count(b"\n"))


def publish(store, content, now=1.0):
    store.draft.write_bytes(content)
    store.keep(store.draft, edition(content))
    store.save(store.facts().published(edition(content), now))


def hold(store, content, now=2.0):
    store.draft.write_bytes(content)
    store.keep(store.draft, edition(content), held=True)
    store.save(store.facts().keeping(edition(content), "it shrank", now))


def in_force(store):
    """Return the content that would be compiled."""
    found = store.intact(store.facts())
    return None if found is None else store.path(found).read_bytes()


@pytest.fixture
def had(store):
    """The folder of a feed with an edition in force."""
    with store.lock():
        publish(store, OLD)
    return store


def files(store):
    return sorted(path.name for path in store.folder.iterdir())


def name(content, ending):
    return f"{edition(content).sha256[:32]}.{ending}"


def test_never_fetched(store):
    assert (store.facts(), in_force(store), store.folder.exists()) == (Facts(), None, False)


def test_published(had):
    assert in_force(had) == OLD
    with had.lock():
        publish(had, NEW, 2.0)
    assert in_force(had) == NEW
    assert files(had) == sorted([FACTS, "lock", name(OLD, "list"), name(NEW, "list")])
    with had.lock():
        publish(had, b"third.example\n", 3.0)
    assert name(OLD, "list") not in files(had)  # one former edition is enough


def test_held_and_released(had):
    with had.lock():
        hold(had, NEW)
        assert in_force(had) == OLD
        had.release(edition(NEW))
        assert in_force(had) == OLD  # until the facts say so
        had.save(had.facts().accepted(3.0))
    assert in_force(had) == NEW
    assert files(had) == sorted([FACTS, "lock", name(OLD, "list"), name(NEW, "list")])


def test_release_may_be_repeated(had):
    with had.lock():
        hold(had, NEW)
        had.release(edition(NEW))
        had.release(edition(NEW))  # the first one died before it saved the facts


def test_a_damaged_held_edition_is_not_released(had):
    with had.lock():
        hold(had, NEW)
        had.path(edition(NEW), held=True).write_bytes(b"evil.example\n")
        with pytest.raises(FeedError, match="damaged or gone"):
            had.release(edition(NEW))
    assert in_force(had) == OLD


@pytest.mark.parametrize("step", ["keep", "save"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_around_the_rename_leaves_one_whole_edition(had, monkeypatch, step, moment):
    """A real process is killed before or after it renames the edition, or the facts."""
    pid = os.fork()
    if not pid:
        rename, ending = Path.replace, ".list" if step == "keep" else FACTS

        def killed(self, target):
            mine = str(target).endswith(ending)
            if mine and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            found = rename(self, target)
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        Path.replace = killed
        try:
            with had.lock():
                publish(had, NEW, 2.0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert in_force(had) == (NEW if (step, moment) == ("save", "after") else OLD)
    with had.lock():  # the lock went with the process, and the next one goes on and tidies up
        publish(had, NEW, 3.0)
    assert in_force(had) == NEW
    assert files(had) == sorted([FACTS, "lock", name(OLD, "list"), name(NEW, "list")])


def test_a_damaged_edition_gives_way_to_the_former_one(had):
    with had.lock():
        publish(had, NEW, 2.0)
        had.path(edition(NEW)).write_bytes(b"new.exampl")
        assert in_force(had) == OLD  # for whoever compiles now
        assert "its former edition serves meanwhile" in had.heal()
        facts = had.facts()
    assert (in_force(had), facts.in_force, facts.tried, facts.succeeded) == (OLD, edition(OLD), 0.0, 0.0)
    assert name(NEW, "damaged") in files(had)
    with had.lock():
        assert had.heal() == ""
        publish(had, NEW, 4.0)
    assert in_force(had) == NEW


@pytest.mark.parametrize("gone", [True, False])
def test_a_damaged_edition_without_a_former_one_is_absent(had, gone):
    path = had.path(edition(OLD))
    path.unlink() if gone else path.write_bytes(b"")
    assert in_force(had) is None
    with had.lock():
        assert "none of its names are blocked" in had.heal()
    assert had.facts().in_force is None


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 1, "tried": "x"}', b"x" * 70_000])
def test_damaged_facts_do_not_unblock(had, damage):
    with had.lock():
        hold(had, NEW)
    (had.folder / FACTS).write_bytes(damage)
    facts = had.facts()
    assert in_force(had) == OLD  # and not what was held
    assert "was damaged" in facts.error
    assert facts.in_force.source == ""  # nothing to send as a validator
    with had.lock():
        assert "was damaged" in had.heal()
        assert had.heal() == ""
    assert in_force(had) == OLD


def test_facts_that_cannot_be_read(had, monkeypatch):
    (had.folder / FACTS).unlink()
    (had.folder / FACTS).mkdir()
    with pytest.raises(FeedError, match="cannot be read"):
        had.facts()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "feeds").write_text("in the way")
    with pytest.raises(FeedError, match="cannot be written"), Store(tmp_path, "threats").lock():
        pass


def test_one_at_a_time(had):
    order = []

    def second():
        with Store(had.folder.parents[1], "threats").lock():
            order.append("second")

    with had.lock():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_command_that_somebody_has_suspended_is_not_waited_for_for_ever(had, monkeypatch):
    monkeypatch.setattr("blocker.feeds.store._PATIENCE", 0.0)
    with (
        had.lock(),
        pytest.raises(FeedError, match="another process has kept it locked for 0 s"),
        Store(had.folder.parents[1], "threats").lock(),
    ):
        pass


def test_what_root_writes_belongs_to_the_service(tmp_path):
    need(os.geteuid() == 0, "needs root")
    os.chown(tmp_path, 12345, 12346)
    store = Store(tmp_path, "threats")
    with store.lock():
        publish(store, OLD)
        hold(store, NEW)
    for path in (store.folder.parent, store.folder, *store.folder.iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346), path


def test_digest_of(tmp_path):
    assert digest_of(tmp_path / "none") is None
    (tmp_path / "a").write_bytes(OLD)
    assert digest_of(tmp_path / "a") == edition(OLD).sha256


def test_facts_survive(had):
    facts = replace(had.facts(), failed=7)
    with had.lock():
        had.save(facts)
    assert had.facts() == facts
