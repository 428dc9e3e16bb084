"""What Prometheus sees of the self-test, read at each scrape from the status that its process keeps.

Apps come from the lists, so the series stay bounded. What was never checked has no series: its alert is about age.
"""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

from blocker.selftest import status


def collect(state: str) -> Iterator[Metric]:
    """Yield the metrics of the self-test whose status is in the `state` folder; nothing where none is configured."""
    if not state:
        return
    said = status.read(Path(state))
    enforced = GaugeMetricFamily(
        "blocker_enforcement_ok", "1 if a name of the app was blocked when we asked for it ourselves.", labels=("app",)
    )
    checked = GaugeMetricFamily(
        "blocker_enforcement_checked_timestamp_seconds", "When we last asked for a name of the app.", labels=("app",)
    )
    for app, each in sorted(said.apps.items()):
        enforced.add_metric((app,), each.ok)
        checked.add_metric((app,), each.checked)
    yield enforced
    yield checked
    resolution = said.resolution
    yield GaugeMetricFamily(
        "blocker_resolution_ok",
        "1 if a name that must resolve did when we asked for it ourselves.",
        value=resolution.ok if resolution is not None else 0,
    )
    yield GaugeMetricFamily(
        "blocker_resolution_checked_timestamp_seconds",
        "When we last asked for a name that must resolve; 0: never.",
        value=resolution.checked if resolution is not None else 0,
    )
