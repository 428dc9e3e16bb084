"""What replaying a query log of twenty million lines costs, on one core: lines a second, and memory at its peak."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from tests.bench import million
from tests.bench.errors import BenchError
from tests.bench.figures import Row, Series
from tests.bench.lab import Lab, say

_LINES: Final = 20_000_000
_BLOCK: Final = 500_000  # lines that are made once, and written again for each day
_DISTINCT: Final = 200_000  # names
_CLIENTS: Final = 2_000
_NEW: Final = 1_000  # names of the log that the new list blocks
_GOAL: Final = 1e6  # lines/s
_TIMES: Final = 3
_DAY: Final = b"2026-11-01"


class Run(NamedTuple):
    """One replay."""

    wall: float  # seconds
    cpu: float  # seconds
    memory: float  # MB at its peak


def bench(lab: Lab) -> list[Row]:
    """Return rows for the replay."""
    lines = _LINES // 10 if lab.quick else _LINES
    say(f"simulate: a log of {lines:,} lines, {_DISTINCT:,} names, {_CLIENTS:,} clients")
    folder = lab.new_folder("simulate")
    names = [name for name, _ in zip(million.names(), range(_DISTINCT), strict=False)]
    log = folder / "queries.jsonl"
    _write(log, names, lines)
    config = _configure(folder, names)
    runs = [_run(lab, config, folder / "new", log, lines) for _ in range(1 if lab.quick else _TIMES)]
    wall = Series.of(each.wall for each in runs)
    rate = Series.of(lines / each.cpu / 1e6 for each in runs)  # whoever else is on the core does not count
    size = log.stat().st_size / 1e9
    return [
        Row("simulate", f"{lines:,} lines of our log, {size:.1f} GB, replayed on one core", wall.text("s")),
        Row("simulate", "lines a second of CPU", rate.text("million/s"), "", "≥ 1.00 million/s",
            rate.median * 1e6 >= _GOAL),
        Row("simulate", "memory at its peak", Series.of(each.memory for each in runs).text("MB", 0)),
    ]  # fmt: skip


def _write(log: Path, names: list[str], lines: int) -> None:
    block = b"".join(
        b'{"time":"2026-11-01T%02d:%02d:%02d.%06dZ","client":"10.%d.%d.7","group":"default","qname":"%b","qtype":"A",'
        b'"transport":"udp","rcode":"NOERROR","outcome":"cache"}\n'
        % (
            at * 24 // _BLOCK, at // 60 % 60, at % 60, at, at % _CLIENTS // 250, at % 250,
            names[at * 7919 % len(names)].encode(),
        )
        for at in range(_BLOCK)
    )  # fmt: skip
    with log.open("wb") as file:
        for day in range(lines // _BLOCK):
            file.write(block.replace(_DAY, b"2026-%02d-%02d" % (10 + day // 28, day % 28 + 1)))


def _configure(folder: Path, names: list[str]) -> Path:
    for lists, listed in (("old", names[: _NEW // 2]), ("new", names[:_NEW])):
        (folder / lists).mkdir()
        (folder / lists / "bench.txt").write_text("".join(f"{name}\n" for name in listed), encoding="ascii")
    path = folder / "blocker.yaml"
    config = {"lists": {"directories": [str(folder / "old")]}, "process": {"state_dir": str(folder / "state")}}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def _run(lab: Lab, config: Path, new: Path, log: Path, lines: int) -> Run:
    """Replay the log once. Raises BenchError when it says something wrong."""
    lab.watch.wait()
    said = log.with_name("said")
    command = lab.built.command(
        "simulate", "--config", str(config), "--lists", str(new), "--against", str(log), "--json", "--limit", "1"
    )
    env = {**os.environ, **lab.built.env}
    began = time.monotonic()
    with said.open("wb") as out:
        pid = os.posix_spawnp(
            "taskset",
            ["taskset", "-c", lab.server_cpus, *command],
            env,
            file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1)],
        )
        _, status, used = os.wait4(pid, 0)
    took = time.monotonic() - began
    if os.waitstatus_to_exitcode(status) != 1:  # 1: something would change
        raise BenchError(f"the log could not be replayed: {subprocess.list2cmdline(command)}")
    report = json.loads(said.read_bytes())
    if report["queries"] != lines or not report["totals"]:
        raise BenchError(f"{report['queries']} of {lines} lines were read")
    found = Run(took, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6)
    say(f"  {found.wall:.1f} s, {found.cpu:.1f} s of CPU, {found.memory:.0f} MB")
    return found
