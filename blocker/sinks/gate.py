"""What can be seen from outside of the gate: how long answers waited for the kernel, and what it holds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily

from blocker.sinks.region import Region, Word

_NS: Final = 1e9


def collect(workers: Sequence[Region], beside: Mapping[str, Region]) -> Iterator[Metric]:
    """Yield the metrics of the `workers`' answers and of the processes `beside` them; nothing without any of those."""
    if not beside:
        return
    waited = SummaryMetricFamily("blocker_egress_gate_wait_seconds", "What answers waited for the kernel's sets.")
    waited.add_metric((), _sum(workers, Word.GATE_HELD), _sum(workers, Word.GATE_NS) / _NS)
    failed = CounterMetricFamily(
        "blocker_egress_gate_failures", "Answers for which the sets were not changed, or not in time."
    )
    failed.add_metric((), _sum(workers, Word.GATE_FAILED))
    others = list(beside.values())
    pairs = GaugeMetricFamily("blocker_egress_gate_pairs", "Pairs of device and address that are open.")
    pairs.add_metric((), _sum(others, Word.GATE_PAIRS))
    evicted = CounterMetricFamily("blocker_egress_gate_evictions", "Pairs that had to make room for others.")
    evicted.add_metric((), _sum(others, Word.GATE_EVICTED))
    yield from (waited, failed, pairs, evicted)


def _sum(regions: Sequence[Region], word: Word) -> int:
    return sum(region.words[word] for region in regions)
