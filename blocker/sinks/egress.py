"""What Prometheus sees of the rules in the kernel, read at each scrape from what the egress process keeps.

Labels come from the configuration and the lists, so the series stay bounded.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from blocker.egress import ruleset, status


def collect(state: str | None) -> Iterator[Metric]:
    """Yield the metrics of the rules; nothing where there are none, which `state` None says."""
    if state is None:
        return
    said = status.read(Path(state))
    yield _packets(said.packets.items())
    elements = GaugeMetricFamily("blocker_egress_set_elements", "Addresses and ranges in a set.", labels=("set",))
    for name, size in sorted(said.elements.items()):
        elements.add_metric((name,), size)
    yield elements
    yield GaugeMetricFamily(
        "blocker_egress_applied", "1 while the rules in the kernel are those of the lists in force.",
        value=bool(said.digest) and not said.problem,
    )  # fmt: skip
    yield GaugeMetricFamily(
        "blocker_egress_applied_timestamp_seconds", "When rules were last put into the kernel, 0: never.",
        value=said.applied,
    )  # fmt: skip
    yield GaugeMetricFamily("blocker_egress_apply_seconds", "How long that took.", value=said.seconds)
    yield CounterMetricFamily(
        "blocker_egress_apply_failures", "Times that the rules could not be put into the kernel, or were gone.",
        value=said.failures,
    )  # fmt: skip


def _packets(counted: Iterable[tuple[str, int]]) -> Metric:
    found: Counter[tuple[str, ...]] = Counter()
    for name, packets in counted:
        if (said := ruleset.parts(name)) is not None:
            what, group, trigger, app = said
            found[app, group, trigger, what] += packets
    metric = CounterMetricFamily(
        "blocker_egress_packets",
        "Packets that a rule refused, redirected or noted.",
        labels=("app", "group", "trigger", "action"),
    )
    for labels, packets in sorted(found.items()):
        metric.add_metric(labels, packets)
    return metric
