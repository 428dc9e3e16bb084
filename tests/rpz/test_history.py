"""Versions on disk: serials rise, steps lead from one to the next, a crash in between harms nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.rpz import history
from blocker.rpz.history import History

ORIGIN = names.from_text("rpz.example")


def lines(*owners):
    return [f"{owner} CNAME .\n" for owner in owners]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "zone"


def made(folder, *versions, ttl=60):
    found = History(folder, ORIGIN)
    for at, owners in enumerate(versions):
        found.publish(lines(*owners), ttl, 100 + at)
    return found


def test_a_version_is_what_was_published(folder):
    found = made(folder, "ab").current
    assert (found.serial, found.ttl, found.records, list(found.lines())) == (100, 60, 2, lines("a", "b"))


def test_the_same_again_is_no_new_version(folder):
    found = made(folder, "ab")
    assert not found.publish(lines("a", "b"), 60, 200)
    assert found.current.serial == 100


@pytest.mark.parametrize(("now", "serial"), [(200, 200), (100, 101), (5, 101)])
def test_serials_rise_even_when_the_clock_is_set_back(folder, now, serial):
    found = made(folder, "ab")
    assert found.publish(lines("a"), 60, now)
    assert found.current.serial == serial


def test_serials_go_round(folder):
    found = made(folder, "ab")
    for now, owners in (((1 << 31) + 50, "a"), ((1 << 32) - 1, "c"), (0, "d")):
        assert found.publish(lines(*owners), 60, now)
    assert found.current.serial == 0  # after 2^32 - 1 (RFC 1982 §3.1)
    again = History(folder, ORIGIN)
    assert (again.current.serial, list(again.current.lines())) == (0, lines("d"))
    assert again.publish(lines("e"), 60, 5)
    assert again.current.serial == 5


def test_steps_lead_from_each_version_to_the_current_one(folder):
    found = made(folder, "abc", "acd", "xacd")
    assert [(step.old, step.new) for step in found.since(100)] == [(100, 101), (101, 102)]
    assert [list(step.lines()) for step in found.since(100)] == [
        ["-b CNAME .\n", "+d CNAME .\n"], ["+x CNAME .\n"],
    ]  # fmt: skip
    assert found.since(99) is None


def test_everything_is_found_again(folder):
    before = made(folder, "abc", "acd")
    after = History(folder, ORIGIN)
    assert (after.current, after.deltas) == (before.current, before.deltas)


def test_another_ttl_changes_every_record_so_no_step_leads_there(folder):
    found = made(folder, "ab", "abc")
    assert found.publish(lines("a", "b", "c"), 30, 300)
    assert (found.current.ttl, found.deltas) == (30, ())


def test_only_so_many_steps_are_kept(folder):
    found = made(folder, *([str(at)] for at in range(history.KEPT + 5)))
    assert len(found.deltas) == history.KEPT
    assert len(list(folder.glob("*.delta"))) == history.KEPT
    assert len(list(folder.glob("*.zone"))) <= 2  # the current one, and one that a transfer may be about to open


def test_a_crash_between_step_and_version_leaves_the_version_before(folder, monkeypatch):
    found = made(folder, "ab")
    monkeypatch.setattr(history, "settle_folder", lambda _folder: None)
    real = history.Path.replace

    def dies(self, target):
        if self.suffix == ".draft" and str(target).endswith(".zone"):
            raise OSError("power cut")
        return real(self, target)

    monkeypatch.setattr(history.Path, "replace", dies)
    with pytest.raises(OSError, match="power cut"):
        found.publish(lines("a"), 60, 200)
    monkeypatch.undo()
    again = History(folder, ORIGIN)
    assert (again.current.serial, again.deltas) == (100, ())
    assert sorted(each.name for each in folder.iterdir()) == ["100.zone"]


def test_a_failure_while_lines_are_made_changes_nothing(folder):
    found = made(folder, "ab")

    def broken():
        yield from lines("a")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        found.publish(broken(), 60, 200)
    assert found.current.serial == 100
    assert [each.name for each in folder.iterdir()] == ["100.zone"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"$TTL 60\n" * 5, b"; something else\n"])
def test_a_damaged_version_is_passed_over(folder, content):
    made(folder, "ab")
    (folder / "999.zone").write_bytes(content)
    assert History(folder, ORIGIN).current.serial == 100


@given(st.lists(st.integers(0, 30), unique=True), st.lists(st.integers(0, 30), unique=True))
def test_a_step_turns_one_version_into_the_next(tmp_path_factory, old, new):
    found = made(tmp_path_factory.mktemp("zone"), map(str, old), map(str, new))
    before = set(lines(*map(str, old)))
    for step in found.since(100) or ():
        for line in step.lines():
            (before.remove if line[0] == "-" else before.add)(line[1:])
    assert before == set(lines(*map(str, new)))


def test_too_many_changes_are_no_step(folder, monkeypatch):
    monkeypatch.setattr(history, "_LARGEST", 3)
    found = made(folder, "abcd", "efgh", "efghi")
    assert [(step.old, step.new) for step in found.deltas] == [(101, 102)]
    assert found.current.records == 5
