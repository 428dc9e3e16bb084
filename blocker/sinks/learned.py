"""What Prometheus sees of what was learned, read at each scrape from the learner's file.

Labels are apps of the lists and a closed set of reasons, so the series stay bounded.
"""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from blocker.egress import learned


def collect(state: str | None) -> Iterator[Metric]:
    """Yield the metrics of what is in the `state` folder; nothing where there are no rules, which None says."""
    if state is None:
        return
    said = learned.read(Path(state))
    refused = GaugeMetricFamily(
        "blocker_egress_learned", "Addresses of an app's names that are refused.", labels=("app",)
    )
    for app, count in sorted(said.refused.items()):
        refused.add_metric((app,), count)
    guarded = CounterMetricFamily(
        "blocker_egress_guarded", "Addresses of an app's names that were left alone.", labels=("app", "reason")
    )
    for key, count in sorted(said.guarded.items()):
        guarded.add_metric(key.rsplit(" ", 1), count)
    yield from (refused, guarded)
