"""A worker's line to the egress process, with a test at the other end."""

import asyncio
import socket

import pytest

from blocker.egress import talk
from blocker.egress.talk import Done, Status
from blocker.serve import channel
from blocker.serve.channel import Channel
from blocker.sinks.region import Region, Word

PATIENCE = 5.0  # seconds


class Rig:
    """A line, what it told us, and the socket that it leads to."""

    def __init__(self, folder):
        self.said = []
        self.loop = asyncio.get_running_loop()
        self.region = Region()
        self.path = folder / "egress.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.channel = Channel(self.loop, self.path, self.region, self)
        self.peers = []

    def begun(self):
        self.said.append("begun")

    def ready(self):
        self.said.append("ready")

    def heard(self, message):
        self.said.append(message)

    def heard_all(self):
        self.said.append("all")

    async def accept(self):
        await self.until(lambda: "begun" in self.said)
        self.said.remove("begun")
        self.peers.append(self.listener.accept()[0])
        return self.peers[-1]

    async def until(self, true):
        async with asyncio.timeout(PATIENCE):
            while not true():
                await asyncio.sleep(0.002)

    def close(self):
        self.channel.close()
        for each in (*self.peers, self.listener):
            each.close()


@pytest.fixture
def played(tmp_path):
    def run(play):
        async def whole():
            rig = Rig(tmp_path)
            try:
                await play(rig)
            finally:
                rig.close()

        asyncio.run(whole())

    return run


def test_both_ways(played):
    async def play(rig):
        assert not rig.channel.send(b"too early")
        peer = await rig.accept()
        assert rig.channel.send(b"question")
        assert peer.recv(100) == b"question"
        for number in (1, 2):
            peer.send(talk.done(number, Status.OPEN))
        await rig.until(lambda: "all" in rig.said)
        assert rig.said == [Done(1, Status.OPEN), Done(2, Status.OPEN), "all"]

    played(play)


def test_what_cannot_be_read_is_counted(played):
    async def play(rig):
        peer = await rig.accept()
        peer.send(b"nonsense")
        await rig.until(lambda: "all" in rig.said)
        assert rig.region.words[Word.ERRORS] == 1

    played(play)


def test_it_says_when_it_is_full_and_when_it_is_not(played):
    async def play(rig):
        peer = await rig.accept()
        sent = 0
        while rig.channel.send(bytes(1000)):
            sent += 1
        assert rig.channel.full
        for _ in range(sent):
            peer.recv(2000)
        await rig.until(lambda: "ready" in rig.said)
        assert rig.channel.send(b"more")

    played(play)


def test_who_takes_the_place_of_the_dead(played):
    async def play(rig):
        (await rig.accept()).close()
        peer = await rig.accept()
        assert rig.channel.send(b"question")
        assert peer.recv(100) == b"question"

    played(play)


def test_where_nobody_is_it_looks_again(played, monkeypatch):
    monkeypatch.setattr(channel, "_RETRY", 0.01)

    async def play(rig):
        peer = await rig.accept()
        rig.path.rename(rig.path.with_name("gone"))
        peer.close()
        await rig.until(lambda: not rig.channel.send(b"nobody"))
        await asyncio.sleep(0.03)
        rig.path.with_name("gone").rename(rig.path)
        await rig.accept()

    played(play)


def test_closed_for_good(played):
    async def play(rig):
        peer = await rig.accept()
        rig.channel.close()
        assert peer.recv(100) == b""
        assert not rig.channel.send(b"nobody")
        await asyncio.sleep(0.01)
        assert "begun" not in rig.said

    played(play)
