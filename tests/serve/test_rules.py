"""Rules that follow what is in force, when something is in the way. The rest is tests/lab/test_frame.py's."""

from types import SimpleNamespace

import pytest

from blocker.egress import apply, status
from blocker.egress.apply import Table
from blocker.egress.precedence import Precedence
from blocker.errors import ArtifactError, KernelError
from blocker.serve import rules
from blocker.serve.excepted import Standing
from blocker.serve.rules import Rules


def standing(number):
    return Standing(f"generation-{number}", "", 0.0, {})


class Rig:
    """Rules over a kernel that holds a digest, and generations that may not open."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.held = ""
        self.broken: Exception | None = None
        self.refusing: Exception | None = None
        self.replaced = []
        self.flowtables = []
        self.rules = Rules(folder, self.replaced.append, Precedence())
        monkeypatch.setattr(rules.Generation, "open", self.open)
        monkeypatch.setattr(
            rules, "planned", lambda config, *_: SimpleNamespace(digest=config.name, static={}, rules=())
        )
        monkeypatch.setattr(apply, "apply", self.apply)
        monkeypatch.setattr(apply, "flowtables", lambda: self.flowtables)
        monkeypatch.setattr(apply, "table", lambda: Table(self.held, *[frozenset()] * 3, {"packets": 1}))

    def open(self, said, _before):
        if self.broken is not None:
            raise self.broken
        config = SimpleNamespace(egress=SimpleNamespace(enabled=True), name=said.generation)
        return SimpleNamespace(config=config, clients=None, index=None, servers=())

    def apply(self, wanted):
        if self.refusing is not None:
            raise self.refusing
        self.held = wanted.digest

    def step(self, number=0):
        if number:
            self.rules.adopt(standing(number))
        self.rules.step()
        return status.read(self.folder)


@pytest.fixture
def rig(tmp_path, monkeypatch):
    return Rig(tmp_path, monkeypatch)


def test_what_cannot_be_opened_is_tried_until_it_can_and_said_all_the_while(rig):
    rig.step(1)
    rig.broken = ArtifactError("the disk is full")
    for _ in range(3):
        said = rig.step(2)
        assert (said.problem, rig.held) == ("the disk is full", "generation-1")
    assert said.failures == 3
    rig.broken = None
    assert (rig.step().problem, rig.held) == ("", "generation-2")


def test_what_the_kernel_refuses_is_tried_until_it_does_not(rig):
    rig.step(1)
    rig.refusing = KernelError("no room")
    for _ in range(3):
        assert (rig.step(2).problem, rig.held) == ("no room", "generation-1")
    rig.refusing = None
    assert (rig.step().problem, rig.held) == ("", "generation-2")
    assert len(rig.replaced) == 2


def test_rules_that_somebody_else_replaced_are_put_back(rig):
    rig.step(1)
    rig.held = "theirs"
    assert (rig.step().failures, rig.held, len(rig.replaced)) == (1, "generation-1", 2)
    assert (rig.step().packets, len(rig.replaced)) == ({"packets": 1}, 2)


def test_flowtables_are_said(rig, capfd):
    rig.flowtables = ["inet fw4 fast"]
    rig.step(1)
    assert "inet fw4 fast" in capfd.readouterr().err


def test_the_same_again_is_no_news(rig):
    rig.step(1)
    rig.step(1)
    assert len(rig.replaced) == 1
