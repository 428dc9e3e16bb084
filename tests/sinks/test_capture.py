from collections import Counter

from blocker.sinks import capture
from blocker.sinks.region import Region


def values(beside):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in capture.collect(beside)
        for sample in metric.samples
    }


def test_what_was_seen_adds_up_and_what_is_missing_does_not():
    region = Region()
    for missing in (2, 1):
        kinds = Counter({"tls": 3, "other": 1})
        capture.count(region, kinds, packets=10, lost=1, early=2, pieces=3, missing=missing)
        assert kinds == {}
    other = Region()
    capture.uncut(region, 1)
    capture.uncut(other, 2)
    found = values({"watch": region, "egress": other})
    assert found["blocker_egress_capture_packets_total",] == 20
    assert found["blocker_egress_capture_lost_total",] == 2
    assert found["blocker_egress_connections_total", "tls"] == 6
    assert found["blocker_egress_connections_total", "quic"] == 0
    assert found["blocker_egress_connections_forgotten_total",] == 4
    assert found["blocker_egress_fragments_lost_total",] == 6
    assert found["blocker_egress_interfaces_missing",] == 1
    assert found["blocker_egress_uncut_total",] == 3


def test_without_the_process_there_are_none():
    assert values({"egress": Region()}) == {}
