"""What it takes to move a rollout about a million names: from the decision to the first answer that shows it."""

import itertools
import time
from pathlib import Path
from typing import Final

import yaml

from blocker.config import Plan, Stage
from blocker.rollout import plan, state
from tests.bench import million, ours
from tests.bench.errors import BenchError
from tests.bench.figures import Row, Series
from tests.bench.lab import Lab, say
from tests.bench.peers import SINKHOLE
from tests.bench.process import ask, free_port

_MOVES: Final = 20
_IN_FORCE: Final = 2.0  # seconds: the goal
_PLAN: Final = {"name": "bench", "file": "bench.txt"}


def bench(lab: Lab) -> list[Row]:
    """Return a row for the moves."""
    say("rollout: moves of 1,000,000 names")
    folder = lab.new_folder("rollout")
    names = list(million.names())
    lists = ours.write_list(folder / "lists", names)
    port = free_port()
    path = ours.configure(folder, port, lab.responder, lists=lists, workers=2)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(config | {"rollout": {"plans": [_PLAN]}}), encoding="utf-8")
    server = lab.run_ours("ours", path, port)
    server.wait_ready("tiktok.com", SINKHOLE)
    index = list((folder / "state").glob("lists-*.index"))
    stages = itertools.cycle((Stage.ALL, Stage.SHADOW))
    took = [_move(folder, port, names[number], next(stages)) for number in range(4 if lab.quick else _MOVES)]
    if list((folder / "state").glob("lists-*.index")) != index:
        raise BenchError("a move has compiled lists")
    server.stop()
    slowest = max(took)
    return [
        Row("rollout", "a move of 1,000,000 names in force after", Series.of(took).text("s"),
            f"{slowest:.2f} s at most", f"≤ {_IN_FORCE:.2f} s", slowest <= _IN_FORCE),
    ]  # fmt: skip


def _move(folder: Path, port: int, name: str, stage: Stage) -> float:
    """Move the rollout, and return the seconds until `name` is answered so."""
    began = time.monotonic()
    to = plan.at(Plan.model_validate(_PLAN), stage, by="bench", why="bench", since=time.time())
    state.move(folder / "state", "bench", to, keep=frozenset({"bench"}))
    ours.reload(folder)
    if ((seen := ask(name, port)) == SINKHOLE) is not (stage is Stage.ALL):
        raise BenchError(f"after the move to {stage}, {name} is {seen}")
    return time.monotonic() - began
