"""What is kept over restarts, decisions of people, and a file that is damaged."""

from dataclasses import replace

import pytest

from blocker.candidates import store as module
from blocker.candidates.finding import Evidence, Finding, Kind
from blocker.candidates.store import Counts, State, Store
from blocker.errors import CandidateError

BRAND = Evidence(Kind.BRAND, 0.6, "a word")
ALIAS = Evidence(Kind.ALIAS, 0.9, "an alias")
FOUND = Finding("new.example", "tiktok", (BRAND,), ("a.new.example",), 3)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def states(store):
    return {(each.finding.name, each.finding.app): each.state for each in store.all()}


def test_nothing_is_there_until_something_is_found(store):
    assert store.all() == ()
    assert store.counts() == Counts()
    assert not store.path.exists()


def test_a_finding_is_new_once(store):
    assert store.put([FOUND], 10.0) == (FOUND,)
    stronger = replace(FOUND, evidence=(ALIAS, BRAND), clients=4)
    assert store.put([stronger], 20.0) == ()
    (candidate,) = Store(store.path.parent).all()
    assert (candidate.finding, candidate.state, candidate.first, candidate.last) == (stronger, State.OPEN, 10.0, 20.0)
    assert store.counts() == Counts({"tiktok": 1}, {("tiktok", "brand"): 1, ("tiktok", "alias"): 1}, 20.0, 0)


def test_what_was_missed_adds_up(store):
    store.put([], 10.0, missed=5)
    store.put([], 20.0, missed=7)
    assert (store.counts().looked, store.counts().missed) == (20.0, 12)


@pytest.mark.parametrize(("decision", "again", "state"), [
    (State.DISMISSED, FOUND, State.DISMISSED),
    (State.DISMISSED, replace(FOUND, evidence=(Evidence(Kind.BRAND, 0.9, "more"),)), State.DISMISSED),
    (State.DISMISSED, replace(FOUND, evidence=(ALIAS, BRAND)), State.OPEN),  # evidence of another kind
    (State.ACCEPTED, replace(FOUND, evidence=(ALIAS, BRAND)), State.ACCEPTED),
])  # fmt: skip
def test_a_decision_holds(store, decision, again, state):
    store.put([FOUND], 10.0)
    store.decide("new.example", "tiktok", decision, "Jane", "why", 15.0)
    assert store.put([again], 20.0) == ((again,) if state is State.OPEN else ())
    assert states(store) == {("new.example", "tiktok"): state}
    assert [(each.by, each.reason, each.decided) for each in store.all()] == [("Jane", "why", 15.0)]


def test_what_was_reopened_and_dismissed_again_stays_dismissed(store):
    both = replace(FOUND, evidence=(ALIAS, BRAND))
    store.put([both], 10.0)
    store.decide("new.example", "tiktok", State.DISMISSED, "Jane", "why", 15.0)
    assert store.put([both], 20.0) == ()


def test_what_lists_have_meanwhile_waits_no_longer(store):
    store.put([FOUND, replace(FOUND, name="b.example"), replace(FOUND, name="c.example")], 10.0)
    store.decide("c.example", "tiktok", State.DISMISSED, "Jane", "why", 15.0)
    assert store.forget({"new.example", "c.example"}.__contains__) == 1
    assert states(store) == {("b.example", "tiktok"): State.OPEN, ("c.example", "tiktok"): State.DISMISSED}


def test_one_that_was_never_found_may_be_decided(store):
    store.decide("other.example", "tiktok", State.ACCEPTED, "Jane", "why", 15.0)
    assert states(store) == {("other.example", "tiktok"): State.ACCEPTED}
    assert store.put([replace(FOUND, name="other.example")], 20.0) == ()


def test_the_weakest_make_room(store, monkeypatch):
    monkeypatch.setattr(module, "MAX_OPEN", 2)
    store.decide("done.example", "tiktok", State.DISMISSED, "Jane", "why", 1.0)
    store.put([FOUND, replace(FOUND, name="strong.example", evidence=(ALIAS,))], 10.0)
    store.put([replace(FOUND, name="stronger.example", evidence=(ALIAS, BRAND))], 20.0)
    assert [each.finding.name for each in store.all()] == ["stronger.example", "strong.example", "done.example"]


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be looked at" * 100])
def test_a_damaged_file_is_told_and_set_aside(store, content):
    store.path.write_bytes(content)
    with pytest.raises(CandidateError, match="damaged") as caught:
        store.put([FOUND], 10.0)
    assert caught.value.damaged
    assert store.set_aside().read_bytes() == content
    assert store.put([FOUND], 10.0) == (FOUND,)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CandidateError, match="cannot be used") as caught:
        Store(tmp_path / "nowhere").put([FOUND], 1.0)
    assert not caught.value.damaged


def test_the_file_is_not_for_everybody(store):
    store.put([FOUND], 1.0)
    assert store.path.stat().st_mode & 0o007 == 0
