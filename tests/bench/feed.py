"""What a feed of a million lines costs, in each format: read and sifted, then compiled; time and memory at its peak."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.bench import million
from tests.bench.errors import BenchError
from tests.bench.figures import Row, Series
from tests.bench.lab import Lab, say

_SHAPES: Final = {
    "adblock": "||{}^", "domains": "{}", "hosts": "0.0.0.0 {}", "wildcard": "*.{}", "dnsmasq": "address=/{}/0.0.0.0",
    "rpz": "{} CNAME .",
}  # fmt: skip
_TIMES: Final = 3
_WHOLE: Final = 6.0  # seconds: the goal for the whole path
_PEAK: Final = 400.0  # MB: the goal for memory

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
    return rows


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
