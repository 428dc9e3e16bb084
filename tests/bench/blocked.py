"""What an answer to a blocked name costs: 1,000 names, metrics on, with and without the attempt log."""

import re
import urllib.request
from typing import Final

from tests.bench.figures import Row
from tests.bench.lab import BLOCKED, Lab, compared, say
from tests.bench.load import write_names
from tests.bench.peers import PEERS, unbound_logging
from tests.bench.process import free_port

_COUNTER: Final = re.compile(r"^blocker_(blocked|events_dropped)_total(?:\{.*\})? ([0-9.e+]+)$", re.MULTILINE)


def bench(lab: Lab) -> list[Row]:
    """Return a row for each server, against ours without the attempt log, and against ours with it."""
    say("blocked: 1,000 blocked names")
    names = write_names(lab.folder / "blocked.names", BLOCKED)
    metrics = free_port()
    ours, logging = lab.start_ours("ours"), lab.start_ours("ours logging", attempts=True, metrics=metrics)
    others = [lab.start(name, recipe) for name, recipe in PEERS.items()]
    loud = lab.start("unbound logging", unbound_logging)
    servers = [ours, logging, loud, *others]
    figures = lab.interleaved(servers, lambda server, _: lab.cost(server, names))
    dropped = _dropped(metrics)
    for server in servers:
        server.stop()
    return [
        *compared("blocked", figures, ours.name, PEERS, goals={"unbound": 1.0}),
        *compared("blocked", figures, logging.name, ("unbound", loud.name)),
        Row("blocked", "attempts that the log had no room for", dropped, goal="0.0%", met=dropped == "0.0%"),
    ]


def _dropped(port: int) -> str:
    """Return the share of attempts that the log could not take."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        found: dict[str, float] = {}
        for word, value in _COUNTER.findall(reply.read().decode()):
            found[word] = found.get(word, 0.0) + float(value)
    return f"{found['events_dropped'] / found['blocked']:.1%}"
