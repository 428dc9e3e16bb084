"""What Prometheus sees of candidates, read at each scrape from where the search keeps them.

Apps come from the lists and kinds of evidence from a closed set, so the series stay bounded.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from blocker.errors import CandidateError


def collect(state: str, apps: Iterable[str]) -> Iterator[Metric]:
    """Yield the metrics of candidates in the `state` folder, those of `apps` without any as 0; no folder: nothing."""
    if not state:
        return
    from blocker.candidates.store import Counts, Store  # SQLite: not for those who look for nothing

    counts = Counts()
    with suppress(CandidateError):  # then the time of the last look stays 0, which its alert tells
        counts = Store(Path(state)).counts()
    waiting = GaugeMetricFamily(
        "blocker_candidates", "Names that wait for a person to accept or dismiss them.", labels=("app",)
    )
    for app in sorted({*apps, *counts.open}):
        waiting.add_metric((app,), counts.open.get(app, 0))
    yield waiting
    seen = CounterMetricFamily(
        "blocker_candidates_seen", "Names that were found, once for each kind of evidence.", labels=("app", "evidence")
    )
    for labels, count in sorted(counts.seen.items()):
        seen.add_metric(labels, count)
    yield seen
    yield GaugeMetricFamily(
        "blocker_candidates_looked_timestamp_seconds",
        "When the search last looked at queries; 0: never.",
        value=counts.looked,
    )
    yield CounterMetricFamily(
        "blocker_candidates_missed_bytes", "Octets of records that came too fast for the search.", value=counts.missed
    )
