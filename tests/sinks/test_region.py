"""The memory that workers share with the processes that count and log."""

import os
import signal
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.events import ATTEMPT, BLOCKED, ENDINGS, QUERY, SEARCH, Labels
from blocker.sinks import region as layout
from blocker.sinks.region import BUCKETS, JOURNAL_SIZE, Record, Region, UpstreamWord, Word
from tests.oracle import taken

V4 = b"\xc0\x00\x02\x01"
V6 = b"\x20\x01\x0d\xb8" + bytes(12)
TIKTOK = Labels("udp", "A", "NOERROR", BLOCKED, "staff", "tiktok", "sinkhole", "qname")
ALLOWED = Labels("udp", "AAAA", "NOERROR", "upstream")


def in_child(work: Callable[[], object], *, killed: bool = False) -> None:
    """Do `work` in a forked process; `killed`: it ends by SIGKILL as soon as it is done."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            work()
            status = 0
            if killed:
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == (-signal.SIGKILL if killed else 0)


@pytest.mark.parametrize(
    "record",
    [
        Record(ATTEMPT, 1.5, V4, b'"app":"tiktok"'),
        Record(QUERY, 0.0, V6, b""),
        Record(ATTEMPT | QUERY, 1.8e9, V6, b"x" * 4000),
    ],
)
def test_a_record_comes_back_as_it_was_written(record: Record) -> None:
    region = Region()
    region.journal(*record[:4])
    assert [each[:4] for each in taken(region)] == [record[:4]]
    assert taken(region) == []


records = st.builds(
    Record,
    flags=st.integers(0, 3),
    when=st.floats(0, 2**33),
    client=st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
    tail=st.binary(max_size=300),
)
SHARED = Region()  # made once: 10 MB of zeroes per example would be slow


@given(st.lists(records, max_size=50), st.integers(1, 60))
def test_any_records_come_back_in_order(written: list[Record], limit: int) -> None:
    for record in written:
        SHARED.journal(*record[:4])
    found: list[Record] = []
    while part := taken(SHARED, limit):
        assert len(part) <= limit
        found += part
    assert [record[:4] for record in found] == [record[:4] for record in written]


@pytest.mark.parametrize("size", [0, 1, 7, 8, 97, 1001, 4093, 65537])
def test_the_ring_goes_round_without_loss(size: int) -> None:
    region = Region()
    rounds = 3 * JOURNAL_SIZE // (size + layout.RECORD_HEAD.size)
    step = max(1, JOURNAL_SIZE // 3 // (size + 40))
    written = 0
    while written < rounds:
        tails = [number.to_bytes(4) + bytes(size) for number in range(written, written + step)]
        for tail in tails:
            region.journal(ATTEMPT, 1.0, V4, tail)
        assert [record.tail for record in taken(region, step + 1)] == tails
        written += step
    assert region.words[Word.HEAD] > 2 * JOURNAL_SIZE
    assert region.words[Word.DROPPED] == 0


def test_a_full_ring_drops_the_new_and_counts_them() -> None:
    region = Region()
    tail = bytes(JOURNAL_SIZE // 8 - layout.RECORD_HEAD.size)
    for number in range(10):
        region.journal(ATTEMPT, float(number), V4, tail)
    assert region.words[Word.DROPPED] == 2
    assert [record.when for record in taken(region)] == list(range(8))
    region.journal(ATTEMPT, 10.0, V4, tail)  # there is room again
    assert [record.when for record in taken(region)] == [10.0]


def test_a_record_larger_than_the_ring_is_dropped() -> None:
    region = Region()
    region.journal(ATTEMPT, 1.0, V4, bytes(JOURNAL_SIZE))
    assert region.words[Word.DROPPED] == 1
    assert taken(region) == []


def test_another_process_sees_what_was_written() -> None:
    region = Region()

    def write() -> None:
        region.record(region.outcome(TIKTOK, attempt=True), V4, 0.0003, b'"a":1', ATTEMPT)
        region.upstream(0, "192.0.2.53:53")[UpstreamWord.QUERIES] = 7

    in_child(write)
    assert [(record.client, record.tail) for record in taken(region)] == [(V4, b'"a":1')]
    assert [(labels, count) for cell, labels, count in region.cells() if cell] == [(TIKTOK, 1)]
    assert [(name, words[UpstreamWord.QUERIES]) for name, words in region.upstreams()] == [("192.0.2.53:53", 7)]


def test_a_reader_in_another_process_gives_room_back() -> None:
    region = Region()
    for _ in range(100):
        region.journal(ATTEMPT, 1.0, V4, b"")
    in_child(lambda: taken(region, 60))
    assert len(taken(region)) == 40


def test_a_killed_worker_loses_nothing_and_its_successor_goes_on_counting() -> None:
    region = Region()

    def work() -> None:
        region.adopt()
        for labels in (TIKTOK, ALLOWED):
            region.record(region.outcome(labels, attempt=labels is TIKTOK), V4, 0.01, b"first", ATTEMPT)

    in_child(work, killed=True)
    region.adopt()
    for attempt in (True, False):  # the cell is one, whatever the outcome says of the log
        region.record(region.outcome(TIKTOK, attempt=attempt), V4, 0.01, b"second", ATTEMPT)
    new = TIKTOK._replace(app="wechat")
    region.record(region.outcome(new, attempt=True), V4, 0.01, b"third", 0)
    assert {labels: count for cell, labels, count in region.cells() if cell} == {TIKTOK: 3, ALLOWED: 1, new: 1}
    assert [record.tail for record in taken(region)] == [b"first", b"first", b"second", b"second"]


@pytest.mark.parametrize(
    ("duration", "bucket"),
    [(0.0, 0), (0.0001, 0), (0.00011, 1), (0.005, 5), (5.0, len(BUCKETS) - 1), (5.1, len(BUCKETS))],
)
def test_durations_fall_into_buckets_bounds_included(duration: float, bucket: int) -> None:
    region = Region()
    region.record(region.outcome(TIKTOK, attempt=True), V4, duration, b"", 0)
    counts, total = region.histogram(ENDINGS.index(BLOCKED))
    assert [at for at, count in enumerate(counts) if count] == [bucket]
    assert total == pytest.approx(duration)


@pytest.mark.parametrize(("reason", "counted"), [("short", "short"), ("opcode", "opcode"), ("never heard of", "other")])
def test_malformed_packets_are_counted_by_reason(reason: str, counted: str) -> None:
    region = Region()
    region.malformed(reason)
    assert region.words[Word.MALFORMED + layout.MALFORMED_REASONS.index(counted)] == 1


def test_outcomes_beyond_the_last_cell_share_cell_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MAX_CELLS", 3)
    region = Region()
    for group in ("a", "b", "c", "d", "x" * 200):
        region.record(region.outcome(TIKTOK._replace(group=group), attempt=False), V4, 0.0, b"", 0)
    counts = {labels.group: count for _, labels, count in region.cells()}
    assert counts == {"": 3, "a": 1, "b": 1}


def test_an_upstream_that_takes_anothers_place_starts_at_zero() -> None:
    region = Region()
    region.upstream(0, "192.0.2.1:53")[UpstreamWord.QUERIES] = 5
    assert region.upstream(0, "192.0.2.1:53")[UpstreamWord.QUERIES] == 5
    assert region.upstream(0, "192.0.2.2:53")[UpstreamWord.QUERIES] == 0


def test_a_bug_is_counted_and_reported() -> None:
    region = Region()
    shown: list[Exception] = []
    region.report = shown.append
    error = ValueError("x")
    region.bug(error)
    assert shown == [error]
    assert region.words[Word.ERRORS] == 1


def test_what_was_read_and_not_released_is_read_again() -> None:
    """A control process that is killed before its lines are written leaves them to the next one."""
    region = Region()
    region.journal(ATTEMPT, 1.0, V4, b'"a":1')
    assert [record.tail for record in region.read()] == [b'"a":1']
    assert [record.tail for record in Region(region.memory).read()] == [b'"a":1']
    region.release()
    assert region.read() == []


def test_one_who_follows_reads_what_the_reader_has_released() -> None:
    region = Region()
    region.journal(ATTEMPT, 1.0, V4, b"a")
    start = region.head
    region.journal(ATTEMPT, 2.0, V4, b"b")
    region.journal(ATTEMPT, 3.0, V4, b"c")
    region.read()
    region.release()
    records, position, missed = region.follow(start, 1)
    assert ([record.tail[:1] for record in records], missed) == ([b"b"], 0)
    records, position, missed = region.follow(position)
    assert ([record.tail[:1] for record in records], position, missed) == ([b"c"], region.head, 0)


def test_one_who_follows_too_late_goes_on_at_a_whole_record() -> None:
    region = Region()
    for number in range(3):
        for _ in range(layout.JOURNAL_SIZE // 1000):
            region.journal(ATTEMPT, 1.0, V4, b"%d" % number + b"x" * 900)
        if number < 2:
            region.read(100_000)
            region.release()
    records, position, missed = region.follow(0, 100_000)
    assert {record.tail[:1] for record in records} == {b"2"}
    assert (position, missed > 0, region.words[Word.DROPPED]) == (region.head, True, 0)


def test_half_of_the_journal_is_for_attempts() -> None:
    region = Region()
    while not region.words[Word.UNSEARCHED]:
        region.journal(SEARCH, 1.0, V4, b"x" * 900)
    assert region.words[Word.HEAD] <= layout.JOURNAL_SIZE // 2
    region.journal(QUERY, 1.0, V4, b"x" * 900)
    assert (region.words[Word.DROPPED], region.words[Word.UNSEARCHED]) == (1, 936)
    for flags in (ATTEMPT, ATTEMPT | QUERY | SEARCH):
        region.journal(flags, 1.0, V4, b"x" * 900)
    assert region.words[Word.DROPPED] == 1
    assert [record.flags for record in region.read(100_000)[-2:]] == [ATTEMPT, ATTEMPT | QUERY | SEARCH]
