"""Variables in, datagrams out."""

import os
import socket
import sys

import pytest

from blocker.serve.systemd import Systemd

NAMES = ("NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID")


@pytest.fixture
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_systemd_there_is_nothing_to_do(environment):
    found = Systemd()
    assert (found.watchdog, found.sockets) == (None, [])
    found.ready()
    found.alive()
    found.stopping()


def test_no_child_takes_the_variables_for_its_own(environment):
    for name in NAMES:
        environment.setenv(name, "1")
    environment.setenv("LISTEN_PID", "1")
    Systemd()
    assert not set(NAMES) & set(os.environ)


@pytest.mark.parametrize("abstract", [False, True])
def test_what_systemd_hears(environment, tmp_path, abstract):
    name = f"blocker-unit-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name if abstract else name)
        environment.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
        told = Systemd()
        for say in (told.ready, told.reloading, told.alive, told.stopping):
            say()
        heard = [sock.recv(4096).decode().splitlines() for _ in range(4)]
    assert [lines[0] for lines in heard] == ["READY=1", "RELOADING=1", "WATCHDOG=1", "STOPPING=1"]
    assert heard[1][1].startswith("MONOTONIC_USEC=")


def test_a_manager_that_does_not_listen_stops_nothing(environment, tmp_path):
    environment.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    Systemd().ready()


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        ("30000000", None, 15.0),
        ("30000000", "mine", 15.0),
        ("30000000", "1", None),  # somebody else's
        ("soon", None, None),
        ("", None, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(environment, usec, pid, seconds):
    environment.setenv("WATCHDOG_USEC", usec)
    if pid:
        environment.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "mine" else pid)
    assert Systemd().watchdog == seconds


@pytest.mark.parametrize(("pid", "fds"), [("1", "2"), ("", "2"), ("mine", "many"), ("mine", "")])
def test_sockets_that_are_not_for_us_are_not_touched(environment, pid, fds):
    environment.setenv("LISTEN_PID", str(os.getpid()) if pid == "mine" else pid)
    environment.setenv("LISTEN_FDS", fds)
    assert Systemd().sockets == []


def test_sockets_handed_over(tmp_path):
    """In a process of its own, since the numbers begin at 3."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        pid = os.fork()
        if not pid:
            status = 1
            try:
                os.dup2(udp.fileno(), 3)
                os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
                (sock,) = Systemd().sockets
                status = 0 if sock.getsockname() == udp.getsockname() and sock.type == socket.SOCK_DGRAM else 2
            finally:
                sys.stdout.flush()
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
