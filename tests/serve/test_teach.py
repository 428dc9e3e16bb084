"""What a worker tells of names, and that it looks them up when asked, with a test at the other end."""

import asyncio
import socket
import time
from dataclasses import replace

import pytest

from blocker import names
from blocker.egress import talk
from blocker.egress.talk import Answer, Banned, LookedUp, Met
from blocker.policy import Policy, Scope, Treatment, Waiver
from blocker.serve.teach import Teacher
from blocker.sinks.region import Region
from tests.oracle import ask, response, said
from tests.test_line import STAFF, Bench

PATIENCE = 5.0  # seconds
CLIENT = b"\x0a\0\0\1"
NAME, BANNED = names.from_text("www.example.com"), names.from_text("www.tiktok.com")
ADDRESS = b"\xc0\0\2\1"
A = "www.example.com 300 A 192.0.2.1"
MONITORING = Policy("lab", {"tiktok": Treatment("sinkhole", monitored=True)})


class Rig:
    """A line, what is told of it, and the egress process's end."""

    def __init__(self, folder):
        self.loop = asyncio.get_running_loop()
        self.bench = Bench()
        self.asked = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(folder / "egress.sock"))
        self.listener.listen()
        self.teacher = Teacher(
            self.loop,
            folder / "egress.sock",
            Region(),
            self.bench.cache,
            lambda query, now: self.asked.append(query),
            0.01,
        )

    async def begin(self):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.egress, _ = self.listener.accept()
        self.egress.setblocking(False)
        assert await self.heard() == Met([])

    async def heard(self):
        async with asyncio.timeout(PATIENCE):
            return talk.read(await self.loop.sock_recv(self.egress, talk.MAX_MESSAGE))

    def ask(self, name="www.example.com", reply=A, policy=STAFF):
        packet = ask(name)
        now = time.monotonic()
        exchange = self.bench.line.open(packet, policy, CLIENT, "udp", now)
        if exchange.wanted:
            self.bench.finish(exchange, said(packet, reply), now)
        self.teacher.meet(exchange)

    def close(self):
        self.teacher.close()
        self.egress.close()
        self.listener.close()


@pytest.fixture
def played(tmp_path):
    def run(play):
        async def whole():
            rig = Rig(tmp_path)
            await rig.begin()
            try:
                await play(rig)
            finally:
                rig.close()

        asyncio.run(whole())

    return run


def test_what_allowed_names_have_is_told_once(played):
    async def play(rig):
        for _ in range(3):
            rig.ask()
        rig.ask("other.example.com", "other.example.com 60 A 192.0.2.1")
        told = await rig.heard()
        assert told.answers[0] == Answer(NAME, 300, [ADDRESS], [])
        assert len(told.answers) == 2
        rig.ask()  # from the cache, inspected before: nothing is new
        rig.ask("last.example.com", "last.example.com 60 A 192.0.2.1")
        assert [each.name for each in (await rig.heard()).answers] == [names.from_text("last.example.com")]

    played(play)


def test_what_has_no_addresses_teaches_nothing(played):
    async def play(rig):
        rig.ask("none.example.com", "")
        rig.ask()
        assert [each.name for each in (await rig.heard()).answers] == [NAME]

    played(play)


def test_banned_names_that_were_asked_for(played):
    async def play(rig):
        rig.ask("www.tiktok.com")
        rig.ask("alias.example.com", "alias.example.com 60 CNAME www.tiktok.com")  # blocked, but not by its own name
        assert await rig.heard() == Banned([BANNED])

    played(play)


def test_a_name_that_is_only_monitored_is_told_with_what_it_has(played):
    """Who hears of it decides whether that makes its addresses allowed."""

    async def play(rig):
        rig.ask("www.tiktok.com", "www.tiktok.com 60 A 192.0.2.1", MONITORING)
        assert [each.name for each in (await rig.heard()).answers] == [BANNED]

    played(play)


def test_whoever_has_an_exception_connects_to_what_it_was_told(played):
    async def play(rig):
        lifted = Waiver("e-1", scope=Scope.SUFFIX, name=BANNED)
        rig.ask("www.tiktok.com", "www.tiktok.com 60 A 192.0.2.1", replace(STAFF, waivers=(lifted,)))
        (told,) = (await rig.heard()).answers
        assert (told.name, told.excepted) == (BANNED, True)

    played(play)


def test_looking_up(played):
    async def play(rig):
        rig.egress.send(talk.look_up(BANNED, 1))
        async with asyncio.timeout(PATIENCE):
            while not rig.asked:
                await asyncio.sleep(0.001)
        (query,) = rig.asked
        assert (query.qname, query.qtype) == (BANNED, 1)
        rig.bench.line.keep(query, response("www.tiktok.com 90 A 192.0.2.9", name="www.tiktok.com"), time.monotonic())
        found = await rig.heard()
        assert isinstance(found, LookedUp)
        assert (found.qtype, found.answer.name, found.answer.addresses) == (1, BANNED, [b"\xc0\0\2\x09"])
        assert 80 <= found.answer.ttl <= 90
        rig.egress.send(talk.look_up(BANNED, 1))  # from the cache, at once
        assert (await rig.heard()).answer.addresses == [b"\xc0\0\2\x09"]
        assert len(rig.asked) == 1

    played(play)


def test_what_cannot_be_looked_up(played):
    async def play(rig):
        rig.egress.send(talk.look_up(BANNED, 28))
        assert await rig.heard() == LookedUp(28, Answer(BANNED, 0, [], []))  # nobody answered

    played(play)


def test_very_much_is_told_in_part(played):
    async def play(rig):
        many = "\n".join(f"{{0}} 300 A 192.0.2.{number}" for number in range(64))
        for number in range(300):
            name = f"n{number}.example.com"
            rig.ask(name, many.format(name))
        assert len((await rig.heard()).answers) < 200

    played(play)
