"""Accepting on bad days: no descriptors, and connections that are gone at once."""

import asyncio
import errno
import socket

import pytest

from blocker.serve import accept
from blocker.serve.accept import Acceptor

PATIENCE = 5.0  # seconds


class Greeter(asyncio.Protocol):
    """Says one word to everybody, and closes."""

    def connection_made(self, transport):
        transport.write(b"welcome")
        transport.close()


class Fickle(socket.socket):
    """A listening socket whose first calls of accept() fail."""

    def __init__(self, *failures):
        super().__init__()
        self.failures = list(failures)
        self.bind(("127.0.0.1", 0))
        self.listen()
        self.setblocking(False)

    def accept(self):
        if self.failures:
            raise self.failures.pop()
        return super().accept()


def served(sock, visitors=1):
    """Return how often there was no room until all `visitors` were welcome."""
    refused = []

    async def run():
        acceptor = Acceptor(asyncio.get_running_loop(), lambda: refused.append(1))
        acceptor.serve(sock, Greeter)
        address = sock.getsockname()
        async with asyncio.timeout(PATIENCE):
            for _ in range(visitors):
                reader, writer = await asyncio.open_connection(*address)
                assert await reader.read() == b"welcome"
                writer.close()
                await writer.wait_closed()
        acceptor.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)

    asyncio.run(run())
    return len(refused)


def test_everybody_is_welcome_until_it_closes():
    assert served(Fickle(), visitors=100) == 0


@pytest.mark.parametrize("why", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_without_descriptors_it_waits_and_goes_on(monkeypatch, why):
    monkeypatch.setattr(accept, "_PAUSE", 0.05)
    assert served(Fickle(*[OSError(why, "no room")] * 3)) == 3


def test_connections_that_are_gone_before_they_are_accepted_are_passed_over():
    assert served(Fickle(ConnectionAbortedError(), OSError(errno.EPROTO, "gone"))) == 0


def test_a_pause_ends_with_the_acceptor():
    async def run():
        acceptor = Acceptor(asyncio.get_running_loop(), lambda: None)
        sock = Fickle(OSError(errno.EMFILE, "no room"))
        acceptor.serve(sock, Greeter)
        _reader, writer = await asyncio.open_connection(*sock.getsockname())
        while sock.failures:
            await asyncio.sleep(0.001)
        acceptor.close()
        acceptor._resume(sock, Greeter)  # what was to come later
        writer.close()

    asyncio.run(run())


def test_descriptors():
    assert accept.descriptors() > 16
