"""Files are there whole or not at all, and readable for the account that serves."""

import os

import pytest

from blocker.bundle import disk


@pytest.fixture(autouse=True)
def strict():
    """Root with a umask that hides everything."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_a_file_is_readable_whatever_the_umask(tmp_path):
    disk.folder(tmp_path / "a" / "b")
    disk.write(tmp_path / "a" / "b" / "c", b"x")
    disk.append(tmp_path / "log", b"y")
    assert [(tmp_path / each).stat().st_mode & 0o777 for each in ("a", "a/b", "a/b/c", "log")] == [
        0o755, 0o755, 0o644, 0o644,
    ]  # fmt: skip


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        disk.write(tmp_path / "a", b"new")


def test_a_file_is_replaced_at_one_moment(tmp_path, monkeypatch):
    disk.replace(tmp_path / "a", b"one")
    disk.replace(tmp_path / "a", b"two")
    monkeypatch.setattr(os, "fsync", lambda handle: os.fstat(-1))
    with pytest.raises(OSError, match="Bad file descriptor"):
        disk.replace(tmp_path / "a", b"three")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a", b"two")]


def test_lines_are_added(tmp_path):
    for line in (b"one", b"two"):
        disk.append(tmp_path / "log", line)
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_folders_are_moved_and_removed(tmp_path):
    disk.folder(tmp_path / "a")
    disk.move(tmp_path / "a", tmp_path / "b")
    disk.remove(tmp_path / "b")
    disk.remove(tmp_path / "b")  # gone already
    disk.sync(tmp_path)
    assert list(tmp_path.iterdir()) == []
