"""What is counted of the sinkhole."""

from blocker.sinkhole.limits import Limit
from blocker.sinkhole.visit import Kind, Outcome
from blocker.sinks import sinkhole
from blocker.sinks.region import COUNTER_WORDS, Region, Word


def samples(region):
    found = sinkhole.collect({"sinkhole": region})
    return {(each.name, *each.labels.values()): each.value for metric in found for each in metric.samples}


def test_counted():
    region = Region()
    for _ in range(3):
        sinkhole.visited(region, Kind.TLS, Outcome.NAMED)
    sinkhole.limited(region, Limit.RATE)
    found = samples(region)
    assert found["blocker_sinkhole_connections_total", "tls", "named"] == 3
    assert found["blocker_sinkhole_limited_total", "rate"] == 1
    assert sum(found.values()) == 4


def test_series_are_there_before_anybody_came_and_say_only_what_can_happen():
    found = samples(Region())
    assert ("blocker_sinkhole_connections_total", "nothing", "timeout") in found
    assert ("blocker_sinkhole_connections_total", "nothing", "named") not in found
    assert ("blocker_sinkhole_limited_total", "client-rate") in found


def test_switched_off_there_is_nothing():
    assert list(sinkhole.collect({"egress": Region()})) == []


def test_the_words_are_its_own():
    used = [*sinkhole._VISIT_AT.values(), *sinkhole._LIMIT_AT.values()]
    assert len(set(used)) == len(used) <= 32
    assert min(used) == Word.SINKHOLE
    assert max(used) < COUNTER_WORDS
