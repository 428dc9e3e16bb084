"""What a feed of a million lines costs, in each format: read and sifted, then compiled; time and memory at its peak.

And what clients notice while such a feed is fetched, judged, compiled and put in force beside them.
"""

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from tests.bench import million, ours
from tests.bench.errors import BenchError
from tests.bench.figures import Row, Series
from tests.bench.lab import BLOCKED, Lab, say
from tests.bench.load import write_names
from tests.bench.peers import ADDRESS, SINKHOLE
from tests.bench.process import Running, ask, free_port
from tests.bench.reload import NAMES, Seen, under_load

_SHAPES: Final = {
    "adblock": "||{}^", "domains": "{}", "hosts": "0.0.0.0 {}", "wildcard": "*.{}", "dnsmasq": "address=/{}/0.0.0.0",
    "rpz": "{} CNAME .",
}  # fmt: skip
_TIMES: Final = 3
_WHOLE: Final = 6.0  # seconds: the goal for the whole path
_PEAK: Final = 400.0  # MB: the goal for memory
_RATE: Final = 10_000  # queries/s while a feed comes into force
_ALIKE: Final = 1.25  # times the p99 of the quiet time: what one measures twice and calls the same
_EDITIONS: Final = 3
_PATIENCE: Final = 120.0  # seconds an edition may take beside the load

# Runs with the blocker as built: what the process that prepares a generation does, step by step.
_MEASURE: Final = """import json, resource, sys, time
from pathlib import Path
from blocker.config import Lists
from blocker.lists import compile as compiling
from blocker.lists.feed import FeedFile

began = time.monotonic()
feeds = [FeedFile("bench", "bench", Path(sys.argv[1]), "auto")]
compiling.fingerprint(Lists(), feeds)
sources = compiling.gather(Lists(), feeds=feeds)
read = time.monotonic()
compiling.build(sources, Path(sys.argv[2]))
print(json.dumps({
    "read": read - began,
    "whole": time.monotonic() - began,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    "names": sum(len(file.keys) for file in sources.files),
    "left_out": sources.rejected["bench"].total,
}))
"""


def bench(lab: Lab) -> list[Row]:
    """Return rows for each format."""
    say("feed: 1,000,000 lines of somebody else's")
    folder = lab.new_folder("feed")
    names = list(million.names())
    rows: list[Row] = []
    for known, shape in _SHAPES.items():
        written = folder / known
        with written.open("w", encoding="ascii") as file:
            file.writelines(f"{shape.format(name)}\n" for name in names)
        runs = [_run(lab, written, folder / "feed.index", len(names)) for _ in range(1 if lab.quick else _TIMES)]
        read, whole, peak = (Series.of(run[what] for run in runs) for what in ("read", "whole", "peak"))
        rows += [
            Row("feed", f"{known}: read and sifted", read.text("s")),
            Row("feed", f"{known}: the whole way to the compiled index", whole.text("s"), "", f"≤ {_WHOLE:.2f} s",
                whole.median <= _WHOLE),
            Row("feed", f"{known}: memory at its peak", peak.text("MB", 0), "", f"≤ {_PEAK:.0f} MB",
                peak.median <= _PEAK),
        ]  # fmt: skip
        say(f"  {known}: {whole.median:.2f} s, {peak.median:.0f} MB")
        written.unlink()
    return [*rows, *_live(lab, names)]


def _live(lab: Lab, names: list[str]) -> list[Row]:
    """Return rows for those who ask while editions of a feed come into force."""
    say(f"feed: {_RATE:,} queries/s while {_EDITIONS} editions of 1,000,000 lines come into force")
    folder = lab.new_folder("live")
    source = folder / "source.txt"
    source.write_text("".join(f"{name}\n" for name in names), encoding="ascii")
    port = free_port()
    lists = ours.write_list(folder / "lists", BLOCKED)
    config = ours.configure(folder, port, lab.responder, lists=lists, metrics=free_port())
    said = yaml.safe_load(config.read_text())
    feed = {"name": "bench", "url": f"file://{source}", "app": "bench"}
    config.write_text(yaml.safe_dump({**said, "feeds": [feed]}), encoding="utf-8")
    server = lab.run_ours("ours", config, port)
    server.wait_ready(BLOCKED[0], SINKHOLE)
    server.wait_ready("ready.com", ADDRESS)
    _wait(server, names[0])
    file = write_names(folder / "names", NAMES)
    quiet, during = Seen(), Seen()
    took: list[float] = []
    for edition in range(1 if lab.quick else _EDITIONS):
        under_load(lab, server, file, quiet, lambda: time.sleep(lab.rounds * 0.7), _RATE)
        name = f"edition{edition}.com"
        under_load(lab, server, file, during, partial(_publish, lab, config, server, source, name, took), _RATE)
    server.stop()
    ratio = during.p99 / quiet.p99
    return [
        Row("feed", f"live queries, {_RATE:,}/s, before", quiet.text()),
        Row("feed", "live queries while an edition is fetched, judged, compiled and put in force", during.text(), "",
            "0 lost", during.lost + during.failed == 0),
        Row("feed", "p99 of live queries meanwhile", f"{during.p99 * 1000:.2f} ms", f"{ratio:.2f} × before",
            f"≤ {_ALIKE:.2f} × before", ratio <= _ALIKE),
        Row("feed", "from `blocker lists update` to in force, beside the load", Series.of(took).text("s")),
    ]  # fmt: skip


def _publish(lab: Lab, config: Path, server: Running, source: Path, name: str, took: list[float]) -> None:
    """Let the source have one name more, and fetch it as an operator does."""
    with source.open("a", encoding="ascii") as file:
        file.write(f"{name}\n")
    began = time.monotonic()
    argv = ["taskset", "-c", lab.server_cpus, *lab.built.command("lists", "update", "--config", str(config))]
    env = {**os.environ, **lab.built.env}
    done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise BenchError(f"the feed could not be updated: {done.stdout[-400:]}{done.stderr[-400:]}")
    _wait(server, name)
    took.append(time.monotonic() - began)


def _wait(server: Running, name: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while ask(name, server.port) != SINKHOLE:
        if time.monotonic() >= deadline:
            raise BenchError(f"{name} never came into force: {server.said()}")
        time.sleep(0.05)


def _run(lab: Lab, written: Path, index: Path, lines: int) -> dict[str, Any]:
    argv = [sys.executable, "-c", _MEASURE, str(written), str(index)]
    env = {**os.environ, **lab.built.env}
    done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise BenchError(f"a feed of {lines} lines could not be compiled: {done.stderr[-800:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    if said["names"] != lines or said["left_out"]:
        raise BenchError(f"{said['names']} names of {lines} lines were read, {said['left_out']} were left out")
    return said
