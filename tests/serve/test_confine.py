"""What a process can still do that reads strangers' packets: tried out, one by one, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from blocker.errors import CaptureError
from blocker.serve import confine

TRIES = """
import json, os, signal, socket, sys
from pathlib import Path
from blocker.serve import confine

allowed, other = Path(sys.argv[1]), Path(sys.argv[2])
opened = open(allowed / "file", "rb")
listening = socket.create_server(("127.0.0.1", 0))
held = confine.confine("nobody", [allowed])
confine.start_nothing()

def attempt(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "done"

print(json.dumps({
    "held": held,
    "uid": os.getresuid()[0],
    "read before": attempt(lambda: opened.read()),
    "read": attempt(lambda: (allowed / "file").read_bytes()),
    "read elsewhere": attempt(lambda: (other / "file").read_bytes()),
    "write": attempt(lambda: (allowed / "new").write_bytes(b"x")),
    "capture": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),
    "rules": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)),
    "become root": attempt(lambda: os.setuid(0)),
    "run a program": attempt(lambda: os.posix_spawn("/bin/true", ["true"], {})),
    "connect": attempt(lambda: socket.socket().connect(listening.getsockname())),
    "end a process": attempt(lambda: os.kill(int(sys.argv[3]), signal.SIGKILL)),
}))
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    folders = [tmp_path_factory.mktemp(name) for name in ("allowed", "other")]
    for folder in folders:
        for above in (folder, *folder.parents[:2]):
            above.chmod(0o755)
        (folder / "file").write_bytes(b"hello")
    root = Path(__file__).parents[2]
    with subprocess.Popen(["sleep", "60"], user="nobody") as neighbour:
        command = [sys.executable, "-c", TRIES, *map(str, (*folders, neighbour.pid))]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        neighbour.kill()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_is_nobody_without_capabilities(tried):
    assert tried["uid"] not in (0, os.getuid())
    assert tried["held"][:2] == ["account nobody", "no capabilities"]


@pytest.mark.parametrize(("what", "version"), [("connect", 4), ("end a process", 6)])
def test_what_it_may_not_where_the_kernel_is_new_enough(tried, what, version):
    held = next((int(each.split()[1]) for each in tried["held"] if each.startswith("Landlock")), 0)
    assert tried[what] == ("PermissionError" if held >= version else "done")


@pytest.mark.parametrize(("what", "result"), [
    ("read before", "done"), ("read", "done"), ("read elsewhere", "PermissionError"), ("write", "PermissionError"),
    ("capture", "PermissionError"), ("rules", "PermissionError"), ("become root", "PermissionError"),
])  # fmt: skip
def test_what_it_may(tried, what, result):
    assert tried[what] == result


def test_it_runs_no_program(tried):
    assert tried["run a program"] in ("PermissionError", "BlockingIOError")


def test_an_account_that_is_not_there_is_said_and_nothing_is_read():
    with pytest.raises(CaptureError, match="no account 'nosuchone'"):
        confine.confine("nosuchone", [])
