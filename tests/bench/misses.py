"""What a forwarded query costs: names that were never asked before, in no round and of no server twice."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.figures import Row
from tests.bench.lab import Lab, compared, say
from tests.bench.load import write_names
from tests.bench.peers import PEERS

_PER_SECOND: Final = 60_000  # names: no server here asks for more


def bench(lab: Lab) -> list[Row]:
    """Return a row for each server."""
    say("misses: names that nobody has asked before")
    servers = [lab.start_ours("ours"), *(lab.start(name, recipe) for name, recipe in PEERS.items())]
    count = int(_PER_SECOND * lab.seconds)
    # Every server meets a file once: what it has cached of former files is of no use to it.
    files = [_fresh(lab, turn, count) for turn in range(lab.rounds)]
    figures = lab.interleaved(servers, lambda server, turn: lab.cost(server, files[turn], once=True))
    for server in servers:
        server.stop()
    return compared("misses", figures, "ours", PEERS, goals={"unbound": 0.7})


def _fresh(lab: Lab, turn: int, count: int) -> Path:
    return write_names(lab.folder / f"misses{turn}.names", names(turn, count))


def names(turn: int, count: int) -> Iterator[str]:
    """Return `count` names that no other `turn` has."""
    chosen = random.Random(turn)
    for number in range(count):
        yield f"w{number}r{turn}.zone{chosen.randrange(1_000_000)}.com"
