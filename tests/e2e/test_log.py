"""The attempt log on bad days: full files, full disks. DNS must not notice."""

import os
import subprocess

import pytest

from tests.e2e.client import addresses, query
from tests.e2e.conftest import need
from tests.e2e.daemon import eventually, records
from tests.e2e.upstream import V4

LONG = ".".join(["x" * 60] * 3)


def ask_blocked(daemon, count, start=0):
    """Ask for `count` blocked names, each another one and long."""
    with daemon.client() as client:
        messages = [query(f"n{start + number}.{LONG}.banned.example") for number in range(count)]
        return len(client.ask_all(messages))


def test_a_full_file_gives_way_to_a_new_one(start):
    daemon = start({"log": {"rotation": {"size": 1, "keep": 10}}})
    assert ask_blocked(daemon, 4000) == 4000
    eventually(lambda: len(daemon.attempts()) == 4000)
    ask_blocked(daemon, 1, start=4000)
    eventually(lambda: len(daemon.attempts()) == 4001)
    assert list(daemon.folder.glob("attempts.jsonl.*"))
    assert {line["qname"].partition(".")[0] for line in daemon.attempts()} == {f"n{number}" for number in range(4001)}
    assert daemon.count("blocker_events_dropped_total") == 0


def test_others_rotate_too(start):
    daemon = start()
    ask_blocked(daemon, 10)
    eventually(lambda: len(daemon.attempts()) == 10)
    log = daemon.folder / "attempts.jsonl"
    log.rename(daemon.folder / "attempts.jsonl.1")
    daemon.signal(10)  # SIGUSR1
    ask_blocked(daemon, 10, start=10)
    eventually(lambda: log.exists() and len(records(log)) == 10)
    assert len(records(daemon.folder / "attempts.jsonl.1")) == 10


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a disk of 64 KiB."""
    need(os.geteuid() == 0, "needs root, to mount a small disk")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "blocker-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    need(done.returncode == 0, f"this machine mounts nothing: {done.stderr.strip()}; /dev/full stands for it")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_changes_no_answer(start, full_disk):
    log = full_disk / "attempts.jsonl"
    daemon = start({"log": {"attempts": str(log)}})
    assert ask_blocked(daemon, 1000) == 1000
    dropped = eventually(lambda: daemon.count("blocker_events_dropped_total"))
    assert dropped > 0
    assert daemon.count("blocker_blocked_total", app="banned") == 1000
    assert addresses(daemon.ask("www.allowed.example")) == [V4]
    assert "events are dropped" in daemon.log
    assert daemon.get("/readyz")[0] == 200
    eventually(lambda: len(records(log)) + daemon.count("blocker_events_dropped_total") >= 1000)
    assert log.read_text().endswith("\n")  # no line was torn
    kept = records(log)
    assert {each["app"] for each in kept} == {"banned"}
    assert len(kept) + daemon.count("blocker_events_dropped_total") == 1000


def test_a_log_that_takes_nothing_changes_no_answer(start):
    daemon = start({"log": {"attempts": "/dev/full"}})
    assert ask_blocked(daemon, 200) == 200
    eventually(lambda: daemon.count("blocker_events_dropped_total") == 200)
    assert daemon.count("blocker_blocked_total", app="banned") == 200
    assert addresses(daemon.ask("www.allowed.example")) == [V4]
    assert "No space left on device" in daemon.log


def test_every_query_where_somebody_wants_it(start):
    daemon = start({"log": {"queries": "stdout"}})
    for name in ("www.banned.example", "www.allowed.example"):
        daemon.ask(name)
    lines = eventually(lambda: len(found := records(daemon.folder / "stdout")) == 2 and found)
    assert [(line["qname"], line["outcome"]) for line in lines] == [
        ("www.banned.example", "blocked"), ("www.allowed.example", "upstream"),
    ] or {line["outcome"] for line in lines} == {"blocked", "upstream"}  # fmt: skip
    eventually(lambda: [line["qname"] for line in daemon.attempts()] == ["www.banned.example"])
