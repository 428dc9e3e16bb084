"""The search for names that nobody has listed, beside a blocker that serves: found, accepted, dismissed, killed."""

import json
import os
import signal

import pytest

from tests.e2e.client import addresses
from tests.e2e.daemon import LIST, eventually
from tests.e2e.upstream import V4

SINKHOLE = ["0.0.0.0"]
WHO = ("--by", "Jane Doe", "--reason", "it is theirs")
LISTS = {"banned.yaml": f"{LIST}brand: [banned]\n"}


@pytest.fixture
def daemon(start):
    """A blocker that looks for relatives."""
    made = start({"candidates": {"enabled": True}}, lists=LISTS)
    eventually(lambda: "candidates" in made.children())
    eventually(lambda: made.count("blocker_candidates_looked_timestamp_seconds"))
    return made


def candidates(daemon, *words):
    return daemon.run("candidates", *words, "--config", str(daemon.path))


def found(daemon):
    return [each["name"] for each in json.loads(candidates(daemon, "--json").stdout)]


def test_a_name_is_found_accepted_and_blocked(daemon):
    assert addresses(daemon.ask("cdn.banned-7.test")) == [V4]
    assert addresses(daemon.ask("bannedenizer.test")) == [V4]
    assert eventually(lambda: found(daemon)) == ["banned-7.test"]
    assert daemon.count("blocker_candidates", app="banned") == 1
    assert daemon.count("blocker_candidates_seen_total", app="banned", evidence="brand") == 1
    accepted = candidates(daemon, "accept", "banned-7.test", *WHO)
    assert accepted.stdout.endswith("in force\n"), accepted.stderr
    assert addresses(daemon.ask("cdn.banned-7.test")) == SINKHOLE
    assert found(daemon) == []


def test_one_that_was_dismissed_stays_so_when_the_process_is_killed(daemon):
    daemon.ask("banned-7.test")
    eventually(lambda: found(daemon))
    assert candidates(daemon, "dismiss", "banned-7.test", *WHO).returncode == 0
    former = daemon.children()["candidates"]
    os.kill(former, signal.SIGKILL)
    eventually(lambda: daemon.children().get("candidates", former) != former)
    looked = daemon.count("blocker_candidates_looked_timestamp_seconds")
    eventually(lambda: daemon.count("blocker_candidates_looked_timestamp_seconds") > looked, within=60)
    daemon.ask("banned-7.test")
    daemon.ask("banned-8.test")
    assert eventually(lambda: found(daemon)) == ["banned-8.test"]


def test_a_reload_begins_and_ends_the_search(start):
    daemon = start(lists=LISTS)
    assert "candidates" not in daemon.children()
    assert daemon.ask("banned-7.test")
    daemon.configure({"candidates": {"enabled": True}})
    assert daemon.reload().returncode == 0
    eventually(lambda: daemon.count("blocker_candidates_looked_timestamp_seconds"))
    daemon.ask("banned-7.test")  # also from the table of answers already given
    assert eventually(lambda: found(daemon)) == ["banned-7.test"]
    daemon.configure({"candidates": {"enabled": False}})
    assert daemon.reload().returncode == 0
    eventually(lambda: "candidates" not in daemon.children())
    assert [line["qname"] for line in daemon.attempts()] == []  # queries stay out of the attempt log
