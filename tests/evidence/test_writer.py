"""Each record comes out exactly once, and the chain goes on, whatever happens in between."""

import json
import os
from functools import partial
from pathlib import Path

import pytest

from blocker.config import Rotation
from blocker.evidence import files, keys, writer
from blocker.evidence.verify import Kind, Verifier
from blocker.sinks import logfile
from blocker.sinks.region import Region
from tests.evidence.records import NOW, carry, journal, new_key, numbers, open_log, written


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log"


def found(*paths, copies=()):
    """Return the kinds of findings in the files, and how many records they hold."""
    verifier = Verifier(lambda checkpoint: "", copies)
    for path in files.in_order(paths):
        verifier.feed(str(path), files.lines(path))
    verifier.finish()
    return [finding.kind for finding in verifier.findings], sum(node.records for node in verifier.nodes.values())


def events(path):
    return [json.loads(line)["event"] for line in path.read_bytes().splitlines() if b'"event":' in line]


def kill(log):
    """Let go of everything as a process does that is killed: nothing more is written."""
    os.close(log.chained._lock)
    log.chained._destination.close()


def test_a_chain_is_begun_and_closed_in_order(path):
    written(path, range(5))
    assert events(path) == ["start", "checkpoint"]
    assert found(path) == ([], 5)


def test_it_goes_on_after_a_restart(path):
    for turn in range(3):
        written(path, range(5 * turn, 5 * turn + 5))
    assert events(path) == ["start", "checkpoint", "resume", "checkpoint", "resume", "checkpoint"]
    assert found(path) == ([], 15)


@pytest.mark.parametrize("had_written", range(11))
def test_a_killed_writer_loses_nothing_and_repeats_nothing(path, had_written):
    region = Region()
    journal(region, range(10))
    log = open_log(path)
    log.tick(NOW)
    records = region.read()
    log.write(records[:had_written], NOW, region.identity)
    kill(log)  # before the room in the journal was given back
    again = open_log(path)
    assert carry(again, region) == 10
    journal(region, range(10, 12))
    assert carry(again, region) == 2
    again.close(NOW)
    assert numbers(path) == list(range(12))
    assert found(path) == ([], 12)


@pytest.mark.parametrize("octets", [1, 20, 150])
def test_a_torn_line_is_written_again(path, octets):
    region = Region()
    journal(region, range(5))
    log = open_log(path)
    log.tick(NOW)
    log.write(region.read(), NOW, region.identity)
    kill(log)
    os.truncate(path, path.stat().st_size - octets)
    again = open_log(path)
    carry(again, region)
    again.close(NOW)
    assert numbers(path) == list(range(5))
    assert found(path) == ([], 5)
    assert [json.loads(line).get("torn") for line in path.read_bytes().splitlines() if b'"resume"' in line] != [0]


def test_another_worker_after_a_kill_is_not_mistaken(path):
    one, other = Region(), Region()
    journal(one, range(5))
    log = open_log(path)
    carry(log, one)
    kill(log)
    journal(other, range(5, 10))  # its positions are those of the first one
    again = open_log(path)
    carry(again, other)
    assert numbers(path) == list(range(10))
    again.close(NOW)


@pytest.mark.parametrize("torn", [True, False])
def test_the_clock_set_back_changes_nothing(path, torn):
    region = Region()
    log = open_log(path, every_seconds=60)
    for turn, now in enumerate((NOW, NOW - 5000, NOW - 10000)):
        journal(region, [turn])
        carry(log, region, now)
        log.tick(now + 1)
    log.close(NOW)
    assert found(path) == ([], 3)


# Checkpoints.


@pytest.mark.parametrize(
    ("evidence", "seconds", "expected"),
    [
        ({"every_records": 5, "every_seconds": 3600}, 0, 4),
        ({"every_records": 100, "every_seconds": 10}, 0, 0),
        ({"every_records": 100, "every_seconds": 10}, 11, 1),
        ({"every_records": 100, "every_seconds": 10}, -50, 1),  # the clock was set back: who knows how long it was
    ],
)
def test_when_checkpoints_are_due(path, evidence, seconds, expected):
    region = Region()
    log = open_log(path, **evidence)
    for number in range(4):
        journal(region, range(5 * number, 5 * number + 5))
        carry(log, region)
    log.tick(NOW + seconds)
    assert events(path).count("checkpoint") == expected
    log.tick(NOW + 99999)
    log.tick(NOW + 999999)  # without new records there is nothing to say
    assert events(path).count("checkpoint") == max(expected, 1)
    log.close(NOW)


def test_every_checkpoint_is_copied_and_signed(path, tmp_path):
    new_key(tmp_path / "k")
    written(path, range(5), key_file=tmp_path / "k.key")
    written(path, range(5, 9), key_file=tmp_path / "k.key")
    inside = [line for line in path.read_bytes().splitlines(keepends=True) if b'"checkpoint"' in line]
    assert Path(f"{path}.checkpoints").read_bytes() == b"".join(inside)
    assert all(json.loads(line)["signature"].startswith("untrusted comment: ") for line in inside)


def test_another_key_signs_from_a_restart_on(path, tmp_path):
    old, new = new_key(tmp_path / "old"), new_key(tmp_path / "new")
    written(path, range(3), key_file=old.with_suffix(".key"))
    written(path, range(3, 6), key_file=new.with_suffix(".key"))
    for given, expected in [((old, new), []), ((new,), [Kind.CHECKPOINT]), ((old,), [Kind.CHECKPOINT])]:
        verifier = Verifier(partial(keys.trouble, trusted=[keys.read(each) for each in given]))
        verifier.feed("a", path.read_bytes().splitlines(keepends=True))
        assert [finding.kind for finding in verifier.findings] == expected


def test_copies_that_were_moved_away_begin_anew(path):
    region = Region()
    log = open_log(path, every_records=1)
    copies = Path(f"{path}.checkpoints")
    journal(region, [0])
    carry(log, region)
    copies.rename(path.with_name("sent"))
    journal(region, [1])
    carry(log, region)
    assert len(copies.read_bytes().splitlines()) == len(path.with_name("sent").read_bytes().splitlines()) == 1
    log.close(NOW)


def test_copies_that_cannot_be_written_do_not_stop_the_records(path, capfd):
    copies = Path(f"{path}.checkpoints")
    copies.mkdir()
    written(path, range(5))
    assert found(path) == ([], 5)
    assert "checkpoints cannot be copied" in capfd.readouterr().err


# The log is not what it was.


def test_a_log_that_was_moved_away_in_peace_goes_on(path):
    written(path, range(5))
    path.rename(path.with_name("old"))
    written(path, range(5, 10))
    assert found(path, path.with_name("old")) == ([], 10)


def test_a_log_that_vanished_after_a_kill_begins_anew_and_says_so(path, capfd):
    region = Region()
    log = open_log(path, every_records=1)
    journal(region, range(5))
    carry(log, region)
    kill(log)
    path.unlink()
    again = open_log(path)
    journal(region, range(5, 7))
    carry(again, region)
    assert again.chained.broken
    first = json.loads(path.read_bytes().splitlines()[0])
    assert (first["event"], first["after_seq"]) == ("start", 5)
    assert "checkpoint" in first["why"]
    assert "chain of evidence is broken" in capfd.readouterr().err
    again.close(NOW)
    copies = list(files.copies(Path(f"{path}.checkpoints")))[:1]
    assert found(path, copies=copies)[0] == [Kind.CUT]


def test_a_log_that_others_have_written_to_begins_anew(path):
    lines = written(path, range(5))
    path.write_bytes(b"".join(lines[:-1]) + lines[-1].replace(b"end yes", b"end not"))
    log = open_log(path)
    log.tick(NOW)
    assert log.chained.broken
    log.close(NOW)
    assert Kind.CHANGED in found(path)[0]


def test_lines_from_before_the_chain_are_set_aside(path):
    path.write_bytes(b'{"time":"2026-11-23T20:12:01.000000Z","n":99}\n')
    written(path, range(5))
    assert found(path) == ([], 5)
    assert [numbers(each) for each in logfile.rotated(path)] == [[99]]


def test_rotation_does_not_break_it(path):
    region = Region()
    log = open_log(path, rotation=Rotation(size=1))
    big = b'"n":0,"x":"%s"' % (b"x" * 50_000)
    for _ in range(90):
        region.journal(1, NOW, b"\xc0\x00\x02\x01", big)
        carry(log, region)
    log.close(NOW)
    rotated = logfile.rotated(path)
    assert len(rotated) >= 3
    assert found(path, *rotated) == ([], 90)
    assert found(path, *rotated[1:])[0] == [Kind.MISSING]


def test_another_writer_of_the_same_file_is_not_chained(path, monkeypatch, capfd):
    monkeypatch.setattr(writer, "_LOCK_PATIENCE", 0.0)
    region = Region()
    first, second = open_log(path), open_log(path)
    journal(region, range(3))
    carry(first, region)
    journal(region, range(3, 6))
    carry(second, region)
    assert (first.chained.broken, second.chained.broken) == (False, True)
    assert numbers(path) == list(range(6))  # written all the same
    assert found(path)[0] == [Kind.UNCHAINED] * 3
    assert "another process writes this evidence" in capfd.readouterr().err
    second.close(NOW)
    first.close(NOW)


def test_two_nodes_in_one_folder(path, tmp_path):
    written(path, range(5))
    written(tmp_path / "log2", range(5), node="dns2")
    assert found(path, tmp_path / "log2") == ([], 10)


def test_a_node_that_is_called_otherwise_begins_a_chain_of_its_own_and_says_why(path, capfd):
    written(path, range(5), node="4f0c1d")
    log = open_log(path, node="9ab3e7")  # as a container without a name of its own is at each start
    log.tick(NOW)
    assert log.chained.broken
    assert "the log has the chain of node 4f0c1d" in capfd.readouterr().err
    log.close(NOW)


# What cannot be written waits.


def test_records_wait_while_the_disk_is_full(path, monkeypatch):
    region = Region()
    log = open_log(path)
    journal(region, range(10))
    log.tick(NOW)
    real = os.write

    def full(descriptor, data):
        return real(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        settled = carry(log, region)
    assert 0 < settled < 10
    assert not log.is_ready(NOW)
    assert carry(log, region, NOW + 0.5) == 0
    assert carry(log, region, NOW + 5) == 10 - settled
    log.close(NOW)
    assert numbers(path) == list(range(10))
    assert log.dropped == 0
    assert found(path) == ([], 10)


def test_the_first_line_waits_too(path, tmp_path):
    folder = tmp_path / "later"
    log = open_log(folder / "log")
    region = Region()
    journal(region, range(3))
    assert carry(log, region) == 0
    folder.mkdir()
    assert carry(log, region, NOW + 100) == 3
    log.close(NOW)
    assert found(folder / "log") == ([], 3)


def test_losses_are_told_in_the_chain(path):
    log = open_log(path)
    assert log.chained.lose(7, "the journal had no room", NOW)
    said = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [(each["event"], each.get("records")) for each in said] == [("start", None), ("lost", 7)]
    verifier = Verifier(lambda checkpoint: "")
    verifier.feed("a", path.read_bytes().splitlines(keepends=True))
    assert verifier.nodes[b"dns1"].lost == 7
    log.close(NOW)


def to_stdout(folder, turn, *, ends=True):
    log, region = open_log("stdout", copies=folder / "copies", every_records=1), Region()
    journal(region, [turn])
    carry(log, region)
    log.close(NOW) if ends else kill(log)
    return log.chained


def test_a_chain_on_standard_output_goes_on_where_it_was_closed_in_order(tmp_path, capfd):
    assert [to_stdout(tmp_path, turn).broken for turn in range(3)] == [False, False, False]
    (tmp_path / "log").write_text(capfd.readouterr().out)
    assert events(tmp_path / "log").count("start") == 1
    assert found(tmp_path / "log") == ([], 3)


def test_a_chain_on_standard_output_begins_anew_after_a_kill(tmp_path, capfd):
    to_stdout(tmp_path, 0, ends=False)
    assert not to_stdout(tmp_path, 1).broken  # nobody could have known better
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert (said[3]["seq"], said[3]["after_seq"]) == (0, 1)
    assert said[3]["why"] == "standard output cannot be read back behind line 1, where it had a checkpoint"


# Files that can be checked without those before them.


def long_chain(path, keep=14):
    """Write a chain that is rotated several times; return the log and its rotated files, the oldest first."""
    region = Region()
    log = open_log(path, rotation=Rotation(size=1, keep=keep))
    big = b'"n":0,"x":"%s"' % (b"x" * 50_000)
    for _ in range(90):
        region.journal(1, NOW, b"\xc0\x00\x02\x01", big)
        carry(log, region)
    log.close(NOW)
    return [*reversed(logfile.rotated(path)), path]


def test_files_that_the_node_has_removed_itself_are_not_missed(path):
    files = long_chain(path, keep=2)
    assert len(files) == 3
    kinds, records = found(*files)
    assert kinds == []
    assert 0 < records < 90
    assert found(*files[1:])[0] == [Kind.MISSING]  # that one it had kept


def test_old_files_make_room_on_a_disk_that_is_full(path, monkeypatch):
    long_chain(path, keep=2)
    region, log = Region(), open_log(path, rotation=Rotation(size=1, keep=1))
    journal(region, range(3))
    real = os.write

    def full(descriptor, data):
        if len(logfile.rotated(path)) > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        log.chained._destination.set_aside(NOW)
        assert carry(log, region) == 0
        assert carry(log, region, NOW + 5) == 3
    log.close(NOW + 5)
    assert found(path, *logfile.rotated(path))[0] == []


def test_whoever_goes_on_remembers_what_was_removed(path):
    long_chain(path, keep=2)
    written(path, range(3), rotation=Rotation(size=1, keep=2))
    path.rename(path.with_name("moved"))
    written(path, range(3), rotation=Rotation(size=1, keep=2))  # the first line of its file says it once more
    assert found(path, path.with_name("moved"), *logfile.rotated(path))[0] == []


@pytest.mark.parametrize("taken", range(1, 5))
def test_files_removed_by_others_are_missed(path, taken):
    files = long_chain(path)
    assert found(*files[taken:])[0] == [Kind.MISSING]


def test_a_log_that_was_emptied_under_the_hands_of_its_writer_is_missed(path):
    log, region = open_log(path), Region()
    for turn in range(2):
        journal(region, [turn])
        carry(log, region)
        os.truncate(path, 0) if not turn else None
    log.close(NOW)
    assert found(path) == ([Kind.MISSING], 1)


def test_no_octet_of_a_later_file_can_be_changed(path):
    last = long_chain(path)[-1].read_bytes()
    verifier = Verifier(lambda checkpoint: "", since=10**9)
    verifier.feed("a", last.splitlines(keepends=True))
    verifier.finish()
    assert verifier.count == 0
    for at in range(300):  # the first line
        changed = last[:at] + bytes((last[at] ^ 1,)) + last[at + 1 :]
        verifier = Verifier(lambda checkpoint: "", since=10**9)
        verifier.feed("a", changed.splitlines(keepends=True))
        verifier.finish()
        assert verifier.count or not all(node.sure for node in verifier.nodes.values())
