"""What is kept of rollouts: whole or not at all, and if it cannot be read nothing is enforced for anybody."""

import os
import threading

import pytest

from blocker.config import Config, Stage
from blocker.errors import RolloutError
from blocker.rollout import plan, state
from blocker.rollout.plan import at

CONFIG = Config.model_validate(
    {"rollout": {"plans": [{"name": "a", "app": "tiktok", "stage": "all"}, {"name": "b", "file": "b.txt"}]}}
)
A, B = CONFIG.rollout.plans
BOTH = frozenset("ab")


def stages(folder):
    return {name: str(where) for name, where in state.positions(CONFIG, state.read(folder)).items()}


def test_nothing_is_moved_yet(tmp_path):
    assert stages(tmp_path) == {"a": "all", "b": "shadow"}
    assert state.read(tmp_path).history == ()
    assert state.in_force(Config(), tmp_path / "nowhere") == Config()


def test_moves_are_kept_with_who_and_why(tmp_path):
    state.move(tmp_path, "b", at(B, Stage.PERCENT, by="ada", why="so far so good", since=5.0, percent=20), keep=BOTH)
    state.move(tmp_path, "a", at(A, Stage.SHADOW, by="bob", why="too early", since=6.0), keep=BOTH)
    assert stages(tmp_path) == {"a": "shadow", "b": "percent 20"}
    assert [plan.stage for plan in state.in_force(CONFIG, tmp_path).rollout.plans] == [Stage.SHADOW, Stage.PERCENT]
    first, second = state.read(tmp_path).history
    assert first == {"rollout": "b", "stage": "percent 20", "since": 5.0, "by": "ada", "why": "so far so good"}
    assert second["by"] == "bob"
    state.move(tmp_path, "a", at(A, Stage.ALL, by="bob", why="now", since=7.0), keep=frozenset("a"))
    assert set(state.read(tmp_path).positions) == {"a"}  # b is no rollout any more
    assert state.positions_in(state.said(state.read(tmp_path).positions)) == state.read(tmp_path).positions


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"positions": [], "history": []}', b'{"positions": {"a": {}}, "history": []}',
     b'{"positions": {"a": {"stage": "half"}}, "history": []}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_a_damaged_file_holds_all_of_them_in_shadow(tmp_path, content):
    (tmp_path / state.FILE).write_bytes(content)
    assert stages(tmp_path) == {"a": "shadow", "b": "shadow"}
    where = state.positions(CONFIG, state.read(tmp_path))["a"]
    assert (where.returned, where.by) == (True, plan.ITSELF)
    assert "is damaged; remove it" in where.why
    state.move(tmp_path, "a", at(A, Stage.ALL, by="ada", why="mended"), keep=BOTH)
    assert stages(tmp_path) == {"a": "all", "b": "shadow"}


def test_one_that_cannot_be_read_too(tmp_path):
    (tmp_path / state.FILE).mkdir()
    assert stages(tmp_path) == {"a": "shadow", "b": "shadow"}
    assert "cannot be read" in state.read(tmp_path).damaged


def test_what_cannot_be_written_says_so(tmp_path):
    with pytest.raises(RolloutError, match="Start the blocker once"):
        state.move(tmp_path / "nowhere", "a", at(A, Stage.ALL, by="ada", why="why"), keep=BOTH)
    with pytest.raises(RolloutError, match="cannot be written"):
        state.write_hits(tmp_path / "nowhere", {})


def test_writers_take_turns(tmp_path):
    def move(name):
        for _ in range(20):
            state.move(tmp_path, "a", at(A, Stage.ALL, by=name, why="why"), keep=BOTH)

    pid = os.fork()
    if not pid:
        try:
            move("child")
        finally:
            os._exit(0)
    thread = threading.Thread(target=move, args=("parent",))
    thread.start()
    thread.join()
    os.waitpid(pid, 0)
    by = [entry["by"] for entry in state.read(tmp_path).history]
    assert (by.count("child"), by.count("parent")) == (20, 20)
    assert [each.name for each in tmp_path.iterdir()] == [state.FILE]


def test_one_that_went_back_is_not_forgotten_with_its_plan(tmp_path):
    back = at(B, Stage.SHADOW, by=plan.ITSELF, why="hits", since=5.0, returned=True)
    state.move(tmp_path, "b", back, keep=BOTH)
    state.move(tmp_path, "a", at(A, Stage.ALL, by="ada", why="now"), keep=frozenset("a"))
    assert set(state.positions(Config(), state.read(tmp_path))) == {"b"}
    assert [each.about for each in state.in_force(Config(), tmp_path).rollout.plans] == ["file b.txt"]
    state.move(tmp_path, "b", at(B, Stage.ALL, by="ada", why="looked at"), keep=frozenset("a"))
    assert state.in_force(Config(), tmp_path) == Config()


def test_the_history_ends_somewhere(tmp_path):
    for number in range(205):
        state.move(tmp_path, "a", at(A, Stage.ALL, by="ada", why=str(number)), keep=BOTH)
    assert [entry["why"] for entry in state.read(tmp_path).history] == [str(number) for number in range(5, 205)]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b'{"a": [1, ["x"]]}'])
def test_hits_that_cannot_be_read_begin_anew(tmp_path, content):
    assert state.read_hits(tmp_path) == {}
    state.write_hits(tmp_path, {"a": (3, [1.0, 2.0])})
    assert state.read_hits(tmp_path) == {"a": (3, [1.0, 2.0])}
    (tmp_path / state.HITS).write_bytes(content)
    assert state.read_hits(tmp_path) == {}
