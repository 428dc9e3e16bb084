"""Started as root, served by nobody."""

import os
import pwd
import random
from pathlib import Path

import pytest

from tests.e2e import everybody
from tests.e2e.client import addresses
from tests.e2e.daemon import eventually
from tests.e2e.test_exceptions import act, approve, audit, request
from tests.e2e.upstream import V4


@pytest.fixture
def folder():
    """A folder that others may walk through, unlike pytest's own."""
    with everybody.folder() as made:
        yield made


@pytest.fixture
def readable(folder):
    """The command that shows a child process an installation that everybody can read."""
    return everybody.readable(folder)


def owners(pid):
    """Return all user and group ids of a process, real to filesystem's, and its supplementary groups."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        word, _, rest = line.partition(":")
        found[word] = rest.split()
    return set(found["Uid"]), set(found["Gid"]), found["Groups"], found["CapEff"]


@pytest.mark.usefixtures("root")
def test_nobody_serves_what_root_has_bound(folder, start, readable):
    nobody = pwd.getpwnam("nobody")
    host = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    logs = folder / "logs"
    logs.mkdir()
    os.chown(logs, nobody.pw_uid, nobody.pw_gid)
    config = {"process": {"user": "nobody"}, "log": {"attempts": str(logs / "attempts.jsonl")}}
    daemon = start(config, folder=folder / "blocker", hosts=(host,), port=53, wrap=readable)
    children = daemon.children()
    assert sorted(children) == ["control", "worker 0", "worker 1"]
    for pid in (daemon.process.pid, *children.values()):
        uids, gids, groups, capabilities = owners(pid)
        assert (uids, gids) == ({str(nobody.pw_uid)}, {str(nobody.pw_gid)})
        assert groups == []
        assert int(capabilities[0], 16) == 0
    assert addresses(daemon.ask("www.banned.example")) == ["0.0.0.0"]
    assert addresses(daemon.ask("www.allowed.example")) == [V4]
    with daemon.stream() as stream:
        assert addresses(stream.ask("www.banned.example")) == ["0.0.0.0"]
    (daemon.lists / "more.txt").write_text("raffle.example\n")
    found = daemon.reload()
    assert (found.returncode, found.stderr) == (0, "")
    assert addresses(daemon.ask("www.raffle.example")) == ["0.0.0.0"]
    os.kill(children["worker 0"], 9)  # a new one gets the port although nobody may bind it
    eventually(lambda: daemon.count("blocker_worker_restarts_total") == 1)
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    for _ in range(10):
        assert addresses(daemon.ask("www.banned.example")) == ["0.0.0.0"]
    eventually((logs / "attempts.jsonl").exists)
    assert (logs / "attempts.jsonl").stat().st_uid == nobody.pw_uid
    assert daemon.stop() == 0
    assert not daemon.control.exists()


@pytest.mark.usefixtures("root")
def test_a_state_folder_of_roots_is_handed_on(folder, start, readable):
    first = start(folder=folder / "blocker")
    assert first.stop() == 0
    daemon = start(
        {"process": {"user": "nobody"}, "log": {"attempts": "off"}}, folder=folder / "blocker", wrap=readable
    )
    (daemon.lists / "more.txt").write_text("raffle.example\n")
    for _ in range(4):  # the oldest of root's files are tidied away
        assert daemon.reload().returncode == 0
    assert addresses(daemon.ask("www.raffle.example")) == ["0.0.0.0"]


def test_an_account_that_does_not_exist(start):
    daemon = start({"process": {"user": "no-such-account"}}, wait=False)
    assert daemon.ended() == 2
    assert "no-such-account" in daemon.log
    assert "Create the account" in daemon.log


@pytest.mark.usefixtures("root")
def test_what_root_approves_nobody_serves_and_ends(folder, start, readable):
    """The store belongs to whom the folder belongs: the control process writes down what has ended."""
    config = {"process": {"user": "nobody"}, "log": {"attempts": "off"}}
    daemon = start(config, folder=folder / "blocker", wrap=readable)
    number = request(daemon, lasts="20s")
    approve(daemon, number)
    assert addresses(daemon.ask("www.banned.example")) == [V4]
    eventually(lambda: audit(daemon)[-1] == "ended", within=40)
    assert addresses(daemon.ask("www.banned.example")) == ["0.0.0.0"]
    kept = [each for each in (daemon.folder / "state").iterdir() if each.name.startswith("exceptions.")]
    assert {each.owner() for each in kept} == {"nobody"}
    assert daemon.count("blocker_exceptions_readable") == 1
    act(daemon, "add", "--exact", "other.banned.example", "--for", "1h", "--reason", "and root again")
