"""What systemd hears of us, and the sockets it hands over (sd_notify(3), sd_listen_fds(3))."""

import contextlib
import os
import signal
import socket
import sys
import threading

import pytest

from tests.e2e.client import addresses
from tests.e2e.daemon import eventually, free_port
from tests.e2e.upstream import V4

EXEC = """\
import os, sys
fds = [int(fd) for fd in sys.argv[1].split(",")]
for at, fd in enumerate(fds):
    os.dup2(fd, 3 + at)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), str(len(fds))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """systemd's side of the notification socket."""

    def __init__(self, address):
        self.heard = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.settimeout(0.1)
        self.ending = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ending:
            with contextlib.suppress(TimeoutError):
                self.heard += self.sock.recv(4096).decode().splitlines()

    def close(self):
        self.ending = True
        self.thread.join()
        self.sock.close()


@pytest.fixture
def manager(tmp_path, request):
    abstract = getattr(request, "param", "path") == "abstract"
    name = f"blocker-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    made = Manager("\0" + name if abstract else name)
    made.variable = "@" + name if abstract else name
    yield made
    made.close()


@pytest.mark.parametrize("manager", ["path", "abstract"], indirect=True)
def test_a_life_as_systemd_hears_it(start, manager):
    daemon = start(variables={"NOTIFY_SOCKET": manager.variable, "WATCHDOG_USEC": "400000"})
    eventually(lambda: "READY=1" in manager.heard)
    assert manager.heard.index("READY=1") == 0
    eventually(lambda: manager.heard.count("WATCHDOG=1") >= 3)
    daemon.signal(signal.SIGHUP)
    eventually(lambda: "RELOADING=1" in manager.heard and manager.heard.count("READY=1") == 2)
    assert any(line.startswith("MONOTONIC_USEC=") for line in manager.heard)
    assert daemon.stop() == 0
    eventually(lambda: "STOPPING=1" in manager.heard)
    assert [line for line in manager.heard if line != "WATCHDOG=1"][-1].startswith(("STOPPING", "STATUS"))


def test_a_stuck_worker_is_not_hidden_from_the_watchdog(start, manager):
    """A daemon with a worker that is away says nothing until it is back."""
    daemon = start(variables={"NOTIFY_SOCKET": manager.variable, "WATCHDOG_USEC": "400000"})
    eventually(lambda: manager.heard.count("WATCHDOG=1") >= 1)
    os.kill(daemon.workers()[0], signal.SIGKILL)
    eventually(lambda: daemon.count("blocker_worker_restarts_total") == 1)
    before = manager.heard.count("WATCHDOG=1")
    eventually(lambda: manager.heard.count("WATCHDOG=1") > before)
    assert manager.heard.count("READY=1") == 1


def test_sockets_that_systemd_has_bound(start, upstream):
    host, port = "127.0.0.1", free_port("127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind((host, port))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((host, port))
        tcp.listen(64)
        fds = (udp.fileno(), tcp.fileno())
        wrap = (sys.executable, "-c", EXEC, ",".join(map(str, fds)))
        daemon = start({"listen": ["192.0.2.1:53"]}, port=port, wrap=wrap, pass_fds=fds)  # an address that is not ours
        with daemon.client() as client, daemon.stream() as stream:
            for _ in range(5):
                assert addresses(client.ask("www.banned.example")) == ["0.0.0.0"]
                assert addresses(stream.ask("www.allowed.example")) == [V4]
        daemon.client().sock.close()
        with daemon.client() as client:
            assert daemon.stop() == 0
            client.send(b"")  # the socket is systemd's: it stays open for whom it starts next
            assert udp.fileno() >= 0
    assert upstream.seen("allowed.example")
