"""Connections are cut in a namespace of the test's own: into the set, and out of the table of those let pass."""

import socket

import pytest

from blocker.egress import cut
from blocker.egress.cut import Cut
from blocker.egress.cutter import Cutter
from blocker.egress.elements import Put
from blocker.egress.netlink import Netlink
from blocker.errors import KernelError
from tests.egress.namespace import Namespace

TABLE = """table inet blocker {
    set cut_4 { type ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service; flags timeout; size 128; }
    set cut_6 { type ipv6_addr . ipv6_addr . inet_proto . inet_service . inet_service; flags timeout; size 128; }
    set moved_4 { type ipv4_addr . ipv4_addr . inet_service; flags timeout; size 2; }
    chain out { type filter hook output priority 0;
        ct state established accept
        ip saddr . ip daddr . meta l4proto . th sport . th dport @cut_4 reject with tcp reset
        ip6 saddr . ip6 daddr . meta l4proto . th sport . th dport @cut_6 reject with tcp reset
    }
}
"""


@pytest.fixture
def space():
    with Namespace() as made:
        made.nft(TABLE)
        yield made


@pytest.fixture
def cutting(space):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    said = []
    kernel = space.run(Netlink)
    cutter = space.run(lambda: Cutter(theirs, kernel, said.append))
    yield ours, cutter, said
    kernel.close()
    ours.close()
    cutter.close()
    theirs.close()


def connection(space, family, address):
    listener = space.run(lambda: socket.socket(family, socket.SOCK_STREAM))
    listener.bind((address, 0))
    listener.listen()
    client = space.run(lambda: socket.socket(family, socket.SOCK_STREAM))
    client.connect(listener.getsockname())
    return listener, client, listener.accept()[0]


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_an_established_connection_is_reset(space, cutting, family, address):
    ours, cutter, said = cutting
    listener, client, server = connection(space, family, address)
    with listener, client, server:
        client.send(b"hello")
        assert server.recv(5) == b"hello"
        packed = socket.inet_pton(family, address)
        ours.send(cut.encode(Cut(packed, packed, 6, client.getsockname()[1], client.getpeername()[1])))
        assert cutter.step()
        client.send(b"again")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert (cutter.cut, said) == (1, [])


def test_what_is_no_connection_is_passed_over_and_the_end_is_noticed(cutting):
    ours, cutter, said = cutting
    ours.send(b"junk")
    assert cutter.step()
    ours.close()
    assert not cutter.step()
    assert (cutter.cut, said) == (0, [])


def test_one_that_has_ended_already_is_no_trouble(cutting):
    ours, cutter, said = cutting
    for number in range(100):
        ours.send(cut.encode(Cut(bytes(4), bytes(4), 6, number, 443)))
    cutter.step()
    assert (cutter.cut, said) == (100, [])


def test_where_quic_may_go_on_has_no_room_it_is_cut_all_the_same(space, cutting):
    ours, cutter, said = cutting
    for number in range(3):
        ours.send(cut.encode(Cut(bytes(4), bytes((11, 0, 0, number)), 17, 40000, 443)))
    cutter.step()
    assert cutter.cut == 3
    assert [line.split(":")[0] for line in said] == ["QUIC may go on from another port"]
    assert space.listed("set inet blocker cut_4").count("40000") == 3


class Kernel:
    """Notes what it is told."""

    def __init__(self):
        self.held = {}

    def apply(self, changes):
        for change in changes:
            if isinstance(change, Put):
                self.held.setdefault(change.set, set()).update(each.key for each in change.elements)
            else:
                self.held[change.set].difference_update(change.keys)


def test_a_device_that_is_found_out_without_end_loses_its_own_oldest_alone(space, cutting):
    ours = cutting[0]
    theirs = socket.socket(fileno=cutting[1]._asked.dup().detach())
    kernel = Kernel()
    cutter = space.run(lambda: Cutter(theirs, kernel, print))
    one = Cut(b"\x0a\0\0\2", bytes(4), 6, 40000, 443)
    for which in (one, *(Cut(b"\x0a\0\0\3", bytes(4), 6, port, 443) for port in range(5000))):
        ours.send(cut.encode(which))
        assert cutter.step()
    held = kernel.held["cut_4"]
    assert b"".join(cut.pair(one)) in held
    assert b"".join(cut.pair(which)) in held
    assert 3500 < len(held) <= 4097
    cutter.close()
    theirs.close()


class Broken:
    def apply(self, changes):
        raise ValueError("a bug")


def test_a_bug_does_not_end_it(space, cutting):
    ours, _, said = cutting
    theirs = socket.socket(fileno=cutting[1]._asked.dup().detach())
    uncut = []
    cutter = space.run(lambda: Cutter(theirs, Broken(), said.append, uncut.append))
    ours.send(cut.encode(Cut(bytes(4), bytes(4), 6, 1, 443)))
    ours.close()
    cutter.run()
    assert (said, uncut) == (["a bug of ours: ValueError('a bug')"], [1])
    cutter.close()
    theirs.close()


class Refusing:
    def apply(self, changes):
        raise KernelError("no such table")


def test_trouble_is_said_once_a_minute(space, cutting):
    ours, _, said = cutting
    theirs = socket.socket(fileno=cutting[1]._asked.dup().detach())
    uncut = []
    cutter = space.run(lambda: Cutter(theirs, Refusing(), said.append, uncut.append))
    for _ in range(3):
        ours.send(cut.encode(Cut(bytes(4), bytes(4), 6, 1, 443)))
        assert cutter.step()
    assert said == ["1 connections are not cut: no such table"]
    assert uncut == [1, 1, 1]
    cutter.close()
    theirs.close()
