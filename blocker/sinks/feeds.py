"""What Prometheus sees of feeds, read at each scrape from the files in which their state is kept.

The feeds' names come from the configuration, so the series stay bounded; a file that cannot be read counts as that
of a feed that was never fetched, which its alert tells.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from blocker.errors import FeedError
from blocker.feeds import facts as form
from blocker.feeds.facts import LARGEST, Facts
from blocker.sinks.facts import Feed


def collect(feeds: Mapping[str, Feed], now: float) -> Iterator[Metric]:
    """Yield the metrics of all configured feeds at `now`, unix seconds; nothing where none is configured."""
    if not feeds:
        return
    known = {name: _facts(feed) for name, feed in sorted(feeds.items())}
    yield _gauge(
        "last_success_timestamp_seconds",
        "When the source last had what is in force, 0: never.",
        {name: facts.succeeded for name, facts in known.items()},
    )
    yield _gauge(
        "age_seconds",
        "Time since the edition in force was fetched; of no feed that has none.",
        {name: max(0.0, now - facts.in_force.fetched) for name, facts in known.items() if facts.in_force},
    )
    yield _gauge(
        "interval_seconds",
        "Time between two fetches, as configured.",
        {name: feed.interval for name, feed in sorted(feeds.items())},
    )
    yield _gauge(
        "entries",
        "Entries of the edition in force.",
        {name: facts.in_force.entries if facts.in_force else 0 for name, facts in known.items()},
    )
    yield _rejected(known)
    yield _gauge(
        "held",
        "1 while an update waits for a person.",
        {name: int(facts.waiting) for name, facts in known.items()},
    )
    failures = CounterMetricFamily("blocker_feed_failures", "Fetches that failed or were refused.", labels=("feed",))
    for name, facts in known.items():
        failures.add_metric((name,), facts.failed)
    yield failures


def _rejected(known: Mapping[str, Facts]) -> Metric:
    metric = GaugeMetricFamily(
        "blocker_feed_rejected_lines", "Lines of the edition in force that are not in force.", labels=("feed", "reason")
    )
    for name, facts in known.items():
        edition = facts.in_force
        for reason in ("bad", "unsupported", "refused"):
            metric.add_metric((name, reason), getattr(edition, reason) if edition else 0)
    return metric


def _gauge(name: str, text: str, values: Mapping[str, float]) -> Metric:
    metric = GaugeMetricFamily(f"blocker_feed_{name}", text, labels=("feed",))
    for feed, value in values.items():
        metric.add_metric((feed,), value)
    return metric


def _facts(feed: Feed) -> Facts:
    try:
        with Path(feed.facts).open("rb") as file:
            return form.from_json(file.read(LARGEST + 1))
    except (OSError, FeedError):
        return Facts()
