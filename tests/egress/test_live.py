"""Several interfaces at once, some of which come and go."""

import socket
import time

import pytest

from blocker.egress.live import Live
from blocker.egress.ring import Ring, open_socket
from tests.egress.namespace import Namespace
from tests.egress.wire import Connection


@pytest.fixture(scope="module")
def space():
    with Namespace() as made:
        yield made


def pair(space, here, there):
    space.ip(f"link add {here} type veth peer name {there}")
    for name in (here, there):
        space.ip(f"link set {name} up")


def send(space, name, frame):
    with space.run(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sock:
        sock.bind((name, 0))
        sock.send(frame)


def taken(live, wanted):
    found = []
    until = time.monotonic() + 5
    while len(found) < wanted and time.monotonic() < until:
        found += [packet.source_port for packet in live.packets(0.1)]
    return sorted(found)


def test_two_interfaces(space):
    rings = []
    for number in (1, 2):
        pair(space, f"here{number}", f"there{number}")
        rings.append(Ring(space.run(open_socket), f"here{number}"))
    live = Live(rings)
    for number in (1, 2):
        send(space, f"there{number}", Connection(source_port=number).syn())
    assert taken(live, 2) == [1, 2]
    for ring in rings:
        ring.close()


def test_an_interface_that_comes_later_goes_away_and_comes_again(space):
    ring = Ring(space.run(open_socket), "late0")
    live = Live([ring])
    assert live.missing == ["late0"]
    for _ in range(2):
        pair(space, "late0", "late1")
        live.look(live._look_at)
        assert live.missing == []
        send(space, "late1", Connection(source_port=7).syn())
        assert taken(live, 1) == [7]
        space.ip("link del late0")
        assert list(live.packets(1.0)) == []
        assert live.missing == ["late0"]
    ring.close()
