"""One worker in the test's own process: real sockets, a channel that the test holds, an upstream that is a socket."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import time

import dns.message
import dns.rcode
import pytest

from blocker.errors import ArtifactError
from blocker.serve import generation, worker
from blocker.serve.excepted import Standing
from blocker.serve.generation import Generation
from blocker.serve.worker import Sockets, Worker
from blocker.sinks.region import Region, Word

PATIENCE = 5.0  # seconds


def ask(name, qtype="A"):
    return dns.message.make_query(name, qtype, use_edns=True).to_wire()


def at(path, moment=0.0, exceptions=""):
    return Standing(str(path), exceptions, moment, {})


class Rig:
    """A worker, its clients, its supervisor's end of the channel, and its upstream."""

    def __init__(self, folder):
        self.loop = asyncio.get_running_loop()
        self.folder = folder
        self.upstream = self._bound(socket.SOCK_DGRAM)
        for name in ("lists", "state"):
            (folder / name).mkdir()
        (folder / "lists" / "own.txt").write_text("banned.example\n")
        self.overrides = {
            "lists.built_in": False,
            "lists.directories": [folder / "lists"],
            "process.state_dir": folder / "state",
            "upstream.servers": [f"127.0.0.1:{self.upstream.getsockname()[1]}"],
            "upstream.deadline": 1.0,
        }
        self.number = 0
        self.region = Region()
        self.udp, self.tcp = self._bound(socket.SOCK_DGRAM), self._bound(socket.SOCK_STREAM)
        self.tcp.listen()
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (self.channel, theirs):
            sock.setblocking(False)
        self.theirs = theirs
        self.client = self._bound(socket.SOCK_DGRAM)
        self.client.connect(self.udp.getsockname())
        self.worker = Worker(
            self.loop, self.region, Sockets([self.udp], [self.tcp]), theirs, Generation.open(at(self.prepare())), 1
        )
        self.task = self.loop.create_task(self.worker.run())

    def _bound(self, kind):
        sock = socket.socket(socket.AF_INET, kind)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        return sock

    def prepare(self, **more):
        self.number += 1
        return generation.prepare(None, self.overrides | more, self.number)["path"]

    def tell(self, **message):
        self.channel.send(json.dumps(message).encode())

    async def told(self):
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.loop.sock_recv(self.channel, 65536))

    async def heard(self, packet=None):
        if packet is not None:
            self.client.send(packet)
        async with asyncio.timeout(PATIENCE):
            return dns.message.from_wire(await self.loop.sock_recv(self.client, 65536))

    async def seen(self):
        async with asyncio.timeout(PATIENCE):
            return await self.loop.sock_recvfrom(self.upstream, 65536)

    async def say(self, packet, source, address="93.184.215.14"):
        query = dns.message.from_wire(packet)
        reply = dns.message.make_response(query, recursion_available=True)
        reply.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "A", address))
        await self.loop.sock_sendto(self.upstream, reply.to_wire(), source)

    async def close(self):
        self.worker.stop()
        async with asyncio.timeout(PATIENCE):
            await self.task
        for sock in (self.upstream, self.udp, self.tcp, self.channel, self.theirs, self.client):
            sock.close()


@pytest.fixture
def played(tmp_path):
    def run(play):
        async def whole():
            rig = Rig(tmp_path)
            try:
                await play(rig)
            finally:
                await rig.close()

        asyncio.run(whole())

    return run


def addresses(message):
    return [rr.address for rrset in message.answer for rr in rrset]


def test_a_life(played):
    async def play(rig):
        heard = await rig.heard(ask("www.banned.example"))
        assert addresses(heard) == ["0.0.0.0"]
        rig.client.send(ask("www.allowed.example"))
        packet, source = await rig.seen()
        await rig.say(packet, source)
        assert addresses(await rig.heard()) == ["93.184.215.14"]
        assert rig.region.words[Word.READY] == 1
        assert time.monotonic_ns() - rig.region.words[Word.PULSE] < 2e9

    played(play)


def test_over_tcp(played):
    async def play(rig):
        reader, writer = await asyncio.open_connection(*rig.tcp.getsockname())
        wire = ask("www.banned.example")
        writer.write(struct.pack("!H", len(wire)) + wire)
        async with asyncio.timeout(PATIENCE):
            size = int.from_bytes(await reader.readexactly(2))
            assert addresses(dns.message.from_wire(await reader.readexactly(size))) == ["0.0.0.0"]
        writer.close()
        await writer.wait_closed()

    played(play)


def test_it_adopts_what_it_is_told(played):
    async def play(rig):
        await rig.heard(ask("www.banned.example"))
        (rig.folder / "lists" / "own.txt").write_text("other.example\n")
        path = rig.prepare()
        rig.tell(adopt=at(path).said(), told=7)
        assert await rig.told() == {"adopted": 7, "turns": None}
        assert rig.region.words[Word.GENERATION] == 2
        assert addresses(await rig.heard(ask("www.other.example"))) == ["0.0.0.0"]
        rig.client.send(ask("www.banned.example"))
        packet, source = await rig.seen()
        await rig.say(packet, source)
        assert addresses(await rig.heard()) == ["93.184.215.14"]

    played(play)


@pytest.mark.parametrize("damage", ["missing", "nonsense"])
def test_what_it_cannot_adopt_it_refuses_and_goes_on(played, damage):
    async def play(rig):
        path = rig.folder / "state" / "generation-9.json"
        if damage == "nonsense":
            path.write_text("[]")
        rig.tell(adopt=at(path).said(), told=7)
        said = await rig.told()
        assert said["refused"] == 7
        assert "not a generation" in said["why"]
        assert addresses(await rig.heard(ask("www.banned.example"))) == ["0.0.0.0"]
        assert rig.region.words[Word.GENERATION] != 9

    played(play)


def test_what_is_asked_of_old_upstreams_is_answered_after_others_are_adopted(played):
    async def play(rig):
        rig.client.send(ask("slow.example"))
        packet, source = await rig.seen()
        rig.tell(adopt=at(rig.prepare(**{"upstream.servers": ["127.0.0.1:9"]})).said(), told=7)
        assert "adopted" in await rig.told()
        await rig.say(packet, source)
        assert addresses(await rig.heard()) == ["93.184.215.14"]

    played(play)


def test_limits_on_those_who_wait_are_adopted_too(played):
    async def play(rig):
        rig.tell(adopt=at(rig.prepare(**{"limits.client_in_flight": 1, "cache.size": 2})).said(), told=1)
        assert "adopted" in await rig.told()
        rig.client.send(ask("slow.example"))
        await rig.seen()
        assert (await rig.heard(ask("other.example"))).rcode() == dns.rcode.SERVFAIL
        assert rig.worker._fast.limit == 1 << 20

    played(play)


def test_in_the_end_it_answers_what_is_under_way(played):
    async def play(rig):
        rig.client.send(ask("slow.example"))
        packet, source = await rig.seen()
        rig.client.send(ask("www.banned.example"))  # not read yet
        rig.tell(stop=True)
        assert addresses(await rig.heard()) == ["0.0.0.0"]
        await rig.say(packet, source)
        assert addresses(await rig.heard()) == ["93.184.215.14"]
        async with asyncio.timeout(PATIENCE):
            await rig.task
        assert rig.region.words[Word.READY] == 0

    played(play)


@pytest.mark.parametrize("unread", [False, True])
def test_without_a_supervisor_it_ends(played, unread):
    async def play(rig):
        await rig.heard(ask("www.banned.example"))
        if unread:
            rig.theirs.send(b"{}")  # what nobody has read makes the end a reset
        rig.channel.close()
        async with asyncio.timeout(PATIENCE):
            await rig.task

    played(play)


def test_a_generation_that_cannot_be_opened_is_an_exit_status(tmp_path):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = os.fork()
        if not pid:
            status = 99
            with contextlib.suppress(BaseException):
                status = worker.main(Region(), Sockets([], []), theirs, at(tmp_path / "nothing.json"), 0, 0, 1)
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3


def test_opening_says_what_is_wrong(tmp_path):
    with pytest.raises(ArtifactError, match="Run `blocker reload`"):
        Generation.open(at(tmp_path / "nothing.json"))


def test_a_signal_ends_it_too(tmp_path):
    """Whoever kills a worker politely gets its answers."""
    region = Region()
    (tmp_path / "lists").mkdir()
    (tmp_path / "state").mkdir()
    over = {
        "lists.built_in": False, "lists.directories": [tmp_path / "lists"],
        "process.state_dir": tmp_path / "state", "upstream.servers": ["127.0.0.1:9"],
    }  # fmt: skip
    (tmp_path / "lists" / "own.txt").write_text("banned.example\n")
    path = generation.prepare(None, over, 1)["path"]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.bind(("127.0.0.1", 0))
        pid = os.fork()
        if not pid:
            status = 99
            with contextlib.suppress(BaseException):
                ours.close()
                status = worker.main(region, Sockets([udp], []), theirs, at(path), 0, 0, 1)
            os._exit(status)
        deadline = time.monotonic() + PATIENCE
        while region.words[Word.READY] != 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert region.words[Word.PID] == pid
        os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
