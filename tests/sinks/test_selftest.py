"""What Prometheus sees of the self-test."""

from blocker.selftest import status
from blocker.selftest.status import Outcome, Status
from blocker.sinks import selftest


def samples(state):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in selftest.collect(str(state) if state else "")
        for sample in family.samples
    }


def test_there_is_none():
    assert samples("") == {}


def test_outcomes(tmp_path):
    outcomes = {"tiktok": Outcome(False, 5.0, "tiktok.com", "why"), "wechat": Outcome(True, 5.0, "wechat.com")}
    status.write(Status(outcomes, Outcome(True, 6.0, "a.example")), tmp_path)
    assert samples(tmp_path) == {
        ("blocker_enforcement_ok", "tiktok"): 0,
        ("blocker_enforcement_ok", "wechat"): 1,
        ("blocker_enforcement_checked_timestamp_seconds", "tiktok"): 5,
        ("blocker_enforcement_checked_timestamp_seconds", "wechat"): 5,
        ("blocker_resolution_ok",): 1,
        ("blocker_resolution_checked_timestamp_seconds",): 6,
    }


def test_nothing_was_asked_yet(tmp_path):
    assert samples(tmp_path) == {
        ("blocker_resolution_ok",): 0,
        ("blocker_resolution_checked_timestamp_seconds",): 0,
    }
