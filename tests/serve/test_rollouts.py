"""The watch over rollouts: what counts as a hit, when one is taken back, and that it comes into force."""

import json

import pytest

from blocker.config import Config
from blocker.errors import RolloutError
from blocker.events import ATTEMPT
from blocker.rollout import state
from blocker.serve import generation
from blocker.serve.rollouts import Rollouts
from blocker.sinks.region import Record

NOW = 1_000_000.0
CLIENT = bytes((192, 0, 2, 1))


class Watch:
    """The watch, with the test as the supervisor."""

    def __init__(self, tmp_path, **plan):
        (tmp_path / "lists").mkdir()
        (tmp_path / "lists" / "trial.txt").write_text("new.example\n")
        self.folder = tmp_path / "state"
        self.folder.mkdir()
        plan = {"name": "trial", "file": "trial.txt", "stage": "all", "return_after": 3, "within": 60} | plan
        self.over = {
            "lists.built_in": False, "lists.directories": [tmp_path / "lists"], "process.state_dir": self.folder,
            "upstream.servers": ["192.0.2.53"], "rollout.plans": [plan],
        }  # fmt: skip
        self.number = self.asked = 0
        self.now = NOW
        self.refuses = False
        self.watch = self.made()

    def made(self):
        return Rollouts(self.reload, lambda: self.now)

    def prepare(self):
        self.number += 1
        self.said = generation.prepare(None, self.over, self.number)
        self.watch.adopt(self.said["path"])

    def reload(self):
        self.asked += 1
        if self.refuses:
            return {"ok": False, "problems": ["no"]}
        self.prepare()
        return {"ok": True}

    @property
    def stage(self):
        return self.said["rollouts"][0]["words"]


@pytest.fixture
def watch(tmp_path):
    made = Watch(tmp_path)
    made.prepare()
    return made


def record(when=NOW, client=CLIENT, **said):
    line = {"qname": "www.canada.ca", "entry": "trial.txt:1", "rollout": "trial"} | said
    tail = json.dumps(line, separators=(",", ":"))[1:-1].encode()
    return Record(ATTEMPT, when, client, tail)


@pytest.mark.parametrize(
    ("said", "hit"),
    [
        ({}, True),  # a name that must resolve
        ({"qname": "deep.www.canada.ca"}, True),  # or lies below one
        ({"qname": "www.example", "via": "www.canada.ca"}, True),  # or leads to one
        ({"qname": "www.example", "via": "203.0.113.1"}, False),
        ({"qname": "www.example"}, False),
        ({"qname": "a.akamaized.net"}, False),  # below a parent that strangers share
        ({"rollout": "other"}, False),  # of a rollout that is no more
        ({"qname": 'x"rollout":"trial"', "rollout": "gone"}, False),
    ],
)
def test_what_is_a_hit(watch, said, hit):
    watch.watch.heed([record(**said)])
    counts = watch.watch.counts()["trial"]
    assert counts.must_resolve == hit
    assert counts.clients == (said.get("rollout") in (None, "trial"))


def test_what_no_rollout_is_about_is_not_read(watch):
    watch.watch.heed([Record(ATTEMPT, NOW, CLIENT, b"not even JSON")])
    assert watch.watch.counts()["trial"].clients == 0


def test_too_many_hits_take_it_back(watch):
    watch.watch.heed([record(NOW + at) for at in (0, 1)])
    watch.watch.look()
    assert (watch.stage, watch.asked) == ("all", 0)
    watch.watch.heed([record(NOW + 2, client=bytes((192, 0, 2, 2)))])
    watch.now += 3
    watch.watch.look()
    assert (watch.stage, watch.asked) == ("shadow", 1)
    (said,) = watch.said["rollouts"]
    assert (said["returned"], said["by"], said["since"]) == (True, "blocker", NOW + 3)
    assert said["why"] == "3 hits on names that must resolve within 60 s: www.canada.ca"
    watch.watch.heed([record(NOW + 4 + at) for at in range(9)])  # in shadow they are counted, and that is all
    watch.watch.look()
    assert watch.asked == 1
    counts = watch.watch.counts()["trial"]
    assert (counts.must_resolve, counts.clients, counts.examples) == (12, 2, {"www.canada.ca": "trial.txt:1"})


def test_a_return_is_not_lifted_by_a_file_that_is_gone(watch):
    watch.watch.heed([record(NOW + at) for at in range(3)])
    watch.watch.look()
    (watch.folder / state.FILE).unlink()
    for _ in range(3):
        watch.now += 3
        watch.watch.look()
    assert watch.stage == "shadow"
    assert state.read(watch.folder).positions["trial"].returned


def test_hits_before_a_move_are_settled(watch):
    watch.now = NOW + 9
    watch.watch.heed([record(NOW + at) for at in (0, 1)])
    moved = state.plan.at(Config.model_validate({"rollout": {"plans": watch.over["rollout.plans"]}}).rollout.plans[0],
                          state.Stage.PERCENT, by="ada", why="why", since=NOW + 5)  # fmt: skip
    state.move(watch.folder, "trial", moved, keep=frozenset({"trial"}))
    watch.watch.look()
    assert (watch.stage, watch.asked) == ("percent 10", 1)  # a move of a person's that nobody asked to read
    watch.watch.heed([record(NOW + 6)])
    watch.watch.look()
    assert watch.stage == "percent 10"
    watch.watch.heed([record(NOW + at) for at in (7, 8)])
    watch.watch.look()
    assert watch.stage == "shadow"


def test_hits_count_though_the_clock_was_set_back_after_a_move(watch):
    """Somebody moved it while the clock stood a year ahead."""
    moved = state.plan.at(Config.model_validate({"rollout": {"plans": watch.over["rollout.plans"]}}).rollout.plans[0],
                          state.Stage.ALL, by="ada", why="why", since=NOW + 3e7)  # fmt: skip
    state.move(watch.folder, "trial", moved, keep=frozenset({"trial"}))
    watch.watch.look()
    watch.watch.heed([record(NOW + at) for at in (0, 1, 2)])
    watch.watch.look()
    assert watch.stage == "shadow"


def test_a_return_is_asked_for_until_it_is_in_force(watch):
    watch.refuses = True
    watch.watch.heed([record(NOW + at) for at in range(3)])
    for step in range(9):
        watch.now = NOW + step
        watch.watch.look()
    assert 3 <= watch.asked <= 5  # not all the time
    watch.refuses = False
    watch.now += 2
    watch.watch.look()
    assert watch.stage == "shadow"


def test_a_return_that_cannot_be_written_is_tried_again(watch, monkeypatch):
    def refuse(*_args, **_more):
        raise RolloutError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(state, "move", refuse)
        watch.watch.heed([record(NOW + at) for at in range(3)])
        watch.watch.look()
    assert watch.stage == "all"
    watch.now += 3
    watch.watch.look()
    assert watch.stage == "shadow"


def test_one_that_takes_over_counts_on_and_finishes(watch):
    watch.watch.heed([record(NOW + at) for at in (0, 1)])
    watch.watch.look()
    watch.watch = watch.made()
    watch.watch.heed([record(NOW + 2)])  # before it knows what is in force
    watch.watch.adopt(watch.said["path"])
    watch.watch.look()
    assert watch.stage == "shadow"


def test_hits_that_cannot_be_kept_do_not_end_it(watch, monkeypatch):
    def refuse(*_args):
        raise RolloutError("no space left")

    monkeypatch.setattr(state, "write_hits", refuse)
    watch.watch.heed([record(NOW + at) for at in range(3)])
    watch.watch.look()
    assert watch.stage == "shadow"


def test_without_rollouts_there_is_nothing_to_do(tmp_path):
    made = Watch(tmp_path)
    made.over["rollout.plans"] = []
    made.prepare()
    made.watch.heed([record()])
    made.watch.look()
    assert (made.asked, made.watch.counts()) == (0, {})


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"config": {}, "rollouts": {"a": 1}, "lists": {}}'])
def test_a_generation_that_makes_no_sense_changes_nothing(watch, tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    watch.watch.adopt(str(path))
    assert set(watch.watch.counts()) == {"trial"}
