"""What can be seen from outside of the processes beside the workers that record attempts.

DNS goes on without any of them, so none is a reason not to be ready; who looks hears of it all the same.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from blocker.sinks import workers
from blocker.sinks.region import Region, Word


@dataclass(frozen=True, slots=True)
class Companion:
    """One such process at one moment."""

    name: str
    up: bool
    restarts: int

    @property
    def trouble(self) -> str:
        """Say what is the matter; nothing if it is up."""
        return "" if self.up else f"{self.name}: not running"


def begin(region: Region) -> None:
    """Take `region` over in a new process: what a former one counted stays."""
    region.adopt()
    region.words[Word.PID] = os.getpid()
    region.words[Word.STARTED] = int(time.time())
    beat(region)
    region.words[Word.READY] = 1


def beat(region: Region) -> None:
    """Show a sign of life; due every second or two (workers.SILENT)."""
    region.words[Word.PULSE] = time.monotonic_ns()


def look(beside: Mapping[str, Region], now: int) -> list[Companion]:
    """Return the processes as they are at monotonic time `now`, nanoseconds."""
    seen = workers.look(list(beside.values()), now)
    return [Companion(name, each.up, each.restarts) for name, each in zip(beside, seen, strict=True)]


def dropped(beside: Mapping[str, Region]) -> int:
    """Return how many records found no room in a journal."""
    return sum(region.words[Word.DROPPED] for region in beside.values())


def errors(beside: Mapping[str, Region]) -> int:
    """Return how many bugs of ours they met."""
    return sum(region.words[Word.ERRORS] for region in beside.values())


def collect(beside: Mapping[str, Region], now: int) -> Iterator[Metric]:
    """Yield their metrics at monotonic time `now`, nanoseconds; nothing where there are none."""
    if not beside:
        return
    up = GaugeMetricFamily("blocker_egress_up", "1 while the process beside DNS lives.", labels=("process",))
    restarts = CounterMetricFamily(
        "blocker_egress_restarts", "Processes beside DNS that were replaced.", labels=("process",)
    )
    for each in look(beside, now):
        up.add_metric((each.name,), each.up)
        restarts.add_metric((each.name,), each.restarts)
    yield from (up, restarts)
    yield _attempts(beside)


def _attempts(beside: Mapping[str, Region]) -> Metric:
    found: Counter[tuple[str, ...]] = Counter()
    for region in beside.values():
        for _, labels, count in region.cells():
            noted = "shadow" if labels.monitored == "shadow" else "monitor" if labels.monitored else ""
            action = noted or labels.action
            found[labels.app, labels.group, labels.trigger, action, labels.transport] += count
    metric = CounterMetricFamily(
        "blocker_egress_attempts",
        "Attempts seen outside DNS, blocked or noted.",
        labels=("app", "group", "trigger", "action", "transport"),
    )
    for values, count in sorted(found.items()):
        if count:
            metric.add_metric(values, count)
    return metric
