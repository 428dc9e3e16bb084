"""TCP: who may keep a connection, for how long, and in which order answers come (RFC 7766, RFC 7828)."""

import contextlib
import socket
import time

import dns.edns
import pytest

from tests.e2e.client import addresses, query
from tests.e2e.daemon import eventually
from tests.e2e.upstream import V4, answer, slow

IDLE, READ, CONNECTIONS, PIPELINE = 3.0, 0.6, 3, 4
KEEPALIVE = dns.edns.GenericOption(11, b"")


LIMITS = {"tcp_idle": IDLE, "tcp_read": READ, "tcp_per_client": CONNECTIONS, "tcp_pipeline": PIPELINE}
SHARED = {
    "limits": LIMITS,
    "process": {"workers": 1},  # since limits are counted by each
    "upstream": {"deadline": 6.0},
}


@pytest.fixture
def daemon(shared):
    return shared


@pytest.fixture
def upstream(shared_upstream):
    return shared_upstream


@pytest.fixture(autouse=True)
def _nobody_is_connected(daemon):
    eventually(lambda: daemon.count("blocker_tcp_connections") == 0)


def test_answers_come_in_the_order_they_are_ready(daemon, upstream):
    upstream.scripts["slow.example"] = slow(0.3)
    with daemon.stream() as stream:
        stream.send(query("slow.example"), query("quick.example"), query("www.banned.example"))
        names = [stream.receive().question[0].name.to_text() for _ in range(3)]
    assert names == ["www.banned.example.", "quick.example.", "slow.example."]
    assert [seen.name for seen in upstream.seen() if seen.name.endswith(("slow.example", "quick.example"))][:2] == [
        "slow.example", "quick.example",
    ]  # fmt: skip


def test_more_questions_than_may_wait_are_all_answered(daemon, upstream):
    upstream.scripts["pipeline.example"] = slow(0.1)
    messages = [query(f"n{number}.pipeline.example") for number in range(5 * PIPELINE)]
    with daemon.stream() as stream:
        stream.send(*messages)
        heard = {stream.receive().id for _ in messages}
    assert heard == {message.id for message in messages}
    first = {seen.name: seen.when for seen in reversed(upstream.seen("pipeline.example"))}  # some may be asked again
    times = sorted(first.values())
    assert len(times) == len(messages)
    assert times[PIPELINE] - times[0] >= 0.09  # the fifth had to wait for an answer to one of the first


def test_a_thousand_blocked_names_behind_slow_ones(daemon, upstream):
    upstream.scripts["behind.example"] = slow(1.5)
    waiting = [query(f"n{number}.behind.example") for number in range(PIPELINE - 1)]
    blocked = [query("www.banned.example") for _ in range(1000)]
    with daemon.stream() as stream:
        stream.send(*waiting, *blocked)
        heard = [stream.receive() for _ in range(len(waiting) + len(blocked))]
    assert [addresses(each) for each in heard[:1000]] == [["0.0.0.0"]] * 1000
    assert {each.id for each in heard[1000:]} == {message.id for message in waiting}


def test_one_octet_at_a_time(daemon, upstream):
    wire = query("octets.example").to_wire()
    with daemon.stream() as stream:
        for octet in len(wire).to_bytes(2) + wire:
            stream.sock.sendall(bytes((octet,)))
        assert addresses(stream.receive()) == [V4]
    assert len(upstream.seen("octets.example")) == 1


def test_a_client_that_has_said_all_still_hears_its_answers(daemon, upstream):
    upstream.scripts["halfclosed.example"] = slow(0.3)
    messages = [query(f"n{number}.halfclosed.example") for number in range(2 * PIPELINE)]
    with daemon.stream() as stream:
        stream.send(*messages)
        stream.sock.shutdown(socket.SHUT_WR)
        assert {stream.receive().id for _ in messages} == {message.id for message in messages}
        with pytest.raises(EOFError):
            stream.receive()


def test_an_empty_message_ends_the_connection(daemon, upstream):
    before = len(upstream.seen())
    with daemon.stream() as stream:
        stream.sock.sendall(b"\0\0")
        assert stream.ended() < IDLE * 0.9
    assert len(upstream.seen()) == before


@pytest.mark.parametrize("rest", [b"", b"\1", b"\0\x1d" + b"\0" * 28])
def test_half_a_message_is_not_waited_for(daemon, upstream, rest):
    before = len(upstream.seen())
    with daemon.stream() as slow_one, daemon.stream() as other:
        began = time.monotonic()
        slow_one.sock.sendall(b"\0" + rest if len(rest) < 2 else rest)
        assert addresses(other.ask("www.banned.example")) == ["0.0.0.0"]  # nobody else waits for it
        slow_one.ended()
        assert READ * 0.9 <= time.monotonic() - began < IDLE * 0.9
    assert len(upstream.seen()) == before


def test_a_drip_of_octets_does_not_keep_a_connection(daemon):
    began = time.monotonic()
    with daemon.stream() as stream, contextlib.suppress(OSError):
        stream.sock.settimeout(READ / 4)
        while time.monotonic() - began < 3 * IDLE:
            stream.sock.sendall(b"\1")
            with contextlib.suppress(TimeoutError):
                if not stream.sock.recv(1):
                    break
    assert READ * 0.9 <= time.monotonic() - began < 2 * IDLE


def test_an_idle_connection_is_closed(daemon):
    with daemon.stream() as stream:
        began = time.monotonic()
        assert addresses(stream.ask("www.banned.example")) == ["0.0.0.0"]
        stream.ended()
        assert IDLE * 0.9 <= time.monotonic() - began < 2 * IDLE


def test_a_connection_that_waits_for_an_answer_is_not_idle(daemon, upstream):
    upstream.scripts["patience.example"] = slow(IDLE + 0.6)
    with daemon.stream() as stream:
        assert addresses(stream.ask("patience.example")) == [V4]


def test_a_client_that_reads_nothing_is_cut_off(daemon, upstream):
    upstream.scripts["big.example"] = answer(
        *(f'big.example. 300 TXT "{number:03}{"x" * 200}"' for number in range(60))
    )
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(0.2)
    sock.connect(daemon.address)
    wire = query("big.example", "TXT").to_wire()
    with sock, contextlib.suppress(OSError):
        for _ in range(20_000):
            sock.sendall(len(wire).to_bytes(2) + wire)
    eventually(lambda: daemon.count("blocker_tcp_connections") == 0)
    assert addresses(daemon.ask("www.banned.example")) == ["0.0.0.0"]


def test_each_client_may_have_so_many_connections(daemon):
    before = daemon.count("blocker_tcp_refused_total")
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(daemon.stream()) for _ in range(CONNECTIONS)]
        assert [addresses(each.ask("www.banned.example")) for each in streams] == [["0.0.0.0"]] * CONNECTIONS
        one_more = stack.enter_context(daemon.stream())
        assert one_more.ended() < IDLE
        neighbour = stack.enter_context(daemon.stream(source="127.0.0.2"))
        assert addresses(neighbour.ask("www.banned.example")) == ["0.0.0.0"]
        eventually(lambda: daemon.count("blocker_tcp_refused_total") == before + 1)
        streams[0].sock.close()
        eventually(lambda: daemon.count("blocker_tcp_connections") == CONNECTIONS)
        again = stack.enter_context(daemon.stream())
        assert addresses(again.ask("www.banned.example")) == ["0.0.0.0"]


def test_the_time_a_connection_may_idle_is_told_to_those_who_ask(daemon):
    with daemon.stream() as stream:
        told = [
            option.data
            for option in stream.ask("www.banned.example", options=[KEEPALIVE]).options
            if option.otype == 11
        ]
        assert told == [round(IDLE * 10).to_bytes(2)]
        assert not [option for option in stream.ask("www.banned.example").options if option.otype == 11]
    with daemon.client() as client:  # and over UDP never (RFC 7828 3.2.1)
        assert not [each for each in client.ask("www.banned.example", options=[KEEPALIVE]).options if each.otype == 11]
