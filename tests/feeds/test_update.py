"""One update of one feed: what is published, held, refused, and that what is in force outlives all of it."""

import contextlib
import hashlib

import pytest
import stamina

from blocker.config import Config
from blocker.errors import FeedError
from blocker.feeds import update as updating
from blocker.feeds.store import Store
from blocker.feeds.update import State

NOW = 1_800_000_000.0


def names(count, word="name"):
    return "".join(f"{word}{number}.example\n" for number in range(count)).encode()


class Rig:
    """A feed whose source is a file, or what a publisher says."""

    def __init__(self, folder, url=None, **feed):
        self.source = folder / "source.txt"
        self.state = folder / "state"
        self.state.mkdir()
        self.url = url or f"file://{self.source}"
        self.fetch = {"attempts": 1, "deadline": 5}
        self.configure(**feed)
        self.store = Store(self.state, "threats")
        self.now = NOW

    def configure(self, **feed):
        feed = {"name": "threats", "app": "games", "url": self.url, **feed}
        self.config = Config.model_validate({"feeds": [feed], "fetch": self.fetch, "lists": {"built_in": False}})

    def update(self, content=None, **how):
        if content is not None:
            self.source.write_bytes(content)
        self.now += 100
        return updating.update(self.config.feeds[0], self.config, self.state, self.now, **how)

    def accept(self):
        return updating.accept(self.config.feeds[0], self.state, self.now)

    def reject(self):
        return updating.reject(self.config.feeds[0], self.state, self.now)

    @property
    def facts(self):
        return self.store.facts()

    @property
    def in_force(self):
        """The content that would be compiled."""
        found = self.store.intact(self.facts)
        return found and self.store.path(found).read_bytes()


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def test_the_first_time(rig):
    done = rig.update(names(3) + b"not a name\n")
    assert (done.state, done.before, done.after, done.rejected.bad, done.well) == (State.PUBLISHED, 0, 3, 1, True)
    assert done.rejected.samples[0].startswith("threats:4: ")
    assert rig.in_force == names(3) + b"not a name\n"
    edition = rig.facts.in_force
    assert (edition.entries, edition.bad, edition.fetched) == (3, 1, rig.now)


def test_an_update(rig):
    rig.update(names(10))
    done = rig.update(names(11))
    assert (done.state, done.before, done.after) == (State.PUBLISHED, 10, 11)
    assert (rig.in_force, rig.facts.succeeded) == (names(11), rig.now)


def test_nothing_new(rig):
    rig.update(names(10))
    done = rig.update()
    assert (done.state, done.before, done.after) == (State.UNCHANGED, 10, 10)
    assert rig.facts.succeeded == rig.now


@pytest.mark.parametrize(("content", "why"), [
    (names(7), "3 of 10 names in force (30%) would be lost"),
    (names(10, "other"), "10 of 10 names in force"),
    (names(501), "501 names instead of 10"),
])  # fmt: skip
def test_a_suspicious_update_waits_for_a_person(rig, content, why):
    rig.update(names(10))
    before = rig.now
    done = rig.update(content)
    assert (done.state, done.before, done.after, done.well) == (State.HELD, 10, content.count(b"\n"), False)
    assert why in done.why
    assert (rig.in_force, rig.facts.succeeded, rig.facts.failures) == (names(10), before, 0)
    again = rig.update()
    assert (again.state, again.after, again.why) == (State.HELD, done.after, done.why)
    accepted = rig.accept()
    assert (accepted.state, accepted.before, accepted.after) == (State.PUBLISHED, 10, done.after)
    assert (rig.in_force, rig.facts.held) == (content, None)
    assert rig.update().state is State.UNCHANGED


def test_what_a_person_rejects_is_not_asked_about_again(rig):
    rig.update(names(10))
    succeeded = rig.now
    held = rig.update(names(2))
    done = rig.reject()
    assert (done.state, done.before, done.after, done.why, done.well) == (State.REJECTED, 10, 2, held.why, True)
    for _ in range(2):
        assert rig.update() == done
    assert (rig.in_force, rig.facts.succeeded) == (names(10), succeeded)  # the feed is getting old, and says so
    assert rig.update(names(3)).state is State.HELD  # another edition is another question
    rig.reject()
    assert rig.update(names(11)).state is State.PUBLISHED
    assert rig.facts.rejected == 0.0


def test_a_person_may_think_better_of_a_rejection(rig):
    rig.update(names(10))
    rig.update(names(2))
    rig.reject()
    assert (rig.accept().state, rig.in_force) == (State.PUBLISHED, names(2))
    assert rig.update().state is State.UNCHANGED


@pytest.mark.parametrize("decide", ["accept", "reject"])
def test_nobody_decides_about_an_update_that_he_has_not_seen(rig, monkeypatch, decide):
    """Another one came while the command waited for whoever fetched it."""
    rig.update(names(10))
    rig.update(names(2))
    lock = Store.lock

    @contextlib.contextmanager
    def late(store):
        monkeypatch.setattr(Store, "lock", lock)
        rig.update(names(600))
        with lock(store):
            yield

    monkeypatch.setattr(Store, "lock", late)
    with pytest.raises(FeedError, match="it was updated while you decided"):
        getattr(rig, decide)()
    assert (rig.in_force, rig.facts.waiting, rig.facts.held.entries) == (names(10), True, 600)


def test_the_source_takes_a_held_update_back(rig):
    rig.update(names(10))
    rig.update(names(2))
    assert rig.update(names(10)).state is State.UNCHANGED
    assert (rig.facts.held, rig.facts.succeeded) == (None, rig.now)


def test_a_held_update_gives_way_to_a_better_one(rig):
    rig.update(names(10))
    rig.update(names(2))
    assert rig.update(names(12)).state is State.PUBLISHED
    assert (rig.in_force, rig.facts.held) == (names(12), None)


def test_nothing_to_accept(rig):
    rig.update(names(10))
    with pytest.raises(FeedError, match="feed threats: nothing is held"):
        rig.accept()
    with pytest.raises(FeedError, match="feed threats: nothing is held"):
        rig.reject()


@pytest.mark.parametrize(("content", "why"), [
    (b"", "threats:1: "),
    (b"<html><title>Log in</title></html>", "a web page"),
    (b"\0\1\2\3" * 100, "threats:1: "),
    (b"# nothing but a comment\n", "threats:1: "),
    (names(2) + b"a b c\n" * 3, "3 lines are no names against 2 that are"),
    (b"com\nuk\n", "no names that may be blocked"),
])  # fmt: skip
def test_what_is_no_list_changes_nothing(rig, content, why):
    rig.update(names(10))
    before = rig.facts
    done = rig.update(content)
    assert (done.state, why in done.why, done.before, done.after) == (State.FAILED, True, 10, 10), done.why
    assert rig.in_force == names(10)
    assert (rig.facts.in_force, rig.facts.failures, rig.facts.failed) == (before.in_force, 1, 1)
    assert not list(rig.store.folder.glob(".draft*"))


def test_a_source_that_is_gone_and_back(rig):
    rig.update(names(10))
    rig.source.unlink()
    for failures in (1, 2, 3):
        assert rig.update().state is State.FAILED
        assert (rig.facts.failures, "cannot be read" in rig.facts.error) == (failures, True)
    assert rig.in_force == names(10)
    rig.update(names(10))
    assert (rig.facts.failures, rig.facts.failed, rig.facts.error) == (0, 3, "")


def test_never_fetched_and_no_source(rig):
    done = rig.update()
    assert (done.state, done.before, done.after, rig.in_force) == (State.FAILED, 0, 0, None)


@pytest.mark.parametrize("content", [names(11), names(2), b"<html>"])
def test_a_dry_run_changes_nothing(rig, content):
    rig.update(names(10))
    before = {path.name: path.read_bytes() for path in rig.store.folder.iterdir()}
    dry = rig.update(content, dry_run=True)
    assert {path.name: path.read_bytes() for path in rig.store.folder.iterdir()} == before
    wet = rig.update(content)
    assert (dry.state, dry.before, dry.after) == (wet.state, wet.before, wet.after)


def test_only_the_pinned_content(rig):
    rig.configure(sha256=hashlib.sha256(names(10)).hexdigest())
    assert rig.update(names(10)).state is State.PUBLISHED
    done = rig.update(names(11))
    assert (done.state, "SHA-256" in done.why, rig.in_force) == (State.FAILED, True, names(10))


def test_a_damaged_copy_is_fetched_anew(rig):
    rig.update(names(10))
    rig.store.path(rig.facts.in_force).write_bytes(b"evil.example\n")
    assert rig.in_force is None
    assert rig.update().state is State.PUBLISHED
    assert rig.in_force == names(10)


def test_a_folder_that_cannot_be_written(rig):
    (rig.state / "feeds").write_text("in the way")
    done = rig.update(names(10))
    assert (done.state, "cannot be written" in done.why) == (State.FAILED, True)


def test_names_that_must_resolve_are_left_out(rig):
    must = rig.state.parent / "lists"
    must.mkdir()
    (must / "must_resolve.yaml").write_text("must_resolve: [{value: bank.example, why: money}]\n")
    rig.config = rig.config.model_copy(update={"lists": rig.config.lists.model_copy(update={"directories": (must,)})})
    done = rig.update(names(3) + b"bank.example\n")
    assert (done.state, done.after, done.rejected.refused) == (State.PUBLISHED, 3, 1)
    assert "which must resolve: money" in done.rejected.samples[0]


def test_over_https(tmp_path, publisher, authority):
    content = names(10)

    def page(request):
        if request.headers.get("If-None-Match") == '"1"':
            request.say(304)
        else:
            request.say(200, content, ETag='"1"')

    publisher.pages["/list"] = page
    rig = Rig(tmp_path, publisher.url("/list"))
    rig.fetch["ca_file"] = str(authority.file)
    rig.configure()
    assert rig.update().state is State.PUBLISHED
    assert rig.update().state is State.UNCHANGED
    assert [headers.get("If-None-Match") for _, headers in publisher.asked] == [None, '"1"']
    rig.store.path(rig.facts.in_force).write_bytes(b"evil.example\n")
    assert rig.update().state is State.PUBLISHED  # a damaged copy is no reason to say that we have it
    assert [headers.get("If-None-Match") for _, headers in publisher.asked][2:] == [None]
    publisher.pages["/list"] = lambda request: request.say(500)
    with stamina.set_testing(True):
        assert rig.update().state is State.FAILED
    assert rig.in_force == content


def test_the_same_content_from_a_source_without_validators(tmp_path, publisher, authority):
    publisher.pages["/list"] = names(10)
    rig = Rig(tmp_path, publisher.url("/list"))
    rig.fetch["ca_file"] = str(authority.file)
    rig.configure()
    assert rig.update().state is State.PUBLISHED
    publisher.pages["/list"] = lambda request: request.say(200, names(10), ETag='"2"')
    assert rig.update().state is State.UNCHANGED
    assert rig.facts.in_force.etag == '"2"'


def test_another_format_in_the_configuration_begins_anew(rig):
    rig.update(names(10))
    rig.configure(format="hosts")
    content = b"".join(b"0.0.0.0 " + line + b"\n" for line in names(12, "other").split())
    assert rig.update(content).state is State.PUBLISHED
