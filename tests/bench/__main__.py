"""`python -m tests.bench [--quick] [--record] [name...]`: measure, print the table, and put it on record."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from tests.bench import (
    blocked,
    candidates,
    elements,
    evidence,
    exception,
    feed,
    gate,
    hits,
    lab,
    machine,
    million,
    misses,
    ours,
    parsers,
    reload,
    rollout,
    rpz,
    rules,
    simulate,
    watch,
    workers,
)  # fmt: skip
from tests.bench.errors import BenchError
from tests.bench.figures import Row, table
from tests.bench.lab import say

BENCHES: Final[dict[str, ModuleType]] = {
    "blocked": blocked, "hits": hits, "misses": misses, "million": million, "feed": feed, "reload": reload,
    "rollout": rollout, "workers": workers, "elements": elements, "gate": gate, "watch": watch, "parsers": parsers,
    "simulate": simulate, "evidence": evidence, "rpz": rpz, "rules": rules, "exception": exception,
    "candidates": candidates,
}  # fmt: skip
RESULTS: Final = Path(__file__).with_name("results.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benches; return 0 if every goal that could be judged was met, 1 if not, 2 if something broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(BENCHES)}; all, if none is given")
    parser.add_argument("--quick", action="store_true", help="shorter and fewer rounds, for a first look")
    parser.add_argument("--record", action="store_true", help=f"append the table to {RESULTS.name}")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - BENCHES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(BENCHES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # so that everything started is stopped
    began = time.monotonic()
    try:
        stamp = machine.stamp()  # before the build: others may go on editing
        built = ours.build()
        heading = machine.heading(built)
        say(heading)
        rows, broken = _run(built, given.names or list(BENCHES), quick=given.quick)
    except BenchError as error:
        say(f"error: {error}")
        return 2
    text = f"{heading}\n\n{table(rows, stamp)}"
    print(text)
    say(f"{time.monotonic() - began:.0f} seconds altogether")
    if given.record:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(f"\n{text}\n")
    if broken:
        return 2
    return 1 if any(row.met is False for row in rows) else 0


def _run(built: ours.Built, names: Sequence[str], *, quick: bool) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    broken = False
    for name in names:
        try:
            with lab.opened(built, quick=quick) as place:
                rows += BENCHES[name].bench(place)
                rows.append(Row(name, "share of the machine that others used meanwhile", place.watch.text()))
        except BenchError as error:
            say(f"error: {error}")
            rows.append(Row(name, "could not be measured", str(error).splitlines()[0][:200], met=False))
            broken = True
    return rows, broken


sys.exit(main())
