"""Bad days of upstreams: what each of them saw, and what the client heard."""

import random
import socket
import time

import pytest

from tests.e2e.client import addresses, errors, query, rcode
from tests.e2e.daemon import eventually
from tests.e2e.upstream import (
    V4,
    Reply,
    after,
    answer,
    default,
    failure,
    first,
    forged,
    hang_up,
    malformed,
    refusal,
    silence,
    slow,
    truncated,
)

ONE = {"process": {"workers": 1}}
SHARED = ONE | {"upstream": {"deadline": 3.0}}
TXT = answer(*(f'tc.example. 300 TXT "{number:03}{"x" * 90}"' for number in range(4)))


class Nobody:
    """An address where nobody listens: the kernel says so at once."""

    def __init__(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{sock.getsockname()[1]}"

    def __str__(self):
        return self.address


def test_what_does_not_fit_a_datagram_comes_over_tcp(shared, shared_upstream):
    shared_upstream.scripts["tc.example"] = truncated(TXT)
    heard = shared.ask("tc.example", "TXT")
    assert len(heard.answer[0]) == 4
    assert [seen.transport for seen in shared_upstream.seen("tc.example")] == ["udp", "tcp"]


def test_what_does_not_fit_our_buffer_comes_over_tcp(shared, shared_upstream):
    """An upstream that sends more than we say we take, and does not say that it is cut off."""
    large = answer(*(f'large.example. 300 TXT "{number:03}{"x" * 230}"' for number in range(20)))
    shared_upstream.scripts["large.example"] = large
    assert rcode(shared.ask("large.example", "TXT")) == "NOERROR"
    assert [seen.transport for seen in shared_upstream.seen("large.example")] == ["udp", "tcp"]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 11])
def test_a_stump_over_tcp_is_no_reply(start, upstream, size):
    """Another upstream query, not a bug of ours, and the client hears something."""
    upstream.scripts["tc.example"] = truncated(lambda seen: [Reply(seen.wire[:size])])
    daemon = start(ONE | {"upstream": {"deadline": 1.0, "timeout": 0.2}})
    assert rcode(daemon.ask("tc.example")) == "SERVFAIL"
    assert daemon.count("blocker_errors_total") == 0


def test_an_upstream_that_has_no_tcp_after_all(start, upstream):
    upstream.scripts["tc.example"] = truncated(hang_up)
    heard = start(ONE | {"upstream": {"deadline": 2.0, "attempts": 2}}).ask("tc.example", "TXT")
    assert rcode(heard) == "SERVFAIL"
    assert set(errors(heard)) & {22, 23}
    assert {seen.transport for seen in upstream.seen("tc.example")} == {"udp", "tcp"}


@pytest.mark.parametrize(
    ("strategy", "dead"),
    [("ordered", "silent"), ("ordered", "closed"), ("fastest", "silent"), ("round-robin", "silent")],
)
def test_one_of_two_is_dead(start, upstream, more_upstreams, dead, strategy):
    other = Nobody() if dead == "closed" else more_upstreams(script=silence)
    daemon = start(ONE | {"upstream": {"strategy": strategy}}, upstreams=[other, upstream])
    with daemon.client() as client:
        took = []
        for number in range(20):
            began = time.monotonic()
            assert addresses(client.ask(f"n{number}.failover.example")) == [V4]
            took.append(time.monotonic() - began)
    assert sorted(took)[10] < 1.0
    assert min(took[12:]) < 0.3  # by now it is known
    assert {seen.name for seen in upstream.seen("failover.example")} >= {
        f"n{number}.failover.example" for number in range(20)
    }
    eventually(lambda: daemon.count("blocker_upstream_timeouts_total", upstream=str(other)) >= 4)
    assert eventually(lambda: daemon.count("blocker_upstream_healthy", upstream=str(other)) == 0)
    assert daemon.count("blocker_upstream_healthy", upstream=str(upstream)) == 1


def test_an_upstream_that_comes_back_is_used_again(start, upstream, more_upstreams):
    other = more_upstreams(script=silence)
    daemon = start(ONE | {"upstream": {"strategy": "ordered", "probe_interval": 0.2}}, upstreams=[other, upstream])
    with daemon.client() as client:
        for number in range(6):
            client.ask(f"n{number}.away.example")
        eventually(lambda: daemon.count("blocker_upstream_healthy", upstream=str(other)) == 0)
        before = len(other.seen())
        for number in range(6):
            client.ask(f"n{number}.still.example")
        assert len(other.seen()) == before  # probes aside
        other.default = default
        eventually(lambda: daemon.count("blocker_upstream_healthy", upstream=str(other)) == 1)
        assert other.probes() >= 1
        assert addresses(client.ask("n1.back.example")) == [V4]
    assert len(other.seen("back.example")) == 1
    assert upstream.seen("back.example") == []


@pytest.mark.parametrize("dead", ["silent", "closed"])
def test_both_are_dead(start, more_upstreams, dead):
    upstreams = [Nobody() if dead == "closed" else more_upstreams(script=silence) for _ in range(2)]
    daemon = start(ONE | {"upstream": {"deadline": 1.5, "timeout": 0.3}}, upstreams=upstreams)
    with daemon.client() as client:
        began = time.monotonic()
        heard = client.ask("nobody.example")
        taken = time.monotonic() - began
        assert (rcode(heard), addresses(heard)) == ("SERVFAIL", [])
        assert set(errors(heard)) & {22, 23}
        assert taken < 1.4 if dead == "closed" else 1.4 < taken < 4
        before = sum(len(each.seen()) for each in upstreams if not isinstance(each, Nobody))
        assert rcode(client.ask("nobody.example")) == "SERVFAIL"  # kept (RFC 9520)
        assert sum(len(each.seen()) for each in upstreams if not isinstance(each, Nobody)) == before <= 3
        assert addresses(client.ask("www.banned.example")) == ["0.0.0.0"]  # blocking needs no upstream
    assert daemon.count("blocker_query_duration_seconds_count", outcome="failure") >= 1


def test_a_stale_answer_is_better_than_none(start, upstream):
    upstream.scripts["stale.example"] = first(answer("stale.example. 1 A 93.184.215.15"), silence)
    daemon = start(ONE | {"upstream": {"deadline": 1.0}, "cache": {"stale_after": 0.3, "prefetch": False}})
    with daemon.client() as client:
        assert (addresses(client.ask("stale.example")), len(upstream.seen())) == (["93.184.215.15"], 1)
        heard = eventually(lambda: errors(found := client.ask("stale.example")) and found)
        assert (addresses(heard), list(errors(heard)), heard.answer[0].ttl) == (["93.184.215.15"], [3], 30)
        assert len(upstream.seen()) >= 2  # it was asked first
        assert rcode(client.ask("never.stale.example")) == "SERVFAIL"
    assert daemon.count("blocker_query_duration_seconds_count", outcome="stale") >= 1


def flipped_id(wire):
    return bytes((wire[0] ^ 1,)) + wire[1:]


def other_question(wire):
    return wire[:13] + b"x" + wire[14:]


def no_question(wire):
    return wire[:4] + b"\0\0" + wire[6:]


def a_query(wire):
    return wire[:2] + bytes((wire[2] & 0x7F,)) + wire[3:]


@pytest.mark.parametrize("change", [flipped_id, other_question, no_question, a_query, lambda wire: wire[:11]])
def test_forgeries_are_passed_over(shared, shared_upstream, change):
    name = f"{change.__name__.strip('<>').replace('_', '-')}.forged.example"
    before = shared.count("blocker_upstream_mismatched_total")
    shared_upstream.scripts[name] = after(forged(change))
    assert addresses(shared.ask(name)) == [V4]
    assert 1 <= len(shared_upstream.seen(name)) <= 3
    eventually(lambda: shared.count("blocker_upstream_mismatched_total") > before)


def test_another_address_is_not_heard(shared, shared_upstream):
    shared_upstream.scripts["elsewhere.example"] = after(forged(lambda wire: wire, elsewhere=True))
    assert addresses(shared.ask("elsewhere.example")) == [V4]


def test_random_case_must_come_back(start, upstream):
    upstream.scripts["case.example"] = after(forged(lambda wire: wire[:12] + wire[12:].lower()))
    daemon = start(ONE | {"upstream": {"randomize_case": True}})
    with daemon.client() as client:
        for number in range(5):
            heard = client.ask(f"Number{number}.Of.Case.Example")
            assert addresses(heard) == [V4]
            assert heard.question[0].name.to_text() == f"Number{number}.Of.Case.Example."
    seen = upstream.seen("case.example")
    assert {each.name for each in seen} == {f"number{number}.of.case.example" for number in range(5)}
    assert all(each.spelled not in (each.name, f"N{each.name[1:8]}.Of.Case.Example") for each in seen)


@pytest.mark.parametrize("script", [malformed, refusal, failure])
def test_an_unusable_answer_from_the_only_upstream(shared, shared_upstream, script):
    name = f"{script.__name__}.bad.example"
    shared_upstream.scripts[name] = script
    heard = shared.ask(name)
    assert (rcode(heard), addresses(heard)) == ("SERVFAIL", [])
    assert set(errors(heard)) & {22, 23}
    assert len(shared_upstream.seen(name)) >= 1


@pytest.mark.parametrize("script", [malformed, refusal, failure])
def test_an_unusable_answer_from_one_of_two(start, upstream, more_upstreams, script):
    other = more_upstreams(script=script)
    daemon = start(ONE | {"upstream": {"strategy": "ordered"}}, upstreams=[other, upstream])
    assert addresses(daemon.ask("bad.example")) == [V4]
    assert (len(other.seen()), len(upstream.seen())) == (1, 1)


def test_an_upstream_whose_tcp_is_silent_does_not_cost_the_answer(start, upstream, more_upstreams):
    """A firewall that drops TCP is common; another upstream can be asked in time."""
    other = more_upstreams(script=truncated(silence))
    daemon = start(ONE | {"upstream": {"strategy": "ordered", "timeout": 0.3}}, upstreams=[other, upstream])
    assert addresses(daemon.ask("tc.example")) == [V4]
    assert ([seen.transport for seen in other.seen()], len(upstream.seen())) == (["udp", "tcp"], 1)


def test_an_answer_over_tcp_that_is_late_is_an_answer(start, upstream, more_upstreams):
    other = more_upstreams(script=truncated(slow(0.8)))
    daemon = start(ONE | {"upstream": {"strategy": "ordered", "timeout": 0.3}}, upstreams=[other, upstream])
    upstream.default = silence
    assert addresses(daemon.ask("tc.example")) == [V4]


def test_a_failure_over_tcp_is_tried_elsewhere(start, upstream, more_upstreams):
    other = more_upstreams(script=truncated(failure))
    daemon = start(ONE | {"upstream": {"strategy": "ordered"}}, upstreams=[other, upstream])
    assert addresses(daemon.ask("tc.example")) == [V4]
    assert ([seen.transport for seen in other.seen()], len(upstream.seen())) == (["udp", "tcp"], 1)


@pytest.mark.parametrize("stump", [True, False], ids=["no question", "question"])
@pytest.mark.parametrize("code", ["FORMERR", "NOTIMP"])
def test_an_upstream_without_edns(start, upstream, code, stump):
    """It is asked without (RFC 6891 §7), and no second time with."""

    def old(seen):
        if not seen.message.ar:
            return default(seen)
        (reply,) = answer(rcode=code)(seen)
        return [Reply(reply.wire[:4] + bytes(8) if stump else reply.wire)]

    upstream.default = old
    daemon = start(ONE)
    with daemon.client() as client:
        assert addresses(client.ask("first.example")) == [V4]
        assert addresses(client.ask("second.example", do=True)) == [V4]
        upstream.scripts["tc.example"] = truncated(TXT)
        assert len(client.ask("tc.example", "TXT").answer[0]) == 4
    assert [(seen.name, seen.transport, len(seen.message.ar)) for seen in upstream.seen()] == [
        ("first.example", "udp", 1), ("first.example", "udp", 0), ("second.example", "udp", 0),
        ("tc.example", "udp", 0), ("tc.example", "tcp", 0),
    ]  # fmt: skip
    assert daemon.count("blocker_upstream_healthy") == 1


def test_a_huge_answer(shared, shared_upstream):
    many = [f"huge.example. 300 A 93.184.{number // 250}.{number % 250 + 1}" for number in range(3000)]
    shared_upstream.scripts["huge.example"] = truncated(answer(*many))
    with shared.stream() as stream:
        assert len(addresses(stream.ask("huge.example"))) == 3000
    assert addresses(shared.ask("huge.example")) == []  # and TC, over UDP
    assert [seen.transport for seen in shared_upstream.seen("huge.example")] == ["udp", "tcp"]


def test_a_slow_answer_is_awaited(shared, shared_upstream):
    each_its_own = (answer(f"slow.example. 300 A 93.184.215.{number}") for number in range(1, 4))
    shared_upstream.scripts["slow.example"] = slow(1.2, first(*each_its_own))
    assert addresses(shared.ask("slow.example")) == ["93.184.215.1"]  # the answer to the first attempt will do
    assert len(shared_upstream.seen("slow.example")) <= 3


def test_a_question_that_is_on_its_way_is_not_asked_again(start, upstream):
    upstream.scripts["once.example"] = slow(1.0)
    daemon = start(ONE)
    messages = [query("once.example") for _ in range(50)]
    with daemon.client() as client:
        assert len(client.ask_all(messages)) == 50
        assert len(upstream.seen("once.example")) <= 3  # what is late is tried again, for all of them together
        eventually(lambda: daemon.count("blocker_upstream_coalesced_total") == 49)
        client.ask("once.example", do=True)  # another question for the upstream
        client.ask("once.example", "AAAA")
    assert {(seen.qtype, seen.message.ar[0].edns_do) for seen in upstream.seen("once.example")} == {
        ("A", 0), ("A", 1), ("AAAA", 0),
    }  # fmt: skip


def test_zones_with_upstreams_of_their_own(start, upstream, more_upstreams):
    inside = more_upstreams()
    inside.scripts["corp.example"] = answer("www.corp.example. 300 A 10.1.2.3")
    inside.scripts["10.in-addr.arpa"] = answer("3.2.1.10.in-addr.arpa. 300 PTR www.corp.example.")
    zones = ["corp.example", "10.in-addr.arpa"]
    daemon = start({"upstream": {"forward": [{"zones": zones, "servers": [str(inside)]}]}, "lists": {"built_in": True}})
    assert addresses(daemon.ask("www.corp.example")) == ["10.1.2.3"]
    heard = daemon.ask("3.2.1.10.in-addr.arpa", "PTR")
    assert heard.answer[0][0].target.to_text() == "www.corp.example."
    assert rcode(daemon.ask("1.1.168.192.in-addr.arpa", "PTR")) == "NXDOMAIN"  # not forwarded: stays here
    assert addresses(daemon.ask("www.notcorp.example")) == [V4]
    assert [seen.name for seen in inside.seen()] == ["www.corp.example", "3.2.1.10.in-addr.arpa"]
    assert [seen.name for seen in upstream.seen()] == ["www.notcorp.example"]


def test_of_a_delegation_the_parent_is_asked(start, upstream, more_upstreams):
    """DS belongs to the zone above (RFC 4035 §3.1.4.1), which is not the forwarded one."""
    inside = more_upstreams()
    daemon = start({"upstream": {"forward": [{"zones": ["corp.example"], "servers": [str(inside)]}]}})
    for name in ("corp.example", "below.corp.example", "."):
        daemon.ask(name, "DS")
    assert [seen.name for seen in inside.seen()] == ["below.corp.example"]
    assert [seen.name for seen in upstream.seen()] == ["corp.example"]


def test_private_addresses_from_outside_are_refused(start, upstream):
    upstream.scripts["rebind.example"] = answer("rebind.example. 300 A 192.168.1.1")
    heard = start().ask("rebind.example")
    assert addresses(heard) == ["0.0.0.0"] or rcode(heard) != "NOERROR" or not addresses(heard)
    assert len(upstream.seen("rebind.example")) == 1


def test_an_upstream_over_ipv6(start, more_upstreams):
    upstream = more_upstreams(host="::1")
    assert addresses(start(ONE, upstreams=[upstream]).ask("six.example")) == [V4]
    assert [seen.source[0] for seen in upstream.seen()] == ["::1"]


def test_an_upstream_gone_mad(start, upstream):
    """Answers with octets changed, cut and added: every client hears something, and nothing breaks."""
    dice = random.Random(1)

    def mad(seen):
        (reply,) = answer(f"{seen.name}. 300 CNAME a.{seen.name}.", f"a.{seen.name}. 300 A {V4}")(seen)
        wire = bytearray(reply.wire)
        for _ in range(dice.randrange(1, 6)):
            wire[dice.randrange(2, len(wire))] = dice.randrange(256)
        if dice.random() < 0.2:
            wire = wire[: dice.randrange(len(wire))]
        return [Reply(bytes(wire))]

    upstream.scripts["mad.example"] = mad
    daemon = start(ONE | {"upstream": {"deadline": 1.0, "timeout": 0.2}})
    messages = [query(f"n{number}.mad.example") for number in range(400)]
    with daemon.client() as client:
        heard = client.ask_all(messages, window=400)
        assert len(heard) == 400
        assert addresses(client.ask("sane.example")) == [V4]
    assert daemon.count("blocker_errors_total") == 0
    assert daemon.count("blocker_worker_restarts_total") == 0
