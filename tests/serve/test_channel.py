"""A worker's line to the egress process, with a test at the other end."""

import asyncio

import pytest

from blocker.egress import talk
from blocker.egress.talk import Done, Status
from blocker.serve import channel
from blocker.serve.channel import Channel
from blocker.sinks.region import Region, Word
from tests.serve.end import End, play


class Rig(End):
    """A line, what it told us, and the socket that it leads to."""

    def __init__(self, folder):
        super().__init__(folder)
        self.said = []
        self.region = Region()
        self.channel = Channel(self.loop, self.path, self.region, self)
        self.peers = []

    async def begin(self):
        """Each test takes the line itself."""

    def begun(self):
        self.said.append("begun")

    def ready(self):
        self.said.append("ready")

    def heard(self, message):
        self.said.append(message)

    def heard_all(self):
        self.said.append("all")

    async def taken(self):
        await self.until(lambda: "begun" in self.said)
        self.said.remove("begun")
        self.peers.append(self.listener.accept()[0])
        return self.peers[-1]

    def close(self):
        self.channel.close()
        for each in self.peers:
            each.close()
        super().close()


@pytest.fixture
def played(tmp_path):
    return lambda script: play(lambda: Rig(tmp_path), script)


def test_both_ways(played):
    async def script(rig):
        assert not rig.channel.send(b"too early")
        peer = await rig.taken()
        assert rig.channel.send(b"question")
        assert peer.recv(100) == b"question"
        for number in (1, 2):
            peer.send(talk.done(number, Status.OPEN))
        await rig.until(lambda: "all" in rig.said)
        assert rig.said == [Done(1, Status.OPEN), Done(2, Status.OPEN), "all"]

    played(script)


def test_what_cannot_be_read_is_counted(played):
    async def script(rig):
        peer = await rig.taken()
        peer.send(b"nonsense")
        await rig.until(lambda: "all" in rig.said)
        assert rig.region.words[Word.ERRORS] == 1

    played(script)


def test_it_says_when_it_is_full_and_when_it_is_not(played):
    async def script(rig):
        peer = await rig.taken()
        sent = 0
        while rig.channel.send(bytes(1000)):
            sent += 1
        assert rig.channel.full
        for _ in range(sent):
            peer.recv(2000)
        await rig.until(lambda: "ready" in rig.said)
        assert rig.channel.send(b"more")

    played(script)


def test_who_takes_the_place_of_the_dead(played):
    async def script(rig):
        (await rig.taken()).close()
        peer = await rig.taken()
        assert rig.channel.send(b"question")
        assert peer.recv(100) == b"question"

    played(script)


def test_where_nobody_is_it_looks_again(played, monkeypatch):
    monkeypatch.setattr(channel, "_RETRY", 0.01)

    async def script(rig):
        peer = await rig.taken()
        rig.path.rename(rig.path.with_name("gone"))
        peer.close()
        await rig.until(lambda: not rig.channel.send(b"nobody"))
        await asyncio.sleep(0.03)
        rig.path.with_name("gone").rename(rig.path)
        await rig.taken()

    played(script)


def test_closed_for_good(played):
    async def script(rig):
        peer = await rig.taken()
        rig.channel.close()
        assert peer.recv(100) == b""
        assert not rig.channel.send(b"nobody")
        await asyncio.sleep(0.01)
        assert "begun" not in rig.said

    played(script)
