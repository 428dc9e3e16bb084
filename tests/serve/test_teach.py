"""What a worker tells of names, and that it looks them up when asked, with a test at the other end."""

import time
from dataclasses import replace

import pytest

from blocker import names
from blocker.egress import talk
from blocker.egress.talk import Answer, Banned, LookedUp, Met, Status
from blocker.policy import Policy, Scope, Treatment, Waiver
from blocker.serve.teach import Teacher
from blocker.sinks.region import Region
from blocker.waivers import Waivers
from tests.oracle import ask, response, said
from tests.serve.end import End, play
from tests.test_line import STAFF, Bench

CLIENT = b"\x0a\0\0\1"
NAME, BANNED = names.from_text("www.example.com"), names.from_text("www.tiktok.com")
ADDRESS = b"\xc0\0\2\1"
A = "www.example.com 300 A 192.0.2.1"
MONITORING = Policy("lab", {"tiktok": Treatment("sinkhole", monitored=True)})


class Rig(End):
    """A line, what is told of it, and the egress process's end."""

    def __init__(self, folder, deadline=5.0):
        super().__init__(folder)
        self.bench = Bench()
        self.looked_up = []
        self.sent = []
        self.teacher = Teacher(
            self.loop,
            self.path,
            Region(),
            self.bench.cache,
            lambda query, now: self.looked_up.append(query),
            deadline,
            self.bench.cache.look_again,
            self.sent.append,
            lambda: None,
        )

    async def begin(self):
        await super().begin()
        assert await self.asked() == Met([])

    def ask(self, name="www.example.com", reply=A, policy=STAFF):
        packet = ask(name)
        now = time.monotonic()
        exchange = self.bench.line.open(packet, policy, CLIENT, "udp", now)
        if exchange.wanted:
            self.bench.finish(exchange, said(packet, reply), now)
        return self.teacher.passes(exchange)

    def close(self):
        self.teacher.close()
        super().close()


@pytest.fixture
def played(tmp_path):
    return lambda script, **how: play(lambda: Rig(tmp_path, **how), script)


def test_what_allowed_names_have_is_told_once(played):
    async def script(rig):
        for _ in range(3):
            rig.ask()
        rig.ask("other.example.com", "other.example.com 60 A 192.0.2.1")
        told = await rig.asked()
        assert told.answers[0] == Answer(NAME, 300, [ADDRESS], [])
        assert len(told.answers) == 2
        rig.ask()  # from the cache, inspected before: nothing is new
        rig.ask("last.example.com", "last.example.com 60 A 192.0.2.1")
        assert [each.name for each in (await rig.asked()).answers] == [names.from_text("last.example.com")]

    played(script)


def test_what_has_no_addresses_teaches_nothing(played):
    async def script(rig):
        rig.ask("none.example.com", "")
        rig.ask()
        assert [each.name for each in (await rig.asked()).answers] == [NAME]

    played(script)


def test_banned_names_that_were_asked_for(played):
    async def script(rig):
        rig.ask("www.tiktok.com")
        rig.ask("alias.example.com", "alias.example.com 60 CNAME www.tiktok.com")  # blocked, but not by its own name
        assert await rig.asked() == Banned([BANNED])

    played(script)


def test_a_name_that_is_only_monitored_is_told_with_what_it_has(played):
    """Who hears of it decides whether that makes its addresses allowed."""

    async def script(rig):
        rig.ask("www.tiktok.com", "www.tiktok.com 60 A 192.0.2.1", MONITORING)
        assert [each.name for each in (await rig.asked()).answers] == [BANNED]

    played(script)


def test_whoever_has_an_exception_connects_to_what_it_was_told(played):
    async def script(rig):
        lifted = Waiver("e-1", scope=Scope.SUFFIX, name=BANNED)
        rig.ask("www.tiktok.com", "www.tiktok.com 60 A 192.0.2.1", replace(STAFF, waivers=Waivers.of([lifted])))
        (told,) = (await rig.asked()).answers
        assert (told.name, told.excepted) == (BANNED, True)

    played(script)


def test_looking_up(played):
    async def script(rig):
        rig.egress.send(talk.look_up(BANNED, 1))
        await rig.until(lambda: rig.looked_up)
        (query,) = rig.looked_up
        assert (query.qname, query.qtype) == (BANNED, 1)
        rig.bench.line.keep(query, response("www.tiktok.com 90 A 192.0.2.9", name="www.tiktok.com"), time.monotonic())
        found = await rig.asked()
        assert isinstance(found, LookedUp)
        assert (found.qtype, found.answer.name, found.answer.addresses) == (1, BANNED, [b"\xc0\0\2\x09"])
        assert 80 <= found.answer.ttl <= 90
        rig.egress.send(talk.look_up(BANNED, 1))  # from the cache, at once
        assert (await rig.asked()).answer.addresses == [b"\xc0\0\2\x09"]
        assert len(rig.looked_up) == 1

    played(script)


def test_what_cannot_be_looked_up(played):
    async def script(rig):
        rig.egress.send(talk.look_up(BANNED, 28))
        assert await rig.asked() == LookedUp(28, Answer(BANNED, 0, [], []))  # nobody answered

    played(script, deadline=0.01)


async def refuse(rig, *addresses):
    for message in talk.refused(addresses, refused=True):
        rig.egress.send(message)
    await rig.until(lambda: rig.teacher._refused >= set(addresses))


def test_an_answer_waits_until_its_address_is_let_go(played):
    async def script(rig):
        await refuse(rig, ADDRESS)
        assert rig.ask("other.example.com", "other.example.com 60 A 192.0.2.2")  # not that one
        assert not rig.ask()
        told = await rig.asked()
        assert (told.number > 0, [each.name for each in told.answers]) == (True, [NAME])
        assert rig.sent == []
        rig.egress.send(next(talk.refused([ADDRESS], refused=False)))
        rig.egress.send(talk.done(told.number, Status.OPEN))
        await rig.until(lambda: rig.sent)
        assert rig.ask("last.example.com")  # it is refused no longer

    played(script)


def test_it_waits_for_a_moment_only(played):
    async def script(rig):
        await refuse(rig, ADDRESS)
        assert not rig.ask()
        await rig.until(lambda: rig.sent)
        told = await rig.asked()
        rig.egress.send(talk.done(told.number, Status.OPEN))  # too late
        await rig.turn()
        assert len(rig.sent) == 1

    played(script)


def test_when_the_egress_process_dies_nothing_is_known_to_be_refused(played):
    async def script(rig):
        await refuse(rig, ADDRESS)
        assert not rig.ask()
        rig.egress.close()
        await rig.until(lambda: rig.sent)
        assert rig.ask("other.example.com")

    played(script)


def test_what_the_line_did_not_take_is_told_to_the_next_process(played):
    """An address that is refused would stay so for devices that were told it meanwhile."""

    async def script(rig):
        rig.teacher._channel._hang_up()
        rig.ask()
        await rig.until(lambda: rig.teacher._timer is None)  # it was tried
        rig.teacher._channel._connect()
        rig.accept()
        assert await rig.asked() == Met([])
        assert [each.name for each in (await rig.asked()).answers] == [NAME]

    played(script)


def test_another_process_hears_what_is_cached_too(played):
    """Else it would refuse an address that an allowed name has, which devices are told from the cache."""

    async def script(rig):
        rig.ask()
        assert [each.name for each in (await rig.asked()).answers] == [NAME]
        rig.egress.close()
        await rig.turn()
        rig.accept()
        assert await rig.asked() == Met([])
        rig.ask()  # from the cache
        assert [each.name for each in (await rig.asked()).answers] == [NAME]

    played(script)


def test_very_much_is_told_in_part(played):
    async def script(rig):
        many = "\n".join(f"{{0}} 300 A 192.0.2.{number}" for number in range(64))
        for number in range(300):
            name = f"n{number}.example.com"
            rig.ask(name, many.format(name))
        assert len((await rig.asked()).answers) < 200

    played(script)
