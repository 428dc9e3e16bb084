"""What metrics say of the gate."""

from blocker.sinks import gate
from blocker.sinks.region import Region, Word


def region(**words):
    made = Region()
    for word, value in words.items():
        made.words[Word[word]] = value
    return made


def test_what_metrics_say():
    workers = [region(GATE_HELD=3, GATE_NS=1_500_000_000, GATE_FAILED=1), region(GATE_HELD=2, GATE_NS=500_000_000)]
    beside = {"egress": region(GATE_PAIRS=7, GATE_EVICTED=2), "sinkhole": region()}
    found = {sample.name: sample.value for family in gate.collect(workers, beside) for sample in family.samples}
    assert found == {
        "blocker_egress_gate_wait_seconds_count": 5,
        "blocker_egress_gate_wait_seconds_sum": 2.0,
        "blocker_egress_gate_failures_total": 1,
        "blocker_egress_gate_pairs": 7,
        "blocker_egress_gate_evictions_total": 2,
    }


def test_without_the_egress_half_there_is_nothing_to_say():
    assert list(gate.collect([region(GATE_HELD=3)], {})) == []
