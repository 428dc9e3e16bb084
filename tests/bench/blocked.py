"""What an answer to a blocked name costs: 1,000 names, metrics on, with and without the attempt log."""

import re
import urllib.request

from tests.bench.figures import Ratio, Row
from tests.bench.lab import BLOCKED, Lab, against, say
from tests.bench.load import write_names
from tests.bench.peers import PEERS
from tests.bench.process import free_port

_WRITTEN = re.compile(r'^blocker_(blocked|events_dropped)_total(?:\{.*\})? ([0-9.e+]+)$', re.MULTILINE)
_RATE = 20_000  # queries/s at which every attempt finds its way into the log


def bench(lab: Lab) -> list[Row]:
    """Return a row for each server."""
    say("blocked: 1,000 blocked names")
    names = write_names(lab.folder / "blocked.names", BLOCKED)
    metrics = free_port()
    logging = lab.start_ours("ours, attempt log", attempts=True, metrics=metrics)
    servers = [lab.start_ours("ours"), logging, *(lab.start(name, recipe) for name, recipe in PEERS.items())]
    figures = lab.interleaved(servers, lambda server, _: lab.cost(server, names))
    rows = []
    for name in ("ours", logging.name):
        for peer in against(figures):
            ratio = Ratio(figures[name], figures[peer])
            judged = peer == "unbound"
            rows.append(Row(
                "blocked", f"{name}; {peer} {figures[peer].text('us')}", figures[name].text("us"), ratio.text(peer),
                "≤ 1.00 × unbound" if judged else "", ratio.value <= 1 if judged else None,
            ))  # fmt: skip
    rows.append(Row("blocked", "attempts not logged at full load", _dropped(metrics)))
    for server in servers:
        server.stop()
    return rows


def _dropped(port: int) -> str:
    """Return which share of attempts the log could not take."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        found: dict[str, float] = {}
        for word, value in _WRITTEN.findall(reply.read().decode()):
            found[word] = found.get(word, 0.0) + float(value)
    return f"{found.get('events_dropped', 0.0) / max(1.0, found.get('blocked', 0.0)):.1%}"
