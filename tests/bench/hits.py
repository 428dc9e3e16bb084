"""What an answer from the cache costs: 10,000 names, every one of them in every server's cache."""

from typing import Final

from tests.bench.figures import Row
from tests.bench.lab import Lab, compared, say
from tests.bench.load import write_names
from tests.bench.peers import PEERS

_NAMES: Final = 10_000


def bench(lab: Lab) -> list[Row]:
    """Return a row for each server."""
    say("hits: 10,000 names from the cache")
    names = write_names(lab.folder / "hits.names", (f"www.name{number}.com" for number in range(_NAMES)))
    servers = [lab.start_ours("ours"), *(lab.start(name, recipe) for name, recipe in PEERS.items())]
    for server in servers:
        lab.load(server, names, once=True, outstanding=50, seconds=10.0).result()
    figures = lab.interleaved(servers, lambda server, _: lab.cost(server, names))
    for server in servers:
        server.stop()
    return compared("hits", figures, "ours", PEERS, goals={"unbound": 1.0})
