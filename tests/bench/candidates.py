"""What the search for candidates costs: each query's record in the worker, and all that reads along, from the cache."""

from pathlib import Path
from typing import Final

from tests.bench.errors import BenchError
from tests.bench.figures import Ratio, Row, Series
from tests.bench.lab import Lab, must_be_sound, say
from tests.bench.load import write_names
from tests.bench.process import Running, spent

_NAMES: Final = 10_000
_WORKER: Final = b"blocker: worker"  # what a worker calls itself


def bench(lab: Lab) -> list[Row]:
    """Return what a query costs the worker with and without the search, and what it costs all processes."""
    say("candidates: 10,000 names from the cache, with and without the search")
    names = write_names(lab.folder / "candidates.names", (f"www.name{number}.com" for number in range(_NAMES)))
    servers = [lab.start_ours("without"), lab.start_ours("with", candidates=True)]
    for server in servers:
        lab.load(server, names, once=True, outstanding=50, seconds=10.0).result()
    altogether: dict[str, list[float]] = {server.name: [] for server in servers}

    def measure(server: Running, _turn: int) -> float:
        before = server.cpu()
        result = lab.load(server, names).result()
        server.settle()
        after = server.cpu()
        must_be_sound(server, result)
        altogether[server.name].append(spent(before, after) / 1000 / result.completed)
        worker = _worker(server)
        return (after[worker] - before[worker]) / 1000 / result.completed

    figures = lab.interleaved(servers, measure)
    for server in servers:
        server.stop()
    whole = {name: Series.of(values) for name, values in altogether.items()}
    return [
        Row("candidates", "a query in the worker, without the search", figures["without"].text("us")),
        Row(
            "candidates", "a query in the worker, with the search", figures["with"].text("us"),
            Ratio(figures["with"], figures["without"]).text("without"),
        ),
        Row(
            "candidates", "a query in all processes, with the search", whole["with"].text("us"),
            Ratio(whole["with"], whole["without"]).text("without"),
        ),
    ]  # fmt: skip


def _worker(server: Running) -> int:
    """Return the process id of the only worker."""
    found = [pid for pid in server.pids() if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(_WORKER)]
    if len(found) != 1:
        raise BenchError(f"{server.name}: {len(found)} workers, not one")
    return found[0]
