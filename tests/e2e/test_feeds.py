"""Feeds from a publisher over HTTPS, to a blocker whose clients ask all the while."""

import gzip
import os
import signal
import threading
import time

import pytest

from tests.e2e.client import addresses
from tests.e2e.daemon import eventually
from tests.e2e.upstream import V4
from tests.feeds.server import HOST, Authority, Publisher
from tests.feeds.test_bootstrap import Resolver

SINKHOLE = ["0.0.0.0"]
FIRST = b"".join(b"name%d.example\n" % number for number in range(20))


@pytest.fixture
def publisher(tmp_path):
    """A publisher whose name only a resolver of the test knows; `config` is what a blocker needs for it."""
    authority, resolver = Authority(tmp_path), Resolver()
    resolver.records[HOST, "A"] = ["127.0.0.1"]
    made = Publisher(authority.chain(HOST))
    made.pages["/list"] = FIRST
    feed = {"name": "threats", "app": "threats", "url": made.url("/list", HOST)}
    made.config = {
        "feeds": [feed],
        "fetch": {"resolvers": [str(resolver.end)], "ca_file": str(authority.file), "attempts": 1},
    }
    yield made
    made.close()
    resolver.close()


def update(daemon, *arguments):
    return daemon.run("lists", "update", *arguments, "--config", str(daemon.path))


@pytest.fixture
def daemon(start, publisher):
    """A blocker that has fetched its feed."""
    made = start(publisher.config)
    eventually(lambda: made.everywhere("name1.example", SINKHOLE))
    return made


def test_a_changed_list_is_in_force_after_an_update_and_no_answer_is_lost(daemon, publisher, upstream):
    assert addresses(daemon.ask("new.example")) == [V4]
    answers, running = [], threading.Event()

    def ask():
        with daemon.client() as client:
            while not running.is_set():
                answers.append((addresses(client.ask("www.name1.example")), addresses(client.ask("free.example"))))

    asker = threading.Thread(target=ask)
    asker.start()
    publisher.pages["/list"] = lambda page: page.say(
        200, gzip.compress(FIRST + b"new.example\n"), Content_Encoding="gzip"
    )
    done = update(daemon)
    running.set()
    asker.join()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "in force" in done.stdout
    assert addresses(daemon.ask("www.new.example")) == SINKHOLE
    assert set(map(str, answers)) == {str((SINKHOLE, [V4]))}  # blocked before, meanwhile and after
    assert upstream.seen("www.name1.example") == []
    eventually(lambda: daemon.count("blocker_feed_entries", feed="threats") == 21)
    assert daemon.count("blocker_feed_held", feed="threats") == 0
    said = daemon.run("explain", "www.new.example", "--config", str(daemon.path)).stdout
    assert "threats" in said
    assert ".list:21" in said


def test_a_shrunk_list_waits_for_a_person(daemon, publisher):
    publisher.pages["/list"] = b"name1.example\n"
    done = update(daemon)
    assert (done.returncode, "held: 19 of 20 names" in done.stdout) == (1, True), done.stdout
    assert addresses(daemon.ask("name7.example")) == SINKHOLE
    assert daemon.count("blocker_feed_held", feed="threats") == 1
    differs = daemon.run("lists", "diff", "threats", "threats:held", "--config", str(daemon.path), "--limit", "1")
    assert (differs.returncode, "threats: 0 added, 19 removed" in differs.stdout) == (1, True), differs.stdout
    assert update(daemon, "--accept", "threats").returncode == 0
    assert addresses(daemon.ask("name7.example")) == [V4]
    assert addresses(daemon.ask("name1.example")) == SINKHOLE
    assert daemon.count("blocker_feed_held", feed="threats") == 0


@pytest.mark.parametrize("page", [None, lambda page: page.say(500), b"<html>Log in</html>", b"\0\1\2" * 99])
def test_a_broken_source_changes_nothing(daemon, publisher, page):
    publisher.pages["/list"] = page
    done = update(daemon)
    assert (done.returncode, "threats: failed: " in done.stdout) == (1, True), done.stdout
    assert addresses(daemon.ask("name1.example")) == SINKHOLE
    assert daemon.count("blocker_feed_failures_total", feed="threats") == 1
    assert daemon.count("blocker_reload_total", result="refused") == 0


def test_the_copy_on_disk_serves_after_a_restart_while_the_source_is_down(daemon, publisher, start):
    daemon.stop()
    publisher.pages.clear()
    again = start(publisher.config, folder=daemon.folder)
    assert addresses(again.ask("name1.example")) == SINKHOLE
    assert len(publisher.asked) == 1  # it is not due, so nobody was asked


def test_a_source_that_is_down_from_the_first_does_not_stop_the_start(start, publisher):
    publisher.pages.clear()
    daemon = start(publisher.config)
    assert addresses(daemon.ask("name1.example")) == [V4]
    assert addresses(daemon.ask("www.banned.example")) == SINKHOLE
    eventually(lambda: daemon.count("blocker_feed_failures_total", feed="threats") == 1)
    assert daemon.count("blocker_feed_last_success_timestamp_seconds", feed="threats") == 0
    assert "feed threats was never fetched" in daemon.log


def test_feeds_come_and_go_with_the_configuration(start, publisher):
    daemon = start({})
    assert "feeds" not in daemon.children()
    daemon.configure(publisher.config)
    assert daemon.reload().returncode == 0
    eventually(lambda: daemon.everywhere("name1.example", SINKHOLE))
    assert "feeds" in daemon.children()
    daemon.configure({"feeds": []})
    assert daemon.reload().returncode == 0
    eventually(lambda: "feeds" not in daemon.children())
    assert addresses(daemon.ask("name1.example")) == [V4]
    time.sleep(1)  # it must not be taken for dead and started again
    assert "feeds" not in daemon.children()
    assert "process died" not in daemon.log


def test_dns_goes_on_when_the_process_that_fetches_is_killed(daemon):
    os.kill(daemon.children()["feeds"], signal.SIGKILL)
    for _ in range(20):
        assert addresses(daemon.ask("name1.example")) == SINKHOLE
    eventually(lambda: "feeds" in daemon.children())
    assert daemon.stop() == 0


def test_a_category_is_blocked_like_an_app_and_recorded_without_a_decision(start, publisher):
    feed = {key: value for key, value in publisher.config["feeds"][0].items() if key != "app"} | {"category": "malware"}
    groups = [{"name": "others", "clients": ["127.0.0.2/32"], "block": ["banned"]}]
    daemon = start({**publisher.config, "feeds": [feed], "groups": groups})
    eventually(lambda: daemon.everywhere("name1.example", SINKHOLE))
    with daemon.client(source="127.0.0.2") as other:  # whose group names the banned app alone
        assert addresses(other.ask("name1.example")) == [V4]
        assert addresses(other.ask("www.banned.example")) == SINKHOLE
    eventually(lambda: {line["app"] for line in daemon.attempts()} == {"malware", "banned"})
    assert {(line["app"], line.get("reference")) for line in daemon.attempts()} == {
        ("malware", None), ("banned", "decision-1"),
    }  # fmt: skip
    eventually(lambda: daemon.count("blocker_blocked_total", app="malware", group="default") >= 1)
