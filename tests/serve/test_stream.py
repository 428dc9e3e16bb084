"""Connections of clients, on real sockets and a real loop, with a line that the test plays."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from blocker.config import Limits
from blocker.serve.stream import Listener
from blocker.sinks.region import Region, Word

PATIENCE = 5.0  # seconds


@dataclass
class Asked:
    """One query that was handed over, answered when the test says so."""

    packet: bytes
    client: bytes
    peer: object
    answer: bytes | None = None

    def settle(self, answer: bytes | None) -> None:
        self.answer = answer
        self.peer.reply(self)


class Rig:
    """A listener, and a line that keeps what it is asked, or answers at once by `at_once`."""

    def __init__(self, limits, most):
        self.asked: list[Asked] = []
        self.at_once: Callable[[bytes], bool] = lambda _packet: False
        self.region = Region()
        self.listener = Listener(asyncio.get_running_loop(), limits, self.region, self._ask, most)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.address = self.sock.getsockname()
        self.clients = []

    def _ask(self, packet, client, transport, peer):
        assert transport == "tcp"
        self.asked.append(Asked(packet, client, peer))
        if self.at_once(packet):
            self.asked[-1].settle(packet)

    async def connect(self, source="127.0.0.1"):
        reader, writer = await asyncio.open_connection(*self.address, local_addr=(source, 0))
        self.clients.append(writer)
        return reader, writer

    async def until(self, found):
        async with asyncio.timeout(PATIENCE):
            while not found():
                await asyncio.sleep(0.005)

    async def close(self):
        self.listener.drain()
        self.listener.close()
        self.sock.close()
        for writer in self.clients:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await asyncio.sleep(0)


def framed(*packets):
    return b"".join(struct.pack("!H", len(packet)) + packet for packet in packets)


async def heard(reader):
    async with asyncio.timeout(PATIENCE):
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))


async def ended(reader):
    """Wait for the connection's end and return the seconds that it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass
    return loop.time() - began


def played(play, most=1000, **limits):
    """Run a test's coroutine with a rig of its own."""

    async def run():
        rig = Rig(Limits(**limits), most)
        rig.listener.serve(rig.sock)
        try:
            await play(rig)
        finally:
            await rig.close()

    asyncio.run(run())


def test_messages_are_handed_over_whole_however_they_come():
    async def play(rig):
        _, writer = await rig.connect()
        wire = framed(b"first", b"second message", b"3")
        for at in range(len(wire)):
            writer.write(wire[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)
        await rig.until(lambda: len(rig.asked) == 3)
        assert [asked.packet for asked in rig.asked] == [b"first", b"second message", b"3"]
        assert rig.asked[0].client == b"\x7f\0\0\1"

    played(play)


def test_answers_go_out_when_they_are_ready():
    async def play(rig):
        reader, writer = await rig.connect()
        writer.write(framed(b"a", b"b", b"c"))
        await rig.until(lambda: len(rig.asked) == 3)
        for at in (2, 0, 1):
            rig.asked[at].settle(rig.asked[at].packet)
        assert [await heard(reader) for _ in range(3)] == [b"c", b"a", b"b"]

    played(play)


def test_octets_are_counted():
    async def play(rig):
        rig.at_once = lambda packet: packet == b"known"
        reader, writer = await rig.connect()
        writer.write(framed(b"silent", b"known"))
        assert await heard(reader) == b"known"
        words = rig.region.words
        assert (words[Word.RECEIVED_BYTES], words[Word.SENT_BYTES]) == (11, 5)

    played(play)


def test_silence_as_an_answer_keeps_the_connection():
    async def play(rig):
        reader, writer = await rig.connect()
        writer.write(framed(b"dropped", b"answered"))
        await rig.until(lambda: len(rig.asked) == 2)
        rig.asked[0].settle(None)
        rig.asked[1].settle(b"!")
        assert await heard(reader) == b"!"

    played(play)


@pytest.mark.parametrize("pipeline", [1, 2, 10])
def test_no_more_wait_than_may(pipeline):
    async def play(rig):
        reader, writer = await rig.connect()
        writer.write(framed(*(b"%d" % number for number in range(50))))
        for number in range(50):
            await rig.until(lambda number=number: len(rig.asked) == min(50, number + pipeline))
            rig.asked[number].settle(b"answer %d" % number)
            assert await heard(reader) == b"answer %d" % number

    played(play, tcp_pipeline=pipeline)


@pytest.mark.parametrize("pipeline", [1, 2, 100])
def test_thousands_of_answers_at_once_are_no_deep_recursion(pipeline):
    async def play(rig):
        rig.at_once = lambda packet: packet != b"wait"
        reader, writer = await rig.connect()
        writer.write(framed(*[b"wait"] * (pipeline - 1), *[b"now"] * 5000))
        assert [await heard(reader) for _ in range(5000)] == [b"now"] * 5000
        for asked in rig.asked[: pipeline - 1]:
            asked.settle(b"late")
        assert [await heard(reader) for _ in range(pipeline - 1)] == [b"late"] * (pipeline - 1)

    played(play, tcp_pipeline=pipeline)


def test_other_limits_after_a_reload_hold_nobody_for_ever():
    async def play(rig):
        reader, writer = await rig.connect()
        writer.write(framed(*[b"?"] * 20))
        await rig.until(lambda: len(rig.asked) == 4)
        rig.listener.limits = Limits(tcp_pipeline=8)
        rig.asked[0].settle(b"!")
        await rig.until(lambda: len(rig.asked) == 9)
        rig.listener.limits = Limits(tcp_pipeline=2)
        for number in range(1, 20):
            await rig.until(lambda number=number: len(rig.asked) > number)
            rig.asked[number].settle(b"!")
        assert [await heard(reader) for _ in range(20)] == [b"!"] * 20

    played(play, tcp_pipeline=4)


def test_a_client_that_does_not_read_is_not_served_on():
    async def play(rig):
        rig.at_once = lambda _packet: True
        reader, writer = await rig.connect()
        writer.transport.pause_reading()
        big = b"x" * 30_000
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while True:
                    writer.write(framed(big))
                    sent += 1
                    await writer.drain()
        assert len(rig.asked) < sent  # we do not take what nobody lets us answer
        writer.transport.resume_reading()
        assert [len(await heard(reader)) for _ in range(sent)] == [30_000] * sent

    played(play)


def test_an_empty_message_ends_it():
    async def play(rig):
        reader, writer = await rig.connect()
        writer.write(framed(b"before", b"", b"after"))
        await ended(reader)
        assert [asked.packet for asked in rig.asked] == [b"before"]
        rig.asked[0].settle(b"too late")
        await rig.until(lambda: rig.region.words[Word.TCP_CONNECTIONS] == 0)

    played(play)


@pytest.mark.parametrize(
    ("said", "idle", "read"),
    [
        (b"", 0.2, 60),
        (b"\0", 60, 0.2),
        (b"\0\5half", 60, 0.2),
    ],
)
def test_who_idles_or_is_slow_is_cut_off(said, idle, read):
    async def play(rig):
        reader, writer = await rig.connect()
        writer.write(said)
        assert await ended(reader) >= 0.15
        await rig.until(lambda: rig.region.words[Word.TCP_CONNECTIONS] == 0)

    played(play, tcp_idle=idle, tcp_read=read)


def test_who_waits_for_an_answer_does_not_idle():
    async def play(rig):
        reader, writer = await rig.connect()
        writer.write(framed(b"?"))
        await asyncio.sleep(1.5)
        rig.asked[0].settle(b"!")
        assert await heard(reader) == b"!"

    played(play, tcp_idle=1, tcp_read=0.5)


def test_each_client_has_a_limit():
    async def play(rig):
        rig.at_once = lambda _packet: True
        for source in ("127.0.0.1", "127.0.0.1", "127.0.0.2"):
            reader, writer = await rig.connect(source)
            writer.write(framed(b"?"))
            assert await heard(reader) == b"?"
        refused, _ = await rig.connect("127.0.0.1")  # two have it
        await ended(refused)
        assert rig.region.words[Word.TCP_REFUSED] == 1
        assert rig.region.words[Word.TCP_CONNECTIONS] == 3
        rig.clients[0].close()
        await rig.until(lambda: rig.region.words[Word.TCP_CONNECTIONS] == 2)
        reader, writer = await rig.connect("127.0.0.1")
        writer.write(framed(b"?"))
        assert await heard(reader) == b"?"

    played(play, tcp_per_client=2)


def test_with_all_connections_taken_the_one_that_idles_longest_makes_room():
    async def play(rig):
        rig.at_once = lambda packet: packet == b"now"
        waiting, writer = await rig.connect("127.0.0.1")
        writer.write(framed(b"later"))
        await rig.until(lambda: rig.asked)
        silent, _ = await rig.connect("127.0.0.2")
        reader, writer = await rig.connect("127.0.0.3")
        writer.write(framed(b"now"))
        assert await heard(reader) == b"now"
        late, writer = await rig.connect("127.0.0.4")
        await ended(silent)
        writer.write(framed(b"later"))
        await rig.until(lambda: len(rig.asked) == 3)
        assert rig.region.words[Word.TCP_CONNECTIONS] == 3
        fifth, writer = await rig.connect("127.0.0.5")
        await ended(reader)
        writer.write(framed(b"later"))
        await rig.until(lambda: len(rig.asked) == 4)
        refused, _ = await rig.connect("127.0.0.6")  # all three wait for answers: these are not given up
        await ended(refused)
        assert rig.region.words[Word.TCP_REFUSED] == 3
        for each in rig.asked:
            if each.packet == b"later":
                each.settle(b"!")
        assert [await heard(each) for each in (waiting, late, fifth)] == [b"!"] * 3

    played(play, tcp_connections=3)


def test_descriptors_are_a_limit_of_their_own():
    async def play(rig):
        rig.at_once = lambda _packet: True
        reader, writer = await rig.connect()
        writer.write(framed(b"?"))
        assert await heard(reader) == b"?"
        other, writer = await rig.connect()
        await ended(reader)
        writer.write(framed(b"?"))
        assert await heard(other) == b"?"
        assert rig.region.words[Word.TCP_REFUSED] == 1

    played(play, most=1)


def test_the_end_waits_for_answers_and_for_nothing_else():
    async def play(rig):
        idle, _ = await rig.connect()
        waiting, writer = await rig.connect()
        writer.write(framed(b"?"))
        await rig.until(lambda: len(rig.asked) == 1)
        rig.listener.drain()
        assert await ended(idle) < 5
        with pytest.raises(ConnectionRefusedError):
            await rig.connect()
        rig.asked[0].settle(b"!")
        assert await heard(waiting) == b"!"
        await ended(waiting)

    played(play)


def test_who_has_said_all_hears_all_answers():
    async def play(rig):
        reader, writer = await rig.connect()
        writer.write(framed(*[b"?"] * 7))
        writer.write_eof()
        for number in range(7):
            await rig.until(lambda number=number: len(rig.asked) > number)
            rig.asked[number].settle(b"!")
        assert [await heard(reader) for _ in range(7)] == [b"!"] * 7
        await ended(reader)

    played(play, tcp_pipeline=2)


def test_an_answer_for_who_is_gone_goes_nowhere():
    async def play(rig):
        _, writer = await rig.connect()
        writer.write(framed(b"?"))
        await rig.until(lambda: len(rig.asked) == 1)
        reset = struct.pack("ii", 1, 0)  # close() sends RST
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()
        await rig.until(lambda: rig.region.words[Word.TCP_CONNECTIONS] == 0)
        rig.asked[0].settle(b"!")

    played(play)
