"""What a list of a million names costs: memory of all processes, time until the first answer, time to compile."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import ours
from tests.bench.errors import BenchError
from tests.bench.figures import Row, Series
from tests.bench.lab import BLOCKED, Lab, say
from tests.bench.load import write_names
from tests.bench.peers import SINKHOLE
from tests.bench.process import free_port

_COUNT: Final = 1_000_000
_ASKED: Final = 20_000  # random names of the list: enough to touch nearly all pages of its index
_MIB: Final = 1 << 20
_TIMES: Final = 3
_WORKERS: Final = 2  # what they share must not be counted twice, what they do not must be


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen of a blocker with one list."""

    first: float  # seconds until the first answer, when the list had to be compiled
    ready: Series  # seconds, from the compiled artifact
    memory: Series  # MiB


def bench(lab: Lab) -> list[Row]:
    """Return a row for each goal."""
    say("million: a list of 1,000,000 names")
    folder = lab.new_folder("million")
    lists = folder / "lists"
    lists.mkdir()
    written = lists / "bench.txt"
    with written.open("w", encoding="ascii") as file:
        file.writelines(f"{name}\n" for name in names())
    chosen = random.Random(2)
    sample = [name for name in names() if chosen.random() < _ASKED / _COUNT]
    small = ours.write_list(folder / "small", BLOCKED)
    below = [f"w{number}.{BLOCKED[number % len(BLOCKED)]}" for number in range(len(sample))]
    with_list = _serve(lab, lists, sample)
    without = _serve(lab, small, below)
    grown = with_list.memory.median - without.memory.median
    wall, peak = _compile(lab, folder, lists)
    size = written.stat().st_size / _MIB
    return [
        Row("million", "memory of all processes, two workers, 1,000 names", without.memory.text("MiB", 1)),
        Row("million", "memory of all processes, two workers, 1,000,000 names", with_list.memory.text("MiB", 1),
            f"+ {grown:.1f} MiB", "≤ + 40 MB", grown * _MIB <= 40e6),
        Row("million", "first answer after the start, 1,000 names", without.ready.text("s")),
        Row("million", "first answer after the start, 1,000,000 names", with_list.ready.text("s"),
            f"+ {with_list.ready.median - without.ready.median:.2f} s", "≤ 1.00 s", with_list.ready.median <= 1),
        Row("million", "first answer when the list is not compiled yet", f"{with_list.first:.2f} s"),
        Row("million", f"blocker lists compile, from {size:.0f} MiB of text", wall.text("s"), "", "≤ 5.00 s",
            wall.median <= 5),
        Row("million", "memory while compiling, at its peak", peak.text("MiB", 0)),
    ]  # fmt: skip


def names() -> Iterator[str]:
    """Return a million distinct names in no order, some of them below others, as feeds have them."""
    chosen = random.Random(1)
    tops = ("com", "net", "org", "io", "cn", "ru", "top", "xyz")
    for number in range(_COUNT):
        name = f"{chosen.getrandbits(36):x}{number}.{chosen.choice(tops)}"
        yield f"{'ads' if number % 2 else 'cdn.track'}.{name}" if number % 3 == 0 else name


def _serve(lab: Lab, lists: Path, names: list[str]) -> Found:
    folder = lab.new_folder("serving")
    file = write_names(folder / "names", names)
    firsts, memory = [], []
    for turn in range(_TIMES + 1):
        port = free_port()
        config = ours.configure(folder, port, lab.responder, lists=lists, metrics=free_port(), workers=_WORKERS)
        # On all cores: starting is not what the load disturbs.
        with lab.run_ours("ours", config, port, f"{lab.server_cpus},{lab.load_cpus}") as server:
            firsts.append(server.wait_ready(names[0], SINKHOLE, patience=120.0))
            if turn:
                result = lab.load(server, file, once=True, clients=64, seconds=20.0).result()
                if result.completed != len(names):
                    raise BenchError(f"{len(names) - result.completed} queries got no answer")
                server.settle()
                memory.append(server.memory() / _MIB)
        say(f"  first answer after {firsts[-1]:.2f} s, memory {memory[-1] if memory else 0:.1f} MiB")
    return Found(firsts[0], Series.of(firsts[1:]), Series.of(memory))


def _compile(lab: Lab, folder: Path, lists: Path) -> tuple[Series, Series]:
    """Return wall seconds and the peak of memory in MiB of `blocker lists compile`."""
    walls, peaks = [], []
    for _ in range(_TIMES):
        began = time.monotonic()
        argv = lab.built.command("lists", "compile", str(folder / "out.index"), "--lists", str(lists))
        output = folder / "compile.out"
        with output.open("wb") as file:
            process = subprocess.Popen(argv, cwd=folder, env={**os.environ, **lab.built.env}, stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise BenchError(f"blocker lists compile failed: {output.read_text()[-800:]}")
        walls.append(time.monotonic() - began)
        peaks.append(usage.ru_maxrss / 1024)
        say(f"  compiled in {walls[-1]:.2f} s, {peaks[-1]:.0f} MiB at the peak")
    return Series.of(walls), Series.of(peaks)
