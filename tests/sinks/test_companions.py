"""What is seen of the processes beside the workers."""

import os

import pytest

from blocker.events import Labels
from blocker.sinks import companions
from blocker.sinks.region import Region, Word

NOW = 1_000_000_000_000  # monotonic ns
V4 = b"\xc0\x00\x02\x01"
SEEN = Labels("tcp", "", "none", "blocked", "staff", "wechat", "refused", "address")
NOTED = Labels("tcp", "", "none", "upstream", "lab", "wechat", "passthru", "sni", "1")


def region(*counted, silence=0.0, ready=True):
    made = Region()
    for labels in counted:
        made.record(made.outcome(labels, attempt=True), V4, 0.0, b"", 0)
    made.words[Word.READY] = ready
    made.words[Word.PULSE] = NOW - int(silence * 1e9)
    return made


@pytest.mark.parametrize(
    ("silence", "ready", "up"), [(0, True, True), (4.9, True, True), (5, True, False), (0, False, False)]
)
def test_which_are_up(silence, ready, up):
    (seen,) = companions.look({"egress": region(silence=silence, ready=ready)}, NOW)
    assert (seen.name, seen.up, seen.trouble) == ("egress", up, "" if up else "egress: not running")


def test_what_metrics_say():
    beside = {"egress": region(SEEN, SEEN, NOTED), "sinkhole": region(SEEN, ready=False)}
    beside["sinkhole"].words[Word.RESTARTS] = 3
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in companions.collect(beside, NOW)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    assert found == {
        ("blocker_egress_up", "egress"): 1,
        ("blocker_egress_up", "sinkhole"): 0,
        ("blocker_egress_restarts_total", "egress"): 0,
        ("blocker_egress_restarts_total", "sinkhole"): 3,
        ("blocker_egress_attempts_total", "wechat", "staff", "address", "refused", "tcp"): 3,
        ("blocker_egress_attempts_total", "wechat", "lab", "sni", "monitor", "tcp"): 1,
    }
    assert list(companions.collect({}, NOW)) == []


def test_a_new_process_goes_on_with_what_the_former_counted():
    made = region(SEEN, ready=False)
    companions.begin(made)
    made.record(made.outcome(SEEN, attempt=True), V4, 0.0, b"", 0)
    assert [count for _, labels, count in made.cells() if labels == SEEN] == [2]
    assert (made.words[Word.PID], made.words[Word.READY]) == (os.getpid(), 1)


def test_records_without_room_are_dropped_records():
    made = region()
    made.words[Word.DROPPED] = 7
    assert companions.dropped({"egress": made, "sinkhole": region()}) == 7


def test_bugs_of_processes_beside_count_as_all_bugs_do():
    regions = {"egress": Region(), "watch": Region()}
    regions["watch"].bug(ValueError("a packet that nobody thought of"))
    assert companions.errors(regions) == 1
