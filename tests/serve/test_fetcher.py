"""The process that fetches feeds: a real one, forked, with the test as its supervisor."""

import json
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from blocker.config import Config
from blocker.errors import ArtifactError
from blocker.feeds import update as updating
from blocker.feeds.facts import Facts, to_json
from blocker.feeds.store import Store
from blocker.feeds.update import Result, State
from blocker.serve import fetcher

LIMIT = 15.0  # seconds after which a test gives up


class Running:
    """A process that fetches, and the supervisor's end of its channel."""

    def __init__(self, folder):
        self.folder = folder
        self.source = folder / "source.txt"
        self.state = folder / "state"
        self.state.mkdir()
        self.store = Store(self.state, "threats")
        self.log_file = folder / "stderr"
        self.log_file.touch()
        self.supervisor, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.supervisor.settimeout(LIMIT)
        self.pid = os.fork()
        if not self.pid:
            status = 70
            try:
                os.dup2(os.open(self.log_file, os.O_WRONLY | os.O_APPEND), 2)
                self.supervisor.close()
                status = fetcher.run(theirs)
            finally:
                os._exit(status)
        theirs.close()

    def generation(self, number=1, *, feeds=True, path=None):
        """Tell it of a generation."""
        feed = {"name": "threats", "app": "games", "url": f"file://{self.source}"}
        config = Config.model_validate({
            "feeds": [feed] if feeds else [], "process": {"state_dir": str(self.state)}, "lists": {"built_in": False},
        })  # fmt: skip
        target = self.folder / f"generation-{number}.json"
        target.write_text(json.dumps({"config": config.model_dump(mode="json")}))
        self.tell({"event": "generation", "path": str(path or target)})

    def tell(self, message):
        self.supervisor.send(json.dumps(message).encode() + b"\n")

    def asked(self):
        """Wait until it asks for a reload, and say that it went well."""
        said = json.loads(self.supervisor.recv(65536))
        assert said["command"] == "reload"
        self.tell({"ok": True, "problems": [], "ask": said["ask"]})

    def quiet(self, within):
        """Tell whether it asks for nothing."""
        self.supervisor.settimeout(within)
        try:
            return not self.supervisor.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.supervisor.settimeout(LIMIT)

    @property
    def log(self):
        return self.log_file.read_text()

    def ended(self):
        deadline = time.monotonic() + LIMIT
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)
        self.pid = 0
        return os.waitstatus_to_exitcode(ended[1])

    def close(self):
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        self.supervisor.close()


@pytest.fixture
def running(tmp_path):
    made = Running(tmp_path)
    yield made
    made.close()
    assert "a bug of ours" not in made.log, made.log


def eventually(found):
    deadline = time.monotonic() + LIMIT
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_was_never_fetched_is_fetched_at_once_and_put_in_force(running):
    running.source.write_text("one.example\n")
    running.generation()
    running.asked()
    assert running.store.facts().in_force.entries == 1
    assert "feed published" in running.log
    running.generation(2)  # as the supervisor says after the reload
    assert running.quiet(0.5)  # nothing is due for a day
    running.tell({"event": "stop"})
    assert running.ended() == 0


def test_a_source_that_is_down_is_told_and_not_asked_for(running):
    running.generation()
    eventually(lambda: "feed not updated; the edition in force stays" in running.log)
    assert running.quiet(0.3)
    assert running.store.facts().failures == 1


def test_a_damaged_copy_is_set_aside_and_fetched_anew(running):
    running.source.write_text("one.example\n")
    running.generation()
    running.asked()
    store = running.store
    store.path(store.facts().in_force).write_text("evil.example\n")
    running.generation(2)
    running.asked()
    assert "was damaged on disk and set aside" in running.log
    assert store.path(store.facts().in_force).read_text() == "one.example\n"


def test_without_feeds_it_ends(running):
    running.generation(feeds=False)
    assert running.ended() == 0


def test_a_generation_that_cannot_be_read_changes_nothing(running):
    running.source.write_text("one.example\n")
    running.generation()
    running.asked()
    running.generation(2, path=running.folder / "none.json")
    eventually(lambda: "the former schedule goes on" in running.log)
    running.tell({"event": "stop"})
    assert running.ended() == 0


def test_it_ends_with_the_supervisor(running):
    running.supervisor.close()
    assert running.ended() == 0


class Asked:
    """The supervisor, as far as it is asked for reloads."""

    def __init__(self):
        self.reloads = 0

    def reload(self, timeout):
        self.reloads += 1
        return {"ok": timeout > 0}


@pytest.fixture
def alone(tmp_path):
    """A fetcher within the test, which says when time has come."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made = fetcher.Fetcher(theirs)
    made._link = Asked()
    feeds = [
        {"name": name, "app": "games", "url": f"file://{tmp_path}/{name}.txt", "max_size": 1}
        for name in ("slow", "quick")
    ]
    made._config = Config.model_validate({
        "feeds": feeds, "process": {"state_dir": str(tmp_path / "state")}, "lists": {"built_in": False},
    })  # fmt: skip
    (tmp_path / "state").mkdir()
    yield made
    ours.close()
    theirs.close()


def test_a_slow_source_keeps_no_other_feed_waiting(alone, monkeypatch):
    quick = threading.Event()

    def update(feed, _config, _state, now):
        if feed.name == "slow":
            assert quick.wait(LIMIT)
            return Result("slow", State.FAILED, 0, 0, why="the source is silent")
        quick.set()
        return Result("quick", State.PUBLISHED, 0, 1)

    monkeypatch.setattr("blocker.feeds.update.update", update)
    alone._round()
    assert alone._link.reloads == 1


def test_what_is_published_waits_only_so_long_for_a_slow_source(alone, monkeypatch):
    monkeypatch.setattr(fetcher, "_GATHER", 0.0)
    in_force = threading.Event()
    alone._link.reload = lambda _timeout: in_force.set() or {"ok": True}

    def update(feed, _config, _state, now):
        if feed.name == "slow":
            assert in_force.wait(LIMIT)
        return Result(feed.name, State.PUBLISHED if feed.name == "quick" else State.UNCHANGED, 0, 1)

    monkeypatch.setattr("blocker.feeds.update.update", update)
    alone._round()
    assert in_force.is_set()


def test_a_bug_with_one_feed_delays_no_other_and_is_not_run_into_again_at_once(alone, monkeypatch):
    def update(feed, _config, _state, now):
        if feed.name == "slow":
            raise RuntimeError
        return real(feed, _config, _state, now)

    real = updating.update
    (Path(alone._config.process.state_dir).parent / "quick.txt").write_text("one.example\n")
    monkeypatch.setattr("blocker.feeds.update.update", update)
    alone._round()
    assert alone._link.reloads == 1
    assert alone._nap() > 20


def test_a_source_is_not_asked_again_at_once_because_the_disk_takes_no_note_of_it(alone, tmp_path):
    for name in ("slow", "quick"):
        (tmp_path / f"{name}.txt").write_text("one.example\n")
        (tmp_path / f"state/feeds/{name}/.facts-{os.getpid()}").mkdir(parents=True)  # nothing can be written there
    alone._round()
    assert alone._nap() > 20
    assert alone._unwritten["slow"].failures == 1
    store = Store(tmp_path / "state", "quick")
    (store.folder / "facts.json").write_bytes(to_json(Facts(tried=time.time() + 1e6, failures=1)))  # of before a clock
    assert alone._nap() > 20  # was set back
    (tmp_path / f"state/feeds/slow/.facts-{os.getpid()}").rmdir()
    alone._fetch(alone._config.feeds[0], alone._config)
    assert set(alone._unwritten) == {"quick"}  # it is written now


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"config": {"feeds": 5}}'])
def test_what_is_no_generation(tmp_path, content):
    (tmp_path / "g.json").write_text(content)
    with pytest.raises(ArtifactError, match="not a generation"):
        fetcher.configured(tmp_path / "g.json")
