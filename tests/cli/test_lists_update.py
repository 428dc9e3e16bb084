"""`blocker lists update`: what it prints, changes, and the exit status scripts rely on."""

import json
import socket
import threading

import pytest
from click.testing import CliRunner

from blocker.cli import blocker
from blocker.feeds.store import Store
from blocker.feeds.update import Result, State

TEN = "".join(f"name{number}.example\n" for number in range(10))


class Rig:
    """A configuration with two feeds, whose sources are files."""

    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state"
        feeds = "".join(f"  - {{name: {name}, app: {name}, url: 'file://{folder}/{name}'}}\n" for name in "ab")
        (folder / "blocker.yaml").write_text(
            f"lists: {{built_in: false}}\nprocess: {{state_dir: state}}\nfeeds:\n{feeds}"
        )
        (folder / "a").write_text(TEN)
        (folder / "b").write_text("other.example\nnot a name\n")

    def run(self, *arguments):
        return CliRunner().invoke(
            blocker, ["lists", "update", *arguments, "--config", str(self.folder / "blocker.yaml")]
        )

    def entries(self, name):
        edition = Store(self.state, name).facts().in_force
        return edition and edition.entries


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def test_all_feeds(rig):
    done = rig.run()
    assert done.exit_code == 0, done.output
    rows = [line.split("│") for line in done.output.splitlines() if "published" in line]
    assert [[cell.strip() for cell in row[1:-1]] for row in rows] == [
        ["a", "0", "10", "0", "published"],
        ["b", "0", "1", "1", "published"],
    ]
    assert "  rejected: b:2: " in done.output
    assert (rig.entries("a"), rig.entries("b")) == (10, 1)
    assert "in force" not in done.output  # nobody runs
    assert rig.run().output.count("unchanged") == 2


def test_one_feed(rig):
    assert rig.run("b").exit_code == 0
    assert (rig.entries("a"), rig.entries("b")) == (None, 1)


def test_dry_run(rig):
    done = rig.run("--dry-run")
    assert (done.exit_code, "nothing was changed" in done.output) == (0, True)
    assert not rig.state.exists()
    rig.run()
    before = {path: path.read_bytes() for path in rig.state.rglob("*") if path.is_file()}
    (rig.folder / "a").write_text(TEN + "more.example\n")
    assert "│ a    │ 10     │ 11    │" in rig.run("--dry-run").output
    assert {path: path.read_bytes() for path in rig.state.rglob("*") if path.is_file()} == before


def test_what_was_published_is_in_force_though_a_person_has_waited_enough(rig, monkeypatch):
    asked = []

    def ask(_path, command, _timeout):
        asked.append(command)
        return {"ok": True}

    def update(feed, *_arguments, **_how):
        if feed.name == "b":
            raise KeyboardInterrupt
        return Result("a", State.PUBLISHED, 0, 10)

    monkeypatch.setattr("blocker.cli.control.ask", ask)
    monkeypatch.setattr("blocker.feeds.update.update", update)
    assert rig.run().exit_code == 130
    assert asked == ["reload"]


def test_what_can_be_accepted_is_though_another_cannot(rig):
    rig.run()
    (rig.folder / "b").write_text("new.example\n")
    rig.run()
    done = rig.run("--accept", "b", "a")
    assert done.exit_code == 2
    assert "blocker: error: feed a: nothing is held" in done.stderr
    assert "│ b    │ 1      │ 1     │ 0        │ published │" in done.output


def test_held_and_accepted(rig):
    rig.run()
    (rig.folder / "a").write_text("name1.example\n")
    done = rig.run()
    assert done.exit_code == 1
    assert "a: held: 9 of 10 names in force (90%) would be lost; shrink allows 20%." in done.output
    assert rig.entries("a") == 10
    done = rig.run("--accept", "a")
    assert (done.exit_code, rig.entries("a")) == (0, 1), done.output
    done = rig.run("--accept", "a")
    assert (done.exit_code, "feed a: nothing is held" in done.output) == (2, True)


def test_held_and_rejected(rig):
    rig.run()
    (rig.folder / "a").write_text("name1.example\n")
    rig.run()
    done = rig.run("--reject", "a")
    assert (done.exit_code, rig.entries("a")) == (0, 10), done.output
    assert "│ a    │ 10     │ 1     │          │ rejected │" in done.output
    again = rig.run()
    assert (again.exit_code, "a: rejected: 9 of 10 names in force" in again.output) == (0, True), again.output
    done = rig.run("--reject", "b")
    assert (done.exit_code, "feed b: nothing is held" in done.output) == (2, True)


def test_failed(rig):
    (rig.folder / "a").unlink()
    done = rig.run()
    assert done.exit_code == 1
    assert f"a: failed: {rig.folder}/a: cannot be read: No such file" in done.output
    assert rig.entries("b") == 1  # one that fails does not stop the others


def test_json(rig):
    (rig.folder / "b").unlink()
    said = json.loads(rig.run("--json").output)
    assert [(each["feed"], each["state"], each["after"]) for each in said["feeds"]] == [
        ("a", "published", 10),
        ("b", "failed", 0),
    ]
    assert said["reload"] is None


@pytest.mark.parametrize(("arguments", "said"), [
    (["c"], "there is no feed 'c'; choose from a, b"),
    (["--accept"], "--accept and --reject want the NAME of each feed"),
    (["--reject"], "--accept and --reject want the NAME of each feed"),
    (["--accept", "--dry-run", "a"], "--accept and --reject want the NAME of each feed"),
    (["--accept", "--reject", "a"], "neither --dry-run nor each other"),
])  # fmt: skip
def test_usage(rig, arguments, said):
    done = rig.run(*arguments)
    assert (done.exit_code, said in done.output) == (2, True), done.output


def test_no_feeds(rig):
    (rig.folder / "blocker.yaml").write_text("{}")
    done = rig.run()
    assert (done.exit_code, "there are no feeds in the configuration" in done.output) == (2, True)


@pytest.mark.parametrize(("reply", "status", "said"), [
    ({"ok": True}, 0, "\nin force"),
    ({"ok": False, "problems": ["own.yaml:3: why"]}, 1, "NOT in force: the running blocker refused the reload:\n  own"),
])  # fmt: skip
def test_a_running_blocker_is_told(rig, reply, status, said):
    rig.state.mkdir()
    asked = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(rig.state / "control.sock"))
        listener.listen()

        def answer():
            for _ in range(1):
                connection, _ = listener.accept()
                with connection:
                    asked.append(json.loads(connection.makefile("rb").readline()))
                    connection.sendall(json.dumps(reply).encode() + b"\n")

        thread = threading.Thread(target=answer)
        thread.start()
        done = rig.run()
        thread.join()
        assert asked == [{"command": "reload"}]
        assert (done.exit_code, said in done.output) == (status, True), done.output
        assert rig.run().exit_code == 0  # nothing was published: nobody is asked, and nobody answers here
