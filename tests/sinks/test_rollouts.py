"""What is shown of rollouts."""

from blocker.events import Labels
from blocker.sinks import rollouts
from blocker.sinks.rollouts import Counts, Rollout

BASE = ("udp", "A", "NOERROR", "upstream", "staff", "tiktok")
OUTCOMES = [
    (Labels(*BASE, "passthru", "qname", "shadow", "trial"), 7),
    (Labels(*BASE, "passthru", "alias", "1", "trial"), 1),  # reached, but the group only monitors the app
    (Labels(*BASE, "sinkhole", "qname", "", "trial"), 3),
    (Labels(*BASE, "sinkhole", "qname", "", ""), 5),
]
TRIAL = Rollout("trial", "app tiktok", "percent", "percent 10", 100.0, "ada", "why", returned=False)
BACK = Rollout("back", "file a.txt", "shadow", "shadow", 200.0, "blocker", "hits", returned=True)
COUNTS = {"trial": Counts(2, 4, {"canada.ca": "a.txt:3"})}


def test_metrics():
    found = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in rollouts.collect([TRIAL, BACK], OUTCOMES, COUNTS)
        for sample in family.samples
    }
    assert [stage for (name, (rollout, *stage)), value in found.items() if rollout == "trial" and value == 1
            and name == "blocker_rollout_stage"] == [["percent"]]  # fmt: skip
    assert found["blocker_rollout_attempts_total", ("trial", "blocked")] == 3
    assert found["blocker_rollout_attempts_total", ("trial", "noted")] == 8
    assert found["blocker_rollout_attempts_total", ("back", "noted")] == 0
    assert found["blocker_rollout_must_resolve_hits_total", ("trial",)] == 2
    assert found["blocker_rollout_returned_timestamp_seconds", ("trial",)] == 0
    assert found["blocker_rollout_returned_timestamp_seconds", ("back",)] == 200


def test_where_there_are_none_there_is_nothing():
    assert list(rollouts.collect([], OUTCOMES, COUNTS)) == []


def test_what_commands_show():
    first, second = rollouts.told([TRIAL, BACK], OUTCOMES, COUNTS)
    assert (first["blocked"], first["noted"], first["clients"], first["must_resolve_hits"]) == (3, 8, 4, 2)
    assert first["must_resolve_examples"] == {"canada.ca": "a.txt:3"}
    assert (second["stage"], second["returned"], second["clients"]) == ("shadow", True, 0)
