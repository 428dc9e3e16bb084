"""Answers that wait for the gate, with a test at the other end of the socket."""

import asyncio
import time
from pathlib import Path

import pytest

from blocker.config import Gating
from blocker.egress import talk
from blocker.egress.talk import Ask, Asks, Status
from blocker.policy import Gate, Policy
from blocker.serve import channel, gate
from blocker.serve.gate import Held
from blocker.sinks.region import Region, Word
from tests.oracle import ask, heard, said
from tests.serve.end import PATIENCE, End, play
from tests.test_line import Bench

STRICT = Policy("strict", {}, gate=Gate.ENFORCE)
LOOSE = Policy("loose", {}, gate=Gate.AUDIT)
ALICE, BOB = b"\x0a\0\0\1", b"\x0a\0\0\2"
ADDRESS = b"\xc0\0\2\1"


class Rig(End):
    """A line, what waits behind it, and the egress process's end."""

    def __init__(self, folder, **config):
        super().__init__(folder)
        self.region = Region()
        self.bench = Bench()
        self.sent = []
        self.held = Held(
            self.loop, self.path, Gating(**config), self.bench.line, self.bench.fast, self.region,
            self.sent.append, lambda: None,
        )  # fmt: skip

    def answer(self, policy=STRICT, client=ALICE, name="www.example.com", ttl=300):
        """Let the line answer a query, and tell whether the answer may go."""
        packet = ask(name)
        exchange = self.bench.line.open(packet, policy, client, "udp", time.monotonic())
        if exchange.wanted:
            self.bench.finish(exchange, said(packet, f"{name} {ttl} A 192.0.2.1"), time.monotonic())
        passed = self.held.passes(exchange)
        return exchange if passed else None

    async def say(self, message):
        self.egress.send(message)
        await self.turn()

    def close(self):
        self.held.close()
        super().close()


@pytest.fixture
def played(tmp_path, monkeypatch):
    def made(script, *, first=0.0, wait=5.0, **config):
        monkeypatch.setattr(gate, "_FIRST_WAIT", first)
        play(lambda: Rig(tmp_path, wait=wait, **config), script)

    return made


def rcodes(rig):
    return [heard(exchange.answer).rcode for exchange in rig.sent]


def test_an_answer_leaves_when_the_kernel_has_agreed(played):
    async def script(rig):
        assert rig.answer() is None
        assert len(rig.held) == 1
        asks = await rig.asked()
        assert asks.asks == [Ask(ALICE, 300 + 120, [ADDRESS])]
        assert rig.sent == []
        await rig.say(talk.done(asks.number, Status.OPEN))
        assert rcodes(rig) == ["NOERROR"]
        assert len(rig.held) == 0
        assert rig.region.words[Word.GATE_HELD] == 1
        assert rig.region.words[Word.GATE_NS] > 0
        assert rig.region.words[Word.GATE_FAILED] == 0

    played(script)


def test_what_comes_in_one_turn_is_one_request(played):
    async def script(rig):
        for client in (ALICE, BOB):
            for name in ("a.example", "b.example"):
                assert rig.answer(client=client, name=name) is None
        asks = await rig.asked()
        assert [each.client for each in asks.asks] == [ALICE, ALICE, BOB, BOB]
        await rig.say(talk.done(asks.number, Status.OPEN))
        assert len(rig.sent) == 4

    played(script)


def test_an_answer_that_changes_nothing_does_not_wait(played):
    async def script(rig):
        rig.answer()
        await rig.say(talk.done((await rig.asked()).number, Status.OPEN))
        assert rig.answer() is not None  # from the cache: it may be used no longer than the first one
        assert rig.answer(client=BOB) is None  # whom the kernel does not know
        assert rig.answer(ttl=3000, name="longer.example") is None  # the same address, for longer

    played(script)


def test_the_drain_gives_it_again_to_the_same_client_alone(played):
    async def script(rig):
        for client in (ALICE, BOB):
            rig.bench.fast.remember(client, STRICT)
        rig.answer()
        await rig.say(talk.done((await rig.asked()).number, Status.OPEN))
        assert rig.bench.fast.by_address[ALICE] == {}
        rig.answer()
        (given,) = rig.bench.fast.by_address[ALICE].values()
        assert rig.bench.fast.by_address[BOB] == {}
        assert given.expires <= time.monotonic() + 300
        await rig.say(next(talk.forget([ALICE])))
        assert rig.bench.fast.by_address[ALICE] == {}
        assert rig.answer() is None

    played(script)


def test_a_short_life_in_the_drain(played):
    """An element that ends before its answer must not be told from the table until the end."""

    async def script(rig):
        rig.bench.fast.remember(ALICE, STRICT)
        rig.answer(ttl=100)
        await rig.say(talk.done((await rig.asked()).number, Status.OPEN))
        rig.answer(ttl=100)
        (given,) = rig.bench.fast.by_address[ALICE].values()
        assert given.expires <= time.monotonic() + 100 + 10 - 90 - 5  # beyond it, fewer than `minimum` would be left

    played(script, minimum=90, grace=10)


@pytest.mark.parametrize("taken", [next(talk.forget([ALICE])), talk.forget_all()])
def test_what_the_egress_process_takes_back_waits_again(played, taken):
    async def script(rig):
        rig.answer()
        await rig.say(talk.done((await rig.asked()).number, Status.OPEN))
        await rig.say(taken)
        assert rig.answer() is None

    played(script)


@pytest.mark.parametrize(
    ("policy", "status", "rcode"),
    [
        (STRICT, Status.FULL, "SERVFAIL"),
        (STRICT, Status.FAILED, "SERVFAIL"),
        (LOOSE, Status.FULL, "NOERROR"),  # nothing is refused: the answer is good
        (LOOSE, Status.OPEN, "NOERROR"),
    ],
)
def test_what_the_kernel_refuses(played, policy, status, rcode):
    async def script(rig):
        rig.answer(policy)
        await rig.say(talk.done((await rig.asked()).number, status))
        assert rcodes(rig) == [rcode]
        assert rig.region.words[Word.GATE_FAILED] == (status is not Status.OPEN)
        if status is not Status.OPEN:
            assert rig.answer(policy) is None  # asked anew

    played(script)


@pytest.mark.parametrize(("policy", "rcode"), [(STRICT, "SERVFAIL"), (LOOSE, "NOERROR")])
def test_nobody_waits_for_an_egress_process_that_is_dead(played, policy, rcode):
    async def script(rig):
        began = time.monotonic()
        rig.answer(policy)
        await rig.until(lambda: rig.sent)
        assert 0.05 <= time.monotonic() - began < 4
        assert rcodes(rig) == [rcode]
        exchange = rig.answer(policy, name="next.example")  # it is silent: nobody waits any more
        assert heard(exchange.answer).rcode == rcode
        late, probe = await rig.asked(), await rig.asked()
        assert [each.client for each in probe.asks] == [ALICE]
        await rig.say(talk.done(late.number, Status.OPEN))  # another one has come, and reads what was left
        assert rig.answer(policy, name="third.example") is None
        await rig.say(talk.done(probe.number, Status.OPEN))

    played(script, wait=0.05)


def test_one_that_starts_as_we_do_is_waited_for_longer(played):
    async def script(rig):
        rig.answer()
        asks = await rig.asked()
        await asyncio.sleep(0.2)  # four times as long as anybody waits later
        assert rig.sent == []
        await rig.say(talk.done(asks.number, Status.OPEN))
        assert rcodes(rig) == ["NOERROR"]
        rig.answer(client=BOB)  # now it is known to be there
        await rig.until(lambda: len(rig.sent) == 2)
        assert rcodes(rig) == ["NOERROR", "SERVFAIL"]

    played(script, first=60.0, wait=0.05)


def test_when_it_begins_to_answer_the_rest_has_its_time_too(played):
    async def script(rig):
        rig.answer()
        first = await rig.asked()
        rig.answer(client=BOB)
        second = await rig.asked()
        await asyncio.sleep(1.2)  # longer than anybody waits later
        await rig.say(talk.done(first.number, Status.OPEN))
        await asyncio.sleep(0.01)
        await rig.say(talk.done(second.number, Status.OPEN))
        assert rcodes(rig) == ["NOERROR", "NOERROR"]

    played(script, first=60.0, wait=1)


def test_it_is_waited_for_so_long_only_once(played):
    async def script(rig):
        rig.answer()
        await rig.until(lambda: rig.sent)
        assert rig.answer(name="next.example") is not None
        assert rig.held._wait == 0.05

    played(script, first=0.2, wait=0.05)


def test_one_that_takes_its_place_hears_what_was_not_answered(played):
    async def script(rig):
        rig.answer()
        first = await rig.asked()
        rig.egress.close()  # killed: its socket outlives it
        await rig.until(lambda: first.number not in rig.held._said)
        rig.answer(client=BOB)
        rig.accept()
        again = await rig.asked()
        assert again.asks == first.asks
        rest = await rig.asked()
        for each in (first, again, rest):
            await rig.say(talk.done(each.number, Status.OPEN))
        assert rcodes(rig) == ["NOERROR", "NOERROR"]

    played(script, wait=5)


def test_a_new_one_knows_nothing_of_what_was_said_to_the_former(played):
    async def script(rig):
        rig.answer()
        await rig.say(talk.done((await rig.asked()).number, Status.OPEN))
        assert rig.answer() is not None
        rig.egress.close()
        await rig.turn()
        rig.accept()
        assert rig.answer() is None

    played(script)


def test_without_a_socket_it_looks_for_one(played, monkeypatch):
    monkeypatch.setattr(channel, "_RETRY", 0.02)

    async def script(rig):
        path = Path(rig.listener.getsockname())
        path.rename(path.with_name("gone"))
        rig.egress.close()
        await rig.turn()
        rig.answer()
        await rig.until(lambda: rig.sent)
        assert rcodes(rig) == ["SERVFAIL"]
        path.with_name("gone").rename(path)
        rig.listener.settimeout(PATIENCE)
        rig.egress, _ = await rig.loop.run_in_executor(None, rig.listener.accept)
        rig.egress.setblocking(False)
        rig.answer(client=BOB)
        await rig.say(talk.done((await rig.asked()).number, Status.OPEN))
        assert rig.answer(client=BOB) is None
        await rig.say(talk.done((await rig.asked()).number, Status.OPEN))
        assert rcodes(rig) == ["SERVFAIL", "NOERROR"]

    played(script, wait=1)


def test_a_full_socket_holds_what_comes_next_together(played):
    async def script(rig):
        number = 0
        while not rig.held._channel.full:
            rig.answer(name=f"n{number}.example", client=number.to_bytes(4))
            number += 1
            await rig.turn()
        for more in range(50):
            rig.answer(name=f"m{more}.example", client=more.to_bytes(4))
        batches = []
        while sum(map(len, batches)) < number + 50:
            asks = await rig.asked()
            batches.append(asks.asks)
            await rig.say(talk.done(asks.number, Status.OPEN))
        assert len(batches[-1]) > 50  # one request for all that came while it was full
        assert len(rig.sent) == number + 50
        assert set(rcodes(rig)) == {"NOERROR"}

    played(script, wait=5)


def test_no_more_wait_than_may(played):
    async def script(rig):
        for number in range(16):
            assert rig.answer(name=f"n{number}.example") is None
        assert heard(rig.answer(name="more.example").answer).rcode == "SERVFAIL"

    played(script, waiting=16)


def test_very_many_addresses_are_several_requests(played):
    async def script(rig):
        packet = ask("many.example", "AAAA")
        many = "\n".join(f"many.example 300 AAAA 2001:db8::{number}" for number in range(1, 65))
        for number in range(100):
            exchange = rig.bench.line.open(packet, STRICT, number.to_bytes(4), "tcp", time.monotonic())
            if exchange.wanted:
                rig.bench.finish(exchange, said(packet, many), time.monotonic())
            assert not rig.held.passes(exchange)
        wanted = 0
        while wanted < 100:
            asks = await rig.asked()
            wanted += len(asks.asks)
            await rig.say(talk.done(asks.number, Status.OPEN))
        assert len(rig.sent) == 100

    played(script)


def test_ipv4_over_a_socket_for_both(played):
    async def script(rig):
        mapped = bytes(10) + b"\xff\xff" + ALICE
        rig.bench.fast.remember(mapped, STRICT)
        rig.answer(client=mapped)
        asks = await rig.asked()
        assert asks.asks[0].client == ALICE  # as its packets carry it
        await rig.say(talk.done(asks.number, Status.OPEN))
        rig.answer(client=mapped)
        assert len(rig.bench.fast.by_address[mapped]) == 1
        await rig.say(next(talk.forget([ALICE])))
        assert rig.bench.fast.by_address[mapped] == {}

    played(script)


@pytest.mark.parametrize("message", [b"nonsense", talk.asks(1, []), talk.done(12345, Status.OPEN)])
def test_what_no_egress_process_says(played, message):
    async def script(rig):
        await rig.say(message)
        rig.answer()
        await rig.say(talk.done((await rig.asked()).number, Status.OPEN))
        assert rcodes(rig) == ["NOERROR"]

    played(script)


def test_in_the_end_nobody_is_left_waiting(played):
    async def script(rig):
        rig.answer()
        rig.answer(LOOSE)
        assert isinstance(await rig.asked(), Asks)
        rig.answer(client=BOB)
        rig.held.close()
        assert sorted(rcodes(rig)) == ["NOERROR", "SERVFAIL", "SERVFAIL"]

    played(script)
