"""The kernel's list of neighbours, in a namespace of the test's own."""

import time

import pytest

from blocker.egress.rtnetlink import Rtnetlink
from tests.egress.namespace import Namespace
from tests.egress.test_neighbours import LOOPBACK, V4, V6

PATIENCE = 5.0  # seconds


@pytest.fixture
def inside():
    with Namespace() as namespace:
        for command in (
            "link add d0 type veth peer name d1", "link set d0 up", "link set d1 up", "addr add 10.0.0.254/24 dev d0",
            "neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev d0",
        ):  # fmt: skip
            namespace.ip(command)
        yield namespace


def read(devices, wanted):
    deadline = time.monotonic() + PATIENCE
    found = []
    while wanted not in found:
        assert time.monotonic() < deadline
        found += devices.read()
        time.sleep(0.005)


def test_what_is_there_and_what_comes(inside):
    devices = inside.run(Rtnetlink)
    read(devices, V4)
    inside.ip("neigh add 2001::1 lladdr 02:00:00:00:00:01 dev d0")
    read(devices, V6)
    assert devices.known.of(V4, 16) == [V6]
    assert b"\x0a\0\0\xfe" in devices.known.of(LOOPBACK, 4)
    devices.close()


def test_news_that_were_lost_are_read_again(inside):
    devices = inside.run(Rtnetlink)
    devices.socket.setsockopt(1, 8, 1)  # SO_RCVBUF, the least there is
    for number in range(200):
        inside.ip(f"neigh add 10.0.0.{number + 2} lladdr 02:00:00:00:01:{number:02x} dev d0")
    devices.socket.setsockopt(1, 8, 1 << 20)
    read(devices, b"\x0a\0\0\xc9")
    devices.close()
