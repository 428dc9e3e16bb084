"""What people see of exceptions: the metrics, and the words of `blocker status`."""

import pytest

from blocker.sinks import exceptions
from blocker.sinks.exceptions import Excepted, excepted

NOW = 1_795_608_000.0
EVENT = {
    "exceptions": {
        "granted": {"1": [0, NOW + 60], "2": [NOW + 10, NOW + 99], "3": [0, NOW + 500], "4": [0, NOW - 1]},
        "counts": {"requested": 2, "ended": 5, "revoked": 1, "approved": 4},
        "seq": 17,
    },
    "standing": {"ends": {"3": 0.0}},  # the clock was set back over its end
    "turns": NOW + 10,
    "unamended": [],
}


def samples(said, *, kept=True):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in exceptions.collect(said, NOW, kept=kept)
        for sample in metric.samples
    }


def test_metrics():
    assert samples(excepted(EVENT)) == {
        ("blocker_exceptions", "active"): 1,
        ("blocker_exceptions", "scheduled"): 1,
        ("blocker_exceptions", "requested"): 2,
        ("blocker_exceptions_closed_total", "ended"): 5,
        ("blocker_exceptions_closed_total", "revoked"): 1,
        ("blocker_exceptions_readable",): 1,
        ("blocker_policy_turn_timestamp_seconds",): NOW + 10,
    }


@pytest.mark.parametrize(
    ("change", "kept", "readable"),
    [
        ({}, True, 1),
        ({}, False, 0),  # the control process cannot write what has ended
        ({"unamended": ["exceptions.db: damaged"]}, True, 0),
        ({"exceptions": {"granted": {}, "counts": None, "seq": -1}}, True, 0),  # as at a start without a store
    ],
)
def test_what_cannot_be_read_shows(change, kept, readable):
    assert samples(excepted(EVENT | change), kept=kept)["blocker_exceptions_readable",] == readable


def test_where_nothing_is_known_nothing_is_wrong():
    assert samples(Excepted(counts={}))["blocker_policy_turn_timestamp_seconds",] == 0
    assert exceptions.status(Excepted(counts={}), NOW, "") == {"active": 0, "requested": 0, "next_change": None}


def test_status():
    assert exceptions.status(excepted(EVENT | {"unamended": ["damaged"]}), NOW, "full") == {
        "active": 1, "requested": 2, "next_change": "2026-11-25T12:00:10Z", "problems": ["damaged", "full"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"exceptions": {}}, {"standing": {}}, {"exceptions": {"granted": {"1": [0]}, "counts": {}}}]
)
def test_nonsense_is_an_error(change):
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        excepted(EVENT | change)
