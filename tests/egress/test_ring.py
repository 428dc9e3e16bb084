"""Live capture in a namespace of the test's own: what goes into one end of a pair comes out of the other's ring."""

import mmap
import socket
import time
from pathlib import Path

import pytest
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether

from blocker.egress.live import Live
from blocker.egress.ring import Ring, open_socket
from blocker.errors import CaptureError
from tests.egress.hello import messages
from tests.egress.namespace import Namespace
from tests.egress.wire import DEVICE_6, SERVER_6, Connection

HELLO = messages.client_hello()


@pytest.fixture(scope="module")
def space():
    with Namespace() as made:
        # The kernel's own packets would be among those that are counted.
        made.run(lambda: Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1"))
        made.ip("link add a0 type veth peer name b0")
        for name in ("a0", "b0"):
            made.ip(f"link set {name} up")
        yield made


@pytest.fixture
def sender(space):
    sock = space.run(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    sock.bind(("a0", 0))
    with sock:
        yield sock


@pytest.fixture
def ring(space):
    made = Ring(space.run(open_socket), "b0", promiscuous=True)
    yield made
    made.close()


def taken(live, wanted, seconds=5.0):
    found = []
    until = time.monotonic() + seconds
    while len(found) < wanted and time.monotonic() < until:
        found += live.packets(0.1)
    return found


def test_beginnings_come_through_within_milliseconds_and_nothing_else(ring, sender):
    live = Live([ring])
    for tcp in (Connection(), Connection(443, DEVICE_6, SERVER_6)):
        for frame in (tcp.syn(), tcp.data(b"\x17\3\3\0\5hello"), tcp.data(HELLO)):
            sender.send(frame)
    began = time.monotonic()
    found = taken(live, 4)
    assert time.monotonic() - began < 2.0
    assert [packet.payload for packet in found] == [b"", HELLO, b"", HELLO]
    assert {len(packet.source) for packet in found} == {4, 16}
    live.look(time.monotonic())
    assert live.seen == 4
    assert (live.lost, live.missing) == (0, [])


@pytest.mark.parametrize("between", [Dot1Q(vlan=7), Dot1AD(vlan=7)])
def test_what_is_tagged_for_a_network_of_its_own_is_seen(ring, sender, between):
    live = Live([ring])
    frame = Ether(Connection().data(HELLO))
    sender.send(bytes(Ether(src=frame.src, dst=frame.dst) / between / frame.payload))
    assert [packet.payload for packet in taken(live, 1)] == [HELLO]


def test_a_frame_larger_than_most_is_seen(space, ring, sender):
    for name in ("a0", "b0"):
        space.ip(f"link set {name} mtu 9000")
    live = Live([ring])
    said = HELLO + bytes(8000)
    sender.send(Connection().data(said))
    assert [packet.payload for packet in taken(live, 1)] == [said]


def test_losses_are_counted(ring, sender):
    live = Live([ring])
    frame = Connection().data(HELLO + bytes(800))
    while not live.lost:
        for _ in range(2000):
            sender.send(frame)
        live.look(live._look_at)
    assert live.seen > live.lost > 0
    found = 0
    while taken_now := sum(1 for _ in live.packets(0.1)):
        found += taken_now
    assert found == live.seen - live.lost


def test_who_follows_a_process_that_was_killed_goes_on_where_it_stood(space, sender):
    sock = space.run(open_socket)
    former = Ring(sock, "b0")
    live = Live([former])
    for number in range(3):  # three blocks
        sender.send(Connection(source_port=number).syn())
        assert [packet.source_port for packet in taken(live, 1)] == [number]
    former._view.release()
    former._memory.close()
    for number in (3, 4):
        sender.send(Connection(source_port=number).syn())
        time.sleep(0.05)  # so that each is in a block of its own
    successor = Ring(sock, "b0")
    assert [packet.source_port for packet in taken(Live([successor]), 2)] == [3, 4]
    sender.send(Connection(source_port=5).syn())
    assert [packet.source_port for packet in taken(Live([successor]), 1)] == [5]
    successor.close()


def test_without_the_capability_it_says_what_is_needed(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(CaptureError, match="CAP_NET_RAW"):
        open_socket()


def test_a_ring_that_cannot_be_mapped(space, monkeypatch):
    monkeypatch.setattr(mmap, "mmap", lambda *_: (_ for _ in ()).throw(OSError(12, "Cannot allocate memory")))
    with pytest.raises(CaptureError, match="Cannot allocate memory"), space.run(open_socket) as sock:
        Ring(sock, "b0")


def test_a_flood_does_not_keep_the_reader_for_ever(ring, sender, monkeypatch):
    monkeypatch.setattr("blocker.egress.ring._AT_ONCE", 2)
    live = Live([ring])
    frame = Connection().data(HELLO + bytes(900))
    for _ in range(400):  # some 8 blocks
        sender.send(frame)
    counts = []
    while sum(counts) < 400:
        counts.append(sum(1 for _ in live.packets(1.0)))
    assert len(counts) >= 3
    assert max(counts) <= 150
