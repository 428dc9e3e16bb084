"""Who hides what a connection says, as tools against inspection do, is found out and cut all the same.

The packets are real: the kernel of the device cuts them up, and the servers answer as if nothing were odd about them.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.egress.hello import messages
from tests.lab.lab import Lab
from tests.lab.test_cut import BEGUN, LAB, Elsewhere, watched

__all__ = ["LAB", "watched"]

HELLO = messages.client_hello("www.tiktok.com")
KEYS = messages.records(messages.handshake((51, bytes(1200)), (21, bytes(1200)), name=b"www.tiktok.com"), 4096)
DECOY = messages.handshake(name=b"www.example.com")
AT = HELLO.index(b"tiktok") + 3
INNOCENT = b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
LASTS = 3.0  # seconds after which it must be dead, on a machine that others use too

elsewhere = Elsewhere()
Send = Callable[[socket.socket], object]


@dataclass(frozen=True)
class Row:
    """How a connection says it, to which port, and what must be recorded."""

    name: str
    send: Send
    port: int = 443
    app: str = "tiktok"
    trigger: str = "sni"
    kind: socket.SocketKind = socket.SOCK_STREAM


def pieces(*said: bytes) -> Send:
    """Send each in a segment of its own."""

    def send(sock: socket.socket) -> None:
        for each in said:
            sock.sendall(each)
            time.sleep(0.002)

    return send


def cut(said: bytes, size: int) -> list[bytes]:
    return [said[at : at + size] for at in range(0, len(said), size)]


def out_of_band(sock: socket.socket) -> None:
    sock.sendall(HELLO[:AT])
    sock.send(b"x", socket.MSG_OOB)
    sock.sendall(HELLO[AT:])


def datagrams(*said: bytes) -> Send:
    return lambda sock: [sock.send(each) for each in said]


def initial(message: bytes, dcid: bytes = bytes(8), size: int = 1162) -> bytes:
    return messages.initial(messages.crypto(message), dcid=dcid, size=size)


SECRET = messages.handshake(name=b"www.tiktok.com")
ROWS = [
    Row("octet by octet", pieces(*cut(HELLO, 1)[:300], HELLO[300:])),
    Row("narrow segments", pieces(*cut(KEYS, 700))),
    Row("records of an octet", pieces(messages.records(HELLO[5:], 1))),
    Row("records without content", pieces(b"\x16\3\1\0\0" * 20 + HELLO)),
    Row("an octet out of band", out_of_band),
    Row("behind something else", pieces(b"EHLO a\r\nSTARTTLS\r\n", HELLO), 8443),
    Row("through a proxy", pieces(b"CONNECT 11.9.9.9:443 HTTP/1.1\r\n\r\n", *cut(HELLO, 100)), 8080),
    Row("through SOCKS", pieces(b"\5\1\0", b"\5\1\0\1\x0b\x09\x09\x09\1\xbb", HELLO), 8080),
    Row("a later request", pieces(INNOCENT, INNOCENT.replace(b"example", b"tiktok")), 80, trigger="http-host"),
    Row("requests at once", pieces(INNOCENT + INNOCENT.replace(b"example", b"tiktok")), 80, trigger="http-host"),
    Row("a proxy's form", pieces(b"GET http://www.tiktok.com/ HTTP/1.1\r\nHost: a\r\n\r\n"), 80, trigger="http-host"),
    Row("two hosts", pieces(INNOCENT[:-2] + b"Host: www.tiktok.com\r\n\r\n"), 80, trigger="http-host"),
    Row("a host on the next line", pieces(b"GET / HTTP/1.1\r\nHost:\r\n www.TikTok.com.\r\n\r\n"), 80,
        trigger="http-host"),
    Row("mmtls inside a proxy", pieces(b"CONNECT 11.9.9.9:80 HTTP/1.1\r\n\r\n", messages.MMTLS_CLIENT), 8080, "wechat",
        "mmtls"),
    Row("QUIC in fragments", datagrams(initial(SECRET, size=4000)), trigger="quic-sni", kind=socket.SOCK_DGRAM),
    Row("QUIC behind a decoy", datagrams(initial(DECOY), initial(SECRET)), trigger="quic-sni", kind=socket.SOCK_DGRAM),
    Row("QUIC behind another id", datagrams(initial(DECOY, b"another!"), initial(SECRET)), trigger="quic-sni",
        kind=socket.SOCK_DGRAM),
]  # fmt: skip


def lasted(lab: Lab, row: Row, address: str) -> float | None:
    """Say what gives the connection away, go on talking, and return how long it lasted; None: it lives on."""
    with lab.device.new_socket(address, row.kind) as sock:
        sock.connect((address, row.port))
        if row.kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        try:
            row.send(sock)
            while time.monotonic() - began < LASTS:
                sock.send(BEGUN if row.kind is socket.SOCK_STREAM else b"hello")
                time.sleep(0.01)
        except OSError:
            return time.monotonic() - began
    return None


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_is_found_out_and_cut(watched, row, version):
    address = elsewhere.next(version)
    assert lasted(watched, row, address) is not None
    said = watched.recorded(app=row.app, trigger=row.trigger, destination=address)
    assert said["action"] == "refused"


@pytest.mark.parametrize("version", [4, 6])
def test_the_same_ways_are_open_to_what_is_allowed(watched, version):
    address = elsewhere.next(version)
    with watched.device.new_socket(address, socket.SOCK_DGRAM) as sock:
        sock.connect((address, 443))
        sock.send(initial(DECOY, size=4000))
        assert len(sock.recv(9000)) > 4000
    with watched.device.connected(address, 80) as sock:
        sock.sendall(INNOCENT)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        sock.sendall(INNOCENT)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    assert watched.attempts(destination=address) == []


def test_nothing_of_it_was_lost(watched):
    assert watched.metric("blocker_egress_capture_lost_total") == 0
    assert watched.metric("blocker_egress_fragments_lost_total") == 0
    assert watched.metric("blocker_errors_total") == 0
