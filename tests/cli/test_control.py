"""`blocker reload` and `blocker status` against a socket that says what it is told to say."""

import json
import socket
from threading import Thread

import pytest
from click.testing import CliRunner

from blocker.cli import blocker


@pytest.fixture
def daemon(tmp_path):
    """Return a function that serves one reply, and the command it was sent."""
    heard = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "control.sock"))
    listener.listen()

    def serve(reply):
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            heard.append(json.loads(stream.readline()))
            stream.write(reply)

    threads = []

    def start(reply):
        threads.append(Thread(target=serve, args=(reply,)))
        threads[-1].start()
        return heard

    yield start
    for thread in threads:
        thread.join(10)
    listener.close()


@pytest.fixture
def run(tmp_path):
    (tmp_path / "b.yaml").write_text("process: {control: control.sock}")
    return lambda *arguments: CliRunner().invoke(blocker, [*arguments, "--config", str(tmp_path / "b.yaml")])


STATUS = {"ok": True, "generation": 3, "workers": [{"pid": 7, "up": True}], "lists": {"tiktok": 54}, "last_error": None}
STATUS_TEXT = "generation  3\nworkers\n  pid 7, up yes\nlists\n  tiktok  54\nlast error  -\n"


@pytest.mark.parametrize(
    ("arguments", "reply", "status", "stdout", "stderr"),
    [
        (["reload"], {"ok": True}, 0, "ok\n", ""),
        (["reload"], {"ok": True, "generation": 4}, 0, "generation  4\n", ""),
        (["reload"], {"ok": False, "problems": ["a.yaml:1: x", "a.yaml:2: y"]}, 1, "",
         "reload refused: a.yaml:1: x\nreload refused: a.yaml:2: y\n"),
        (["reload"], {"ok": False, "problems": ["x"], "generation": 4}, 1, "", "reload refused: x\n"),
        (["reload", "--json"], {"ok": False, "problems": ["x"]}, 1, '{"ok": false, "problems": ["x"]}\n', ""),
        (["status"], STATUS, 0, STATUS_TEXT, ""),
        (["status", "--json"], STATUS, 0, json.dumps(STATUS) + "\n", ""),
        (["status"], {"ok": False, "generation": 3, "problems": ["worker 1: down"]}, 1, "generation  3\n",
         "not well: worker 1: down\n"),
        (["status"], {"ok": False}, 1, "", "not well: the blocker does not say why\n"),
    ],
)  # fmt: skip
def test_replies(daemon, run, arguments, reply, status, stdout, stderr):
    heard = daemon(json.dumps(reply).encode() + b"\n")
    result = run(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (status, stdout, stderr)
    assert heard == [{"command": arguments[0]}]


@pytest.mark.parametrize("reply", [b"", b"{\n", b"[]\n", b"{}\n", b'{"ok": 1}\n', b"\xff\n"])
def test_a_reply_that_is_none(daemon, run, reply):
    daemon(reply)
    result = run("status")
    assert result.exit_code == 2
    assert "is the running blocker of another version?" in result.stderr


@pytest.mark.parametrize("left_behind", [False, True])
def test_nobody_listens(tmp_path, run, left_behind):
    if left_behind:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as former:
            former.bind(str(tmp_path / "control.sock"))
    result = run("reload")
    assert result.exit_code == 2
    assert "no blocker listens there. Start it (`blocker run`)" in result.stderr


def test_a_path_too_long_for_a_socket(tmp_path):
    (tmp_path / "b.yaml").write_text(f"process: {{control: {'x' * 120}}}")
    result = CliRunner().invoke(blocker, ["status", "--config", str(tmp_path / "b.yaml")])
    assert result.exit_code == 2
    assert "cannot talk to the blocker" in result.stderr
