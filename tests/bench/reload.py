"""What a change of lists and the death of a worker cost those who ask meanwhile, at 20,000 queries a second."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench import ours
from tests.bench.errors import BenchError
from tests.bench.figures import Row, quantile
from tests.bench.lab import BLOCKED, Lab, say
from tests.bench.load import write_names
from tests.bench.peers import ADDRESS, SINKHOLE
from tests.bench.probe import Probe
from tests.bench.process import Running, ask, free_port

_RATE: Final = 20_000  # queries/s offered, whatever comes back
_OUTSTANDING: Final = 20_000  # a server that pauses for a second does not slow the load down
_LONGEST: Final = 120.0  # seconds: the end of a run that nobody ends
_WARM: Final = 0.5  # seconds of load before anything happens
_APART: Final = 2.0  # seconds between two kills
_BACK: Final = 10.0  # seconds a worker may take to be replaced
_MS: Final = 1000
NAMES: Final = tuple(name for number in range(1000) for name in (BLOCKED[number], f"www.name{number}.com"))
PROBED: Final = NAMES[::7]


@dataclass(slots=True)
class Seen:
    """What clients saw, over all runs of one kind."""

    sent: int = 0
    lost: int = 0
    failed: int = 0  # answered, but with SERVFAIL
    latencies: list[float] = field(default_factory=list)  # seconds

    def text(self) -> str:
        """Return the figures for the table."""
        p50, p99 = (quantile(self.latencies, share) * _MS for share in (0.5, 0.99))
        worst = max(self.latencies) * _MS
        return (
            f"{self.lost} lost, {self.failed} failed of {self.sent}; p50 {p50:.2f}, p99 {p99:.2f}, worst {worst:.0f} ms"
        )

    @property
    def p99(self) -> float:
        """Return the seconds within which 99 of 100 were answered."""
        return quantile(self.latencies, 0.99)


def bench(lab: Lab) -> list[Row]:
    """Return rows for the quiet time before, the reloads and the kills."""
    say("reload: 20,000 queries/s, half of them blocked, half from the cache")
    folder = lab.new_folder("reload")
    file = write_names(folder / "names", NAMES)
    reloads, kills = (4, 2) if lab.quick else (10, 5)
    one = _start(lab, folder / "one", workers=1)
    quiet, during = Seen(), Seen()
    took: list[float] = []
    for half in range(2):  # before and during, twice: the machine's moods meet both
        under_load(lab, one, file, quiet, lambda: time.sleep(lab.rounds * 0.7))
        numbers = range(half * reloads // 2, (half + 1) * reloads // 2)
        under_load(lab, one, file, during, partial(_reload, one, folder / "one", numbers, took))
    one.stop()
    two = _start(lab, folder / "two", workers=2)
    killed = Seen()
    under_load(lab, two, file, killed, lambda: _kill(two, kills))
    two.stop()
    ratio = during.p99 / quiet.p99
    most = kills * ours.IN_HANDS
    return [
        Row("reload", "before", quiet.text()),
        Row("reload", f"while {reloads} reloads follow one another", during.text(), "", "0 lost",
            during.lost + during.failed == 0),
        Row("reload", "p99 while reloading", f"{during.p99 * _MS:.2f} ms", f"{ratio:.2f} × before",
            "≤ 2.00 × before", ratio <= 2),
        Row("reload", "a changed list in force after", f"{max(took):.2f} s at most", "", "≤ 2.00 s", max(took) <= 2),
        Row("reload", f"{kills} × kill -9 of one of two workers", killed.text(), "",
            f"≤ {most} lost", killed.lost + killed.failed <= most),
    ]  # fmt: skip


def _start(lab: Lab, folder: Path, *, workers: int) -> Running:
    port = free_port()
    lists = ours.write_list(folder / "lists", BLOCKED)
    config = ours.configure(folder, port, lab.responder, lists=lists, metrics=free_port(), workers=workers)
    server = lab.run_ours("ours", config, port)
    server.wait_ready(BLOCKED[0], SINKHOLE)
    server.wait_ready("ready.com", ADDRESS)
    return server


def under_load(lab: Lab, server: Running, file: Path, seen: Seen, act: Callable[[], object], rate: int = _RATE) -> None:
    """Do `act` under load, `rate` queries a second, and add what clients saw to `seen`."""
    lab.load(server, file, once=True, seconds=10.0).result()  # fills the cache
    load = lab.load(server, file, seconds=_LONGEST, rate=rate, outstanding=_OUTSTANDING, clients=16)
    time.sleep(_WARM)
    with Probe(server.port, PROBED) as probe:
        act()
    time.sleep(_WARM)
    load.interrupt()
    result = load.result()
    seen.sent += result.sent + len(probe.latencies) + probe.lost
    seen.lost += result.lost + probe.lost
    seen.failed += result.completed - result.rcodes.get("NOERROR", 0)
    seen.latencies += probe.latencies
    say(f"  {result.qps:.0f} q/s, {result.lost} lost, {dict(result.rcodes)}, p99 so far {seen.p99 * _MS:.2f} ms")


def _reload(server: Running, folder: Path, numbers: Iterable[int], took: list[float]) -> None:
    """Add a name to the list and reload, for each of `numbers`; add the seconds until it was in force to `took`."""
    for number in numbers:
        name = f"reload{number}.com"
        began = time.monotonic()
        ours.write_list(folder / "lists", (*BLOCKED, name))
        ours.reload(folder)
        if (seen := ask(name, server.port)) != SINKHOLE:
            raise BenchError(f"after reload {number}, {name} is {seen}")
        took.append(time.monotonic() - began)


def _kill(server: Running, times: int) -> None:
    """Kill a worker, each in its turn, wait until another stands in its place, and again."""
    for number in range(times):
        before = server.workers()
        os.kill(before[number % len(before)], signal.SIGKILL)
        deadline = time.monotonic() + _BACK
        while len(set(server.workers()) - set(before)) != 1:
            if time.monotonic() >= deadline:
                raise BenchError(f"no worker took the place of the one that was killed: {server.said()}")
            time.sleep(0.02)
        time.sleep(_APART)
