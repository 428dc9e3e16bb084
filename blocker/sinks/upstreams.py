"""What is known of the upstreams, over all workers: for metrics and status."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily

from blocker.sinks.region import Region, UpstreamWord

_LABEL: Final = ("upstream",)
_COUNTERS: Final = (
    (UpstreamWord.QUERIES, "blocker_upstream_queries", "Queries sent upstream."),
    (UpstreamWord.RESPONSES, "blocker_upstream_responses", "Responses that matched a query."),
    (UpstreamWord.TIMEOUTS, "blocker_upstream_timeouts", "Queries that nobody answered in time."),
    (UpstreamWord.TCP_QUERIES, "blocker_upstream_tcp_queries", "Queries sent over TCP, mostly after truncation."),
    (UpstreamWord.ERRORS, "blocker_upstream_errors", "Queries that could not be sent, or malformed responses."),
    (UpstreamWord.REFUSALS, "blocker_upstream_refusals", "Responses that refused: SERVFAIL, REFUSED and the like."),
)


@dataclass(frozen=True, slots=True)
class Upstream:
    """One upstream over all workers."""

    name: str
    words: tuple[int, ...]  # sums, by UpstreamWord
    healthy: float  # share of the workers that find it healthy, 0 to 1
    smoothed: float  # seconds; mean of the workers that have measured it


def look(regions: Iterable[Region]) -> list[Upstream]:
    """Return the upstreams by name."""
    found: dict[str, list[list[int]]] = {}
    for region in regions:
        for name, words in region.upstreams():
            found.setdefault(name, []).append(words)
    return [_together(name, rows) for name, rows in sorted(found.items())]


def _together(name: str, rows: list[list[int]]) -> Upstream:
    times = [row[UpstreamWord.SRTT_NS] for row in rows if row[UpstreamWord.RESPONSES]]
    return Upstream(
        name,
        words=tuple(sum(column) for column in zip(*rows, strict=True)),
        healthy=sum(row[UpstreamWord.HEALTHY] for row in rows) / len(rows),
        smoothed=sum(times) / len(times) / 1e9 if times else 0.0,
    )


def collect(regions: Iterable[Region]) -> Iterator[Metric]:
    """Yield the metrics of all upstreams."""
    seen = look(regions)
    for word, name, text in _COUNTERS:
        counter = CounterMetricFamily(name, text, labels=_LABEL)
        for upstream in seen:
            counter.add_metric((upstream.name,), upstream.words[word])
        yield counter
    healthy = GaugeMetricFamily(
        "blocker_upstream_healthy", "Share of the workers that find the upstream healthy, 0 to 1.", labels=_LABEL
    )
    smoothed = GaugeMetricFamily(
        "blocker_upstream_smoothed_response_seconds", "Smoothed response time, as used to choose.", labels=_LABEL
    )
    taken = SummaryMetricFamily("blocker_upstream_response_seconds", "Response times.", labels=_LABEL)
    for upstream in seen:
        label = (upstream.name,)
        healthy.add_metric(label, upstream.healthy)
        smoothed.add_metric(label, upstream.smoothed)
        words = upstream.words
        taken.add_metric(label, words[UpstreamWord.RESPONSES], words[UpstreamWord.TIME_NS] / 1e9)
    yield from (healthy, smoothed, taken)
