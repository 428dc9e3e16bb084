"""Strangers' packets: random, mutated, cut, too long. The daemon lives, and answers the next good question."""

import contextlib
import random
import select
import socket

import dns.edns
import pytest

from tests.e2e.client import addresses, query
from tests.e2e.upstream import V4

SHARED = {"process": {"workers": 2}, "limits": {"tcp_read": 0.5, "tcp_idle": 2.0}, "upstream": {"deadline": 3.0}}
SUBNET = dns.edns.ECSOption("192.0.2.0", 24)


def packets(dice, count):
    """Return `count` packets: noise, and good queries with octets changed, cut or added."""
    good = [
        query("www.banned.example").to_wire(),
        query("www.allowed.example", "HTTPS", do=True).to_wire(),
        query("x" * 63 + ".banned.example", "AAAA", options=[SUBNET, dns.edns.GenericOption(11, b"")]).to_wire(),
        query(".", "NS", edns=False).to_wire(),
        query("version.bind", "TXT").to_wire(),
    ]
    made = [b"", b"\0", b"\0" * 12, b"\xff" * 12, b"\0" * 4096, good[0] + b"\0" * 60_000]
    while len(made) < count:
        kind = dice.randrange(5)
        wire = bytearray(dice.choice(good))
        if kind == 0:
            wire = bytearray(dice.randbytes(dice.randrange(600)))
        elif kind == 1:
            wire = wire[: dice.randrange(len(wire))]
        elif kind == 2:
            wire += dice.randbytes(dice.randrange(1, 40))
        else:
            for _ in range(dice.choice((1, 1, 2, 8))):
                wire[dice.randrange(len(wire))] = dice.randrange(256)
        made.append(bytes(wire))
    return made


def is_well(daemon):
    """Tell whether good questions are answered, nobody was replaced and no bug of ours was counted."""
    for _ in range(8):  # sooner or later every worker
        assert addresses(daemon.ask("www.banned.example")) == ["0.0.0.0"]
        assert addresses(daemon.ask("www.allowed.example")) == [V4]
        with daemon.stream() as stream:
            assert addresses(stream.ask("www.banned.example")) == ["0.0.0.0"]
    assert daemon.count("blocker_errors_total") == 0
    assert daemon.count("blocker_worker_restarts_total") == 0
    return True


def test_hostile_datagrams(shared):
    heard = []
    before = shared.count("blocker_malformed_total")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(shared.client()) for _ in range(8)]
        for number, wire in enumerate(packets(random.Random(2), 2000)):
            client = clients[number % len(clients)]
            client.send(wire)
            while select.select([client.sock], [], [], 0)[0]:
                heard.append(client.sock.recv(65536))
        assert is_well(shared)
        for client in clients:
            while select.select([client.sock], [], [], 0)[0]:
                heard.append(client.sock.recv(65536))
    assert len(heard) > 500
    assert all(wire[2] & 0x80 for wire in heard)  # a response, so that two servers cannot talk for ever
    assert max(map(len, heard)) <= 1232
    assert shared.count("blocker_malformed_total") > before + 500


@pytest.mark.parametrize("framed", [True, False], ids=["framed", "raw"])
def test_hostile_streams(shared, framed):
    for number, wire in enumerate(packets(random.Random(3), 100)):  # of many clients: none is to meet its own limit
        with shared.stream(source=f"127.0.0.{2 + number}") as stream, contextlib.suppress(OSError):
            stream.sock.sendall(len(wire[:65535]).to_bytes(2) + wire[:65535] if framed else wire)
            stream.sock.shutdown(socket.SHUT_WR)
    assert is_well(shared)


def test_a_response_is_not_answered(shared, shared_upstream):
    wire = bytearray(query("www.banned.example").to_wire())
    wire[2] |= 0x80
    before = shared.count("blocker_malformed_total", reason="response")
    with shared.client() as client:
        client.send(bytes(wire))
        assert addresses(client.ask("www.banned.example")) == ["0.0.0.0"]  # and nothing came before it
    assert shared.count("blocker_malformed_total", reason="response") == before + 1
    assert shared_upstream.seen("banned.example") == []


def test_a_flood_of_connections_that_say_nothing(shared):
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            with contextlib.suppress(OSError):
                stack.enter_context(shared.stream(source=f"127.0.0.{random.randrange(2, 200)}"))
        assert addresses(shared.ask("www.banned.example")) == ["0.0.0.0"]
    assert is_well(shared)
