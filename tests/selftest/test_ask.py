"""Asking a listener: what comes back in any order, what is lost, and nobody there."""

import contextlib
import socket
import threading
from ipaddress import ip_address

import pytest

from blocker.config import Endpoint, endpoint
from blocker.selftest import ask

PACKETS = [b"\0\1one", b"\0\2two", b"\0\3three"]
SOURCE = ip_address("127.54.54.54")


@pytest.mark.parametrize(("text", "asked"), [
    ("0.0.0.0:53", "127.0.0.1:53"), ("[::]:53", "[::1]:53"), ("192.0.2.1:53", "192.0.2.1:53"),
])  # fmt: skip
def test_reachable(text, asked):
    assert ask.reachable(endpoint(text)) == endpoint(asked)


@pytest.fixture
def listener():
    """Sockets of both kinds on one port."""
    with contextlib.ExitStack() as stack:
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        tcp = stack.enter_context(socket.socket())
        tcp.bind(udp.getsockname())
        tcp.listen()
        udp.settimeout(10)
        tcp.settimeout(10)
        yield udp, tcp, Endpoint(ip_address("127.0.0.1"), udp.getsockname()[1])


def serve(body):
    thread = threading.Thread(target=body)
    thread.start()
    return thread


def test_udp_answers_in_any_order_and_lost_ones_are_asked_again(listener):
    udp, _, end = listener
    peers = set()

    def body():
        first = [udp.recvfrom(100) for _ in PACKETS]
        peers.update(peer[0] for _, peer in first)
        for packet, peer in reversed(first[1:]):  # the first is lost
            udp.sendto(packet[:2] + b"told", peer)
        packet, peer = udp.recvfrom(100)
        udp.sendto(b"\0\x09strange", peer)
        udp.sendto(packet[:2] + b"told", peer)
        udp.sendto(packet[:2] + b"twice", peer)

    thread = serve(body)
    (replies,) = ask.over_udp(end, SOURCE, PACKETS, 5.0)
    thread.join()
    assert peers == {"127.54.54.54"}
    assert replies[1:] == [b"\0\2told", b"\0\3told"]
    assert replies[0] in (b"\0\1told", None)


def test_udp_silence(listener):
    assert ask.over_udp(listener[2], SOURCE, PACKETS, 0.05) == [[None, None, None]]


def test_udp_from_several_ports_but_those_that_are_taken(listener):
    udp, _, end = listener
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((str(SOURCE), 0))
        free = taken.getsockname()[1] + 1

        def body():
            for _ in range(2 * len(PACKETS)):
                packet, peer = udp.recvfrom(100)
                udp.sendto(packet[:2] + (b"free" if peer[1] == free else b"any"), peer)

        thread = serve(body)
        rows = ask.over_udp(end, SOURCE, PACKETS, 5.0, (free, taken.getsockname()[1], 0))
        thread.join()
    assert rows == [[packet[:2] + said for packet in PACKETS] for said in (b"free", b"any")]


def test_tcp(listener):
    _, tcp, end = listener

    def body():
        connection, _ = tcp.accept()
        with connection:
            connection.recv(1000)
            replies = b"".join(len(each).to_bytes(2) + each for each in (b"\0\2b", b"\0\1a"))
            connection.sendall(replies[:3])
            connection.sendall(replies[3:] + b"\0\x50short")

    thread = serve(body)
    assert ask.over_tcp(end, SOURCE, PACKETS, 5.0) == [b"\0\1a", b"\0\2b", None]
    thread.join()


def test_nobody_is_there():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        end = Endpoint(ip_address("127.0.0.1"), sock.getsockname()[1])
        for asker in (ask.over_udp, ask.over_tcp):
            with pytest.raises(ConnectionRefusedError):
                asker(end, None, PACKETS, 1.0)


def test_an_address_that_is_not_ours():
    with pytest.raises(OSError, match="no query can be sent from 192"):
        ask.over_udp(Endpoint(ip_address("127.0.0.1"), 53), ip_address("192.0.2.1"), PACKETS, 1.0)
