"""The place where measurements happen: a folder, cores, the responder, and everybody who runs, stopped at the end."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import ours, peers
from tests.bench.errors import BenchError
from tests.bench.figures import Ratio, Row, Series
from tests.bench.load import Dnsperf, Result
from tests.bench.machine import Watch
from tests.bench.ours import Built
from tests.bench.process import Running, free_port, spent

BLOCKED: Final = tuple(f"blocked{number}.com" for number in range(1000))
_RMEM_MAX: Final = Path("/proc/sys/net/core/rmem_max")
_RMEM: Final = 8 << 20  # octets: bursts of dnsperf must fit into the servers' sockets
_PATIENCE: Final = 30.0  # seconds that a bench may wait for a quiet machine
_MAX_LOST: Final = 0.001  # share of queries; more, and the figure would be of another load


@dataclass(frozen=True, slots=True)
class Lab:
    """What every bench needs."""

    folder: Path
    built: Built
    stack: contextlib.ExitStack
    quick: bool
    server_cpus: str
    load_cpus: str
    responder: int  # port
    watch: Watch

    @property
    def rounds(self) -> int:
        """Return how often everything is measured."""
        return 3 if self.quick else 9

    @property
    def seconds(self) -> float:
        """Return how long one measurement takes."""
        return 1.0 if self.quick else 1.5

    def start(self, name: str, recipe: peers.Recipe) -> Running:
        """Start a peer and wait until it answers."""
        folder = self.new_folder(name)
        port = free_port()
        argv = recipe(folder, port, BLOCKED, self.responder)
        server = self.stack.enter_context(Running(name, argv, port, self.server_cpus, folder / "output"))
        server.wait_ready(BLOCKED[0], peers.SINKHOLE)
        server.wait_ready("ready.com", peers.ADDRESS)
        return server

    def start_ours(
        self, name: str, *, attempts: bool = False, metrics: int | None = None, candidates: bool = False
    ) -> Running:
        """Start the blocker with one worker, the same names blocked and metrics on."""
        folder = self.new_folder(name)
        port = free_port()
        lists = ours.write_list(folder / "lists", BLOCKED)
        log = str(folder / "attempts.jsonl") if attempts else "off"
        config = ours.configure(
            folder, port, self.responder,
            lists=lists, metrics=metrics or free_port(), attempts=log, candidates=candidates,
        )  # fmt: skip
        server = self.run_ours(name, config, port)
        server.wait_ready(BLOCKED[0], peers.SINKHOLE)
        server.wait_ready("ready.com", peers.ADDRESS)
        return server

    def run_ours(self, name: str, config: Path, port: int, cpus: str | None = None) -> Running:
        """Start the blocker with the configuration at `config`, and do not wait for it."""
        argv = self.built.command("run", "--config", str(config))
        return self.stack.enter_context(
            Running(name, argv, port, cpus or self.server_cpus, config.parent / "output", self.built.env)
        )

    def new_folder(self, name: str) -> Path:
        """Return a new folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name.replace(' ', '-')}-", dir=self.folder))

    def load(self, server: Running, names: Path, **options: object) -> Dnsperf:
        """Start dnsperf against `server`, once the machine is quiet."""
        self.watch.wait()
        options = {"cpus": self.load_cpus, "seconds": self.seconds, **options}
        return Dnsperf(server.port, names, self.folder / "dnsperf.out", **options)  # type: ignore[arg-type]

    def cost(self, server: Running, names: Path, *, once: bool = False) -> float:
        """Return the CPU microseconds that one query of `names` costs `server` at full load. Raises BenchError."""
        before = server.cpu()
        result = self.load(server, names, once=once).result()
        server.settle()
        cost = spent(before, server.cpu()) / 1000 / max(1, result.completed)
        say(f"  {server.name:22} {cost:7.2f} us  {result.qps:9.0f} q/s  {result.lost} lost  {dict(result.rcodes)}")
        must_be_sound(server, result)
        return cost

    def interleaved(self, servers: Sequence[Running], measure: Callable[[Running, int], float]) -> dict[str, Series]:
        """Measure all `servers` in turn, round after round, so that the machine's moods meet all of them."""
        found: dict[str, list[float]] = {server.name: [] for server in servers}
        for turn in range(self.rounds):
            say(f" round {turn + 1}")
            first = turn % len(servers)
            for server in (*servers[first:], *servers[:first]):
                found[server.name].append(measure(server, turn))
        return {name: Series.of(values) for name, values in found.items()}


Bench = Callable[[Lab], list[Row]]


def must_be_sound(server: Running, result: Result) -> None:
    """Raise BenchError if what was measured is not answering: errors are cheap, and losses too."""
    if result.rcodes.keys() != {"NOERROR"} or result.lost > _MAX_LOST * result.sent:
        raise BenchError(f"{server.name}: {result.lost} of {result.sent} lost, response codes {dict(result.rcodes)}")


@contextlib.contextmanager
def opened(built: Built, *, quick: bool) -> Iterator[Lab]:
    """Set up, and take everything down again."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("at least two cores are needed: one for the servers, one for the load")
    load = ",".join(map(str, cores[1:]))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="blocker-bench-")))
        stack.enter_context(_larger_buffers())
        os.sched_setaffinity(0, cores[1:])  # our own work must not disturb the servers'
        stack.callback(os.sched_setaffinity, 0, cores)
        port = free_port(peers.RESPONDER)
        responder = Running("responder", peers.responder(folder, port), port, load, folder / "responder.out")
        stack.enter_context(responder)
        responder.wait_ready("ready.com", peers.ADDRESS, host=peers.RESPONDER)
        yield Lab(folder, built, stack, quick, str(cores[0]), load, port, Watch(_PATIENCE / 4 if quick else _PATIENCE))


@contextlib.contextmanager
def _larger_buffers() -> Iterator[None]:
    """Let servers have large socket buffers, where we may say so."""
    former = _RMEM_MAX.read_text()
    try:
        if int(former) < _RMEM:
            _RMEM_MAX.write_text(str(_RMEM))
    except OSError:
        say("net.core.rmem_max cannot be raised: servers that ask for larger buffers may lose queries")
        yield
        return
    try:
        yield
    finally:
        _RMEM_MAX.write_text(former)


def compared(
    bench: str,
    figures: Mapping[str, Series],
    ours: str,
    others: Iterable[str],
    goals: Mapping[str, float] | None = None,
) -> list[Row]:
    """Return a row for `ours`, and one for each of the others with the ratio of ours to it, and its goal."""
    rows = [Row(bench, ours, figures[ours].text("us"))]
    for name in others:
        ratio = Ratio(figures[ours], figures[name])
        goal = (goals or {}).get(name)
        rows.append(Row(
            bench, f"{ours} against {name}", figures[name].text("us"), ratio.text(name),
            f"≤ {goal:.2f} × {name}" if goal else "", ratio.value <= goal if goal else None,
        ))  # fmt: skip
    return rows


def say(text: str) -> None:
    """Tell the operator how it goes; the table alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)
