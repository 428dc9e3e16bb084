"""Where log lines go, and what happens when they cannot."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocker.config import Rotation
from blocker.sinks import logfile
from blocker.sinks.logfile import LogFile, Stdout

NOW = datetime(2026, 11, 23, 20, 12, 1, tzinfo=UTC).timestamp()
LINES = [b'{"time":"2026-11-23T20:12:01.000001Z","n":1}\n', b'{"time":"2026-11-23T20:12:01.000002Z","n":2}\n']


def log_at(path: Path, **rotation: int) -> LogFile:
    """Return a log at `path`."""
    return LogFile(path, Rotation(**rotation))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the log is."""
    return tmp_path / "attempts.jsonl"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_file_is_for_owner_and_group(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        log_at(path).write(LINES, NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_an_existing_file_keeps_its_mode_and_its_lines(path: Path) -> None:
    path.write_bytes(LINES[0])
    path.chmod(0o600)
    log_at(path).write(LINES[1:], NOW)
    assert path.read_bytes() == b"".join(LINES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Rotation.


def test_a_full_file_gives_way(path: Path) -> None:
    log = log_at(path, size=1)
    big = b"x" * ((1 << 20) - 1) + b"\n"
    for line in (big, LINES[0], LINES[1]):
        log.write([line], NOW)
    assert path.read_bytes() == b"".join(LINES)
    assert [each.name for each in logfile.rotated(path)] == ["attempts.jsonl.20261123T201201"]
    assert log.dropped == 0


@pytest.mark.parametrize(("passed", "rotates"), [(59, False), (61, True)])
@pytest.mark.parametrize("restarted", [False, True])  # a restart does not make a file young
def test_an_old_file_gives_way(path: Path, passed: int, rotates: bool, restarted: bool) -> None:
    log = log_at(path, age=60)
    log.write(LINES, NOW)
    if restarted:
        log.close()
        log = log_at(path, age=60)
    log.write(LINES, NOW + passed)
    assert len(logfile.rotated(path)) == rotates


def test_the_age_of_foreign_lines_is_the_files(path: Path) -> None:
    path.write_bytes(b'{"time":"2026-99-99T00:00:00Z"}\n')
    os.utime(path, (NOW, NOW))
    log = log_at(path, age=60)
    log.write(LINES, NOW + 59)
    assert logfile.rotated(path) == []


def test_rotated_files_of_one_second_are_numbered_and_the_newest_are_kept(path: Path) -> None:
    log = log_at(path, age=60, keep=3)
    (path.parent / "attempts.jsonl.gz").touch()  # not ours
    for number in range(5):
        log.write([b'{"time":"2000-01-01T00:00:00Z","n":%d}\n' % number], NOW)
        log.close()  # the next write sees an old file
    log.write(LINES, NOW)
    assert [each.name[len("attempts.jsonl.20261123T20") :] for each in logfile.rotated(path)] == [
        "1201.4",
        "1201.3",
        "1201.2",
    ]
    assert b'"n":4' in logfile.rotated(path)[0].read_bytes()
    assert (path.parent / "attempts.jsonl.gz").exists()


def test_none_are_kept_where_none_are_wanted(path: Path) -> None:
    log = log_at(path, age=60, keep=0)
    log.write(LINES, NOW)
    log.write(LINES[:1], NOW + 60)
    assert logfile.rotated(path) == []
    assert path.read_bytes() == LINES[0]


def test_a_file_that_cannot_be_rotated_grows_on(
    path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log = log_at(path, age=60)
    log.write(LINES, NOW)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        log.write(LINES, NOW + 60)
        log.write(LINES, NOW + 61)
    assert path.read_bytes() == b"".join(LINES * 3)
    assert log.dropped == 0
    assert capfd.readouterr().err.count("log cannot be rotated; it grows on") == 1
    log.write(LINES, NOW + 200)
    assert path.read_bytes() == b"".join(LINES)


# Others move the file.


@pytest.mark.parametrize("told", [False, True])
def test_after_anothers_rotation_a_new_file_is_begun(path: Path, told: bool) -> None:
    log = log_at(path)
    log.write(LINES[:1], NOW)
    path.rename(path.with_suffix(".1"))
    if told:
        log.reopen()
    log.write(LINES[1:], NOW)
    assert path.read_bytes() == LINES[1]
    assert path.with_suffix(".1").read_bytes() == LINES[0]


def test_a_copied_and_truncated_file_goes_on(path: Path) -> None:
    log = log_at(path)
    log.write(LINES[:1], NOW)
    os.truncate(path, 0)
    log.write(LINES[1:], NOW)
    assert path.read_bytes() == LINES[1]


# Trouble.


def test_a_vanished_folder_costs_lines_not_the_process(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = log_at(folder / "a.jsonl")
    log.write(LINES, NOW)
    (folder / "a.jsonl").unlink()
    folder.rmdir()
    log.write(LINES, NOW + 1)
    assert log.dropped == 2
    folder.mkdir()
    log.write(LINES, NOW + 1.5)  # too early to try again
    assert log.dropped == 4
    log.write(LINES, NOW + 2)
    assert log.dropped == 4
    assert (folder / "a.jsonl").read_bytes() == b"".join(LINES)
    told = capfd.readouterr().err
    assert "log cannot be written; events are dropped" in told
    assert 'why="No such file or directory"' in told
    assert "log is written again" in told


def test_trouble_is_told_once_a_minute_and_tried_ever_more_rarely(
    path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tried: list[float] = []
    log = log_at(path.parent / "missing" / "a.jsonl")

    def opened(now: float) -> int:
        tried.append(now - NOW)
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(log, "_open", opened)
    for second in range(200):
        log.write(LINES, NOW + second)
    assert tried == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert log.dropped == 400
    assert capfd.readouterr().err.count("log cannot be written") == 4  # at 0, 63, 123 and 183 seconds


def test_a_clock_set_back_does_not_keep_the_log_closed(tmp_path: Path) -> None:
    log = log_at(tmp_path / "logs" / "a.jsonl")
    log.write(LINES, NOW)
    (tmp_path / "logs").mkdir()
    log.write(LINES, NOW - 86400)
    assert log.dropped == 2


@pytest.mark.parametrize(("taken", "kept"), [(0, 0), (10, 0), (45, 1), (60, 1), (89, 1)])
def test_a_full_disk_leaves_whole_lines(path: Path, monkeypatch: pytest.MonkeyPatch, taken: int, kept: int) -> None:
    log = log_at(path)
    log.write(LINES, NOW)
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:taken]) if descriptor > 2 else 0)
        log.write(LINES, NOW + 1)
    assert log.dropped == 2 - kept
    log.write(LINES, NOW + 10)
    assert path.read_bytes() == b"".join(LINES + LINES[:kept] + LINES)


def test_a_real_full_disk() -> None:
    log = log_at(Path("/dev/full"))
    log.write(LINES, NOW)
    assert log.dropped == 2


def test_a_fifo_that_nobody_reads_does_not_stop_us(path: Path) -> None:
    os.mkfifo(path)
    log = log_at(path)
    log.write(LINES, NOW)
    assert log.dropped == 2
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log.write(LINES, NOW + 10)
    assert os.read(reader, 4096) == b"".join(LINES)
    os.close(reader)
    log.close()


# Standard output.


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return the ends of a pipe of one page, reading and writing."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield reader, writer
    for end in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(end)


def test_standard_output_gets_whole_lines_even_after_trouble(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    monkeypatch.setattr(logfile, "_PATIENCE", 0)
    log = Stdout(writer)
    lines = [b"%04d" % number + b"x" * 95 + b"\n" for number in range(60)]
    log.write(lines, NOW)  # 40 lines and 96 octets fit
    first = os.read(reader, 65536)
    log.write(lines[:5], NOW + 0.5)  # too early
    log.write([b"last\n"], NOW + 10)
    told = (first + os.read(reader, 65536)).splitlines(keepends=True)
    assert told == [*lines[:41], b"last\n"]
    assert log.dropped == 60 - 41 + 5


def test_a_slow_reader_is_waited_for(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    found = bytearray()

    def read_some(_writer: int) -> bool:
        found.extend(os.read(reader, 4096))
        return True

    monkeypatch.setattr(logfile, "_has_room", read_some)
    log = Stdout(writer)
    lines = [b"x" * 999 + b"\n"] * 20
    log.write(lines, NOW)
    found += os.read(reader, 65536)
    assert bytes(found) == b"".join(lines)
    assert log.dropped == 0


def test_a_reader_that_is_gone_costs_lines_not_the_process(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    log = Stdout(writer)
    log.write(LINES, NOW)
    assert log.dropped == 2
    log.reopen()
    log.close()
