"""Connections with a thread each: who gives way, who is refused, and when reading ends."""

import errno
import socket
from socketserver import BaseRequestHandler

import pytest

from blocker.serve import threaded
from blocker.serve.threaded import ThreadedServer, hear

PATIENCE = 5.0  # seconds


class Echo(BaseRequestHandler):
    """Hears a line, says it again, and waits for another one."""

    def handle(self):
        line = hear(self.request, lambda said: b"\n" in said, 100, PATIENCE)
        self.server.heard(self.request)
        if line:
            self.request.sendall(line)
            hear(self.request, lambda said: b"\n" in said, 100, PATIENCE)


@pytest.fixture
def server(request):
    listener = getattr(request, "param", socket.socket)()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    made = ThreadedServer(listener, Echo, limit=2, lifetime=60.0, busy=b"busy")
    made.start()
    yield made
    made.shutdown()
    made.server_close()


def connected(server, said=b""):
    sock = socket.create_connection(server.socket.getsockname(), timeout=PATIENCE)
    sock.sendall(said)
    return sock


def test_the_silent_give_way_the_oldest_first(server):
    with connected(server) as first, connected(server) as second, connected(server, b"hello\n") as third:
        assert third.recv(10) == b"hello\n"
        assert first.recv(10) == b""
        second.sendall(b"late\n")
        assert second.recv(10) == b"late\n"


def test_those_at_work_do_not(server):
    with connected(server, b"1\n") as first, connected(server, b"2\n") as second:
        assert (first.recv(10), second.recv(10)) == (b"1\n", b"2\n")
        with connected(server) as third:
            assert third.recv(10) == b"busy"
        first.sendall(b"\n")
        assert first.recv(10) == b""  # it is over, and there is room
        with connected(server, b"4\n") as fourth:
            assert fourth.recv(10) == b"4\n"


class Exhausted(socket.socket):
    """A listening socket that has no room at first."""

    left = 3

    def accept(self):
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "no room")
        return super().accept()


@pytest.mark.parametrize("server", [Exhausted], indirect=True)
def test_without_descriptors_it_waits_instead_of_spinning(server, monkeypatch):
    slept = []
    monkeypatch.setattr(threaded.time, "sleep", slept.append)
    with connected(server, b"hello\n") as sock:
        assert sock.recv(10) == b"hello\n"
    assert slept == [threaded._PAUSE] * 3


@pytest.mark.parametrize(("pieces", "limit", "expected"), [
    ([b"a", b"b\n", b"more"], 100, b"ab\n"),
    ([b"a" * 50, b"a" * 60], 100, b"a" * 100),
    ([b"a"], 100, b"a"),  # and no more comes
    ([], 100, b""),
])  # fmt: skip
def test_reading_ends(pieces, limit, expected):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for piece in pieces:
            theirs.sendall(piece)
            if piece.endswith(b"\n"):
                break
        theirs.shutdown(socket.SHUT_WR)
        assert hear(ours, lambda said: b"\n" in said, limit, PATIENCE) == expected


def test_reading_ends_in_time_whatever_trickles_in():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"a")
        assert hear(ours, lambda said: False, 100, 0.05) == b"a"
