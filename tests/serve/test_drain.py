"""What carries journals into logs."""

import json
import os
from pathlib import Path

import pytest

from blocker.config import Evidence, Log
from blocker.events import ATTEMPT
from blocker.serve import drain
from blocker.serve.drain import Drainer
from blocker.sinks.querylog import QueryLog
from blocker.sinks.region import Region, Word
from tests.oracle import taken

V4 = b"\xc0\x00\x02\x01"


def filled(count: int) -> Region:
    """Return a region with `count` records."""
    region = Region()
    for number in range(count):
        region.journal(ATTEMPT, 1.7e9, V4, b'"n":%d' % number)
    return region


def test_each_look_takes_a_bounded_batch_of_each_journal(tmp_path: Path) -> None:
    drainer = Drainer([filled(5000), filled(10), Region()], QueryLog(Log(attempts=tmp_path / "a")))
    assert [drainer.drain() for _ in range(3)] == [4096, 904, 0]


def test_without_workers_or_records_there_is_nothing_to_do() -> None:
    assert Drainer([], QueryLog(Log())).drain() == 0


def test_journals_are_emptied_even_if_no_log_is_wanted() -> None:
    region = filled(10)
    Drainer([region], QueryLog(Log(attempts="off"))).drain()
    assert taken(region) == []


def test_a_bug_costs_records_not_the_log(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise ValueError("deep down")

    log = QueryLog(Log(attempts="off"))
    monkeypatch.setattr(log, "write", fail)
    drainer = Drainer([filled(10), filled(5)], log)
    drainer.drain()
    assert drainer.dropped == 15
    assert capfd.readouterr().err.count("a bug of ours") == 1


def test_each_record_is_shown_once_even_if_it_cannot_be_written_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    log, region, shown = QueryLog(Log(attempts="off")), filled(5000), []
    drainer = Drainer([region], log, lambda records: shown.extend(record.tail for record in records))
    monkeypatch.setattr(log, "is_ready", lambda _now: False)
    assert [drainer.drain() for _ in range(3)] == [0, 0, 0]
    everything = [b'"n":%d' % number for number in range(5000)]
    assert shown == everything  # further than one batch
    monkeypatch.setattr(log, "is_ready", lambda _now: True)
    monkeypatch.setattr(log, "write", lambda records, *_: len(records) // 2)  # some wait
    drainer.drain()
    region.journal(ATTEMPT, 1.7e9, V4, b"new")
    while drainer.drain():
        pass
    assert shown == [*everything, b"new"]


def test_a_bug_of_who_looks_costs_no_record(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def fail(_records: object) -> None:
        raise ValueError("deep down")

    drainer = Drainer([filled(10)], QueryLog(Log(attempts=tmp_path / "a")), fail)
    assert (drainer.drain(), drainer.dropped) == (10, 0)
    assert len((tmp_path / "a").read_bytes().splitlines()) == 10
    assert "not looked at" in capfd.readouterr().err


def test_a_log_that_nobody_reads_does_not_keep_it_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    log = QueryLog(Log())
    monkeypatch.setattr(log._destinations[0][1], "_descriptor", writer)
    drainer = Drainer([filled(4096)], log)
    drainer.start()
    assert not drainer.end(0.2)
    os.close(reader)  # its write fails, and the thread goes
    drainer._thread.join()
    os.close(writer)


def test_in_the_end_everything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "_PAUSE", 60.0)  # so that only the end makes it look again
    region = filled(0)
    drainer = Drainer([region], QueryLog(Log(attempts=tmp_path / "a")))
    drainer.start()
    for number in range(10_000):
        region.journal(ATTEMPT, 1.7e9, V4, b'"n":%d' % number)
    assert drainer.end(10)
    assert sum(len(each.read_bytes().splitlines()) for each in tmp_path.iterdir()) == 10_000


def test_a_loss_that_cannot_be_told_is_told_later_also_by_another_process(tmp_path: Path) -> None:
    region, folder = filled(10), tmp_path / "later"
    region.words[Word.DROPPED] = 7
    log = QueryLog(Log(attempts=folder / "a"), Evidence(chain=True), "dns1", tmp_path / "checkpoints")
    Drainer([region], log).drain()
    assert log.chained is not None
    log.close(1.7e9)  # as if it was killed: nothing could be written
    folder.mkdir()
    drainer = Drainer(
        [region], QueryLog(Log(attempts=folder / "a"), Evidence(chain=True), "dns1", tmp_path / "checkpoints")
    )
    drainer.start()
    assert drainer.end(10)
    *_, told, closed = map(json.loads, (folder / "a").read_text().splitlines())
    assert (told["event"], told["records"]) == ("lost", 7)
    assert "end yes" in closed["statement"]


def test_what_waited_for_a_disk_is_written_in_the_end_if_it_can_be(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    log = QueryLog(Log(attempts=folder / "a"), Evidence(chain=True), "dns1", tmp_path / "checkpoints")
    drainer = Drainer([filled(10)], log)
    assert drainer.drain() == 0
    folder.mkdir()  # within the pause after the failure
    drainer.start()
    assert drainer.end(10)
    assert (folder / "a").read_bytes().count(b'"n":') == 10
