"""A connection that was found out ends within 50 ms, and no other with it. test_wire.py has the table of ways."""

import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.e2e import everybody
from tests.e2e.daemon import eventually
from tests.egress.hello import messages
from tests.lab.device import PASS, Device
from tests.lab.lab import DEVICE, GATEWAY, UPSTREAM, opened
from tests.lab.servers import LATE, SLOW

LAB = {
    "egress": {
        "enabled": True,
        "interfaces": ["lan"],
        "log_interval": 1,
        "watch": {"interfaces": ["lan"], "enforce": True},
    }
}
WITHIN = 0.05  # seconds from what gives a connection away to its end
TRIES = 5
BEGUN = b"\x17\3\3\x40\0"  # a record of TLS that is long in coming: the server waits for its end
HOST = b"GET / HTTP/1.1\r\nHost: www.tiktok.com\r\n\r\n"


@dataclass(frozen=True)
class Row:
    """One way: what the device says, and what must be recorded."""

    name: str
    port: int
    said: Callable[[], list[bytes]]
    app: str
    trigger: str
    kind: socket.SocketKind = socket.SOCK_STREAM


LONG = messages.client_hello("log.tiktokv.com", [f"protocol-{number}" for number in range(120)])  # 2,000 octets
ROWS = [
    Row("TLS", 443, lambda: [messages.client_hello("www.tiktok.com")], "tiktok", "sni"),
    Row("TLS over two segments", 443, lambda: [LONG[:1300], LONG[1300:]], "tiktok", "sni"),
    Row("QUIC", 443, lambda: messages.quic_client("www.tiktok.com"), "tiktok", "quic-sni", socket.SOCK_DGRAM),
    Row("QUIC, version 2", 443, lambda: messages.quic_client("www.tiktok.com", messages.V2), "tiktok", "quic-sni",
        socket.SOCK_DGRAM),
    Row("HTTP", 80, lambda: [HOST], "tiktok", "http-host"),
    Row("mmtls", 8080, lambda: [messages.MMTLS_EARLY], "wechat", "mmtls"),
]  # fmt: skip


class Elsewhere:
    """Addresses that no list has, a new one each time."""

    def __init__(self):
        self.number = 0
        self.address = ""

    def next(self, version):
        self.number += 1
        self.address = f"11.44.{self.number}.1" if version == 4 else f"2001:db8:44:{self.number:x}::1"
        return self.address


elsewhere = Elsewhere()


def lasted(lab, row, version, seconds, address=""):
    """Say what gives the connection away, go on talking, and return how long it lasted; None: for all of `seconds`.

    To an address that nobody talked to before, unless one is given.
    """
    address = address or elsewhere.next(version)
    with lab.device.new_socket(address, row.kind) as sock:
        sock.connect((address, row.port))
        if row.kind is socket.SOCK_DGRAM:
            return datagrams_lasted(lab, sock, address, row.said(), seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        try:
            for each in row.said():
                began = time.monotonic()
                sock.send(each)
            sock.send(BEGUN)
            while time.monotonic() - began < seconds:
                sock.send(b"x")
                time.sleep(0.001)
        except OSError:
            return time.monotonic() - began
    return None


def datagrams_lasted(lab, sock, address, said, seconds):
    """Do the same with datagrams: what counts is what arrives, since refusals are told once a second at the most."""
    before = len(lab.internet.arrived(address))
    for each in said:
        sock.send(each)
    began = time.monotonic()
    sent = []
    last = 0
    while time.monotonic() - began < seconds and last > len(sent) - 100:
        sent.append(time.monotonic() - began)
        with contextlib.suppress(OSError):
            sock.send(b"%d" % (len(sent) - 1))
        time.sleep(0.001)
        numbers = [int(data) for *_, data in lab.internet.arrived(address)[before:] if data.isdigit()]
        last = max(numbers, default=0)
    return None if last > len(sent) - 100 else sent[last]


@pytest.fixture(scope="module")
def watched(labs):
    """The laboratory of this module, once packets are looked at."""
    eventually(lambda: labs.metric("blocker_egress_up", process="watch") == 1)
    return labs


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_is_recorded_and_cut_in_time(watched, row, version):
    before = len(watched.attempts())
    found = [lasted(watched, row, version, 2.0) for _ in range(TRIES)]
    assert None not in found
    assert min(found) < WITHIN, found
    assert sorted(found)[TRIES // 2] < 4 * WITHIN, found  # the machine may be busy
    said = watched.recorded(
        app=row.app, trigger=row.trigger, port=row.port, destination=elsewhere.address, after=before
    )
    assert (":" in said["client"]) == (version == 6)
    assert (said["action"], said["outcome"], said["group"]) == ("refused", "blocked", "staff")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("row", [ROWS[0], ROWS[2]], ids=lambda row: row.name)
def test_who_tries_again_is_found_out_again(watched, row, version):
    """Each time from another port, to the same place; it is cut as fast as the first time."""
    address = elsewhere.next(version)
    before = watched.metric("blocker_egress_attempts_total", trigger=row.trigger)
    found = [lasted(watched, row, version, 2.0, address) for _ in range(TRIES)]
    assert None not in found
    assert sorted(found)[TRIES // 2] < WITHIN, found
    eventually(lambda: watched.metric("blocker_egress_attempts_total", trigger=row.trigger) == before + TRIES)
    assert len(watched.attempts(destination=address, trigger=row.trigger)) < TRIES  # one line in a second


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_allowed_at_the_same_place_passes_while_what_was_cut_stays_dead(watched, version):
    """A shared address serves banned and allowed names alike."""
    address = elsewhere.next(version)
    with watched.device.connected(address, 443) as other:
        other.send(b"hello")
        assert other.recv(100)
        with watched.device.connected(address, 443) as banned:
            source = banned.getsockname()
            cut_off(banned, messages.client_hello("www.tiktok.com"))
        assert watched.device.tls(address, 443, "www.example.com").how == PASS
        other.send(b"still there")
        assert other.recv(100)
    with watched.device.new_socket(address, socket.SOCK_STREAM) as again:  # what comes from the same port is dead
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(source)
        with pytest.raises(ConnectionRefusedError):
            again.connect((address, 443))


def cut_off(sock, said):
    """Say it, and go on until the connection is reset."""
    sock.send(said)
    until = time.monotonic() + 2.0
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while time.monotonic() < until:
            sock.send(b"x")
            time.sleep(0.001)
        raise AssertionError("it lives")


@pytest.mark.parametrize("version", [4, 6])
def test_quic_that_is_allowed_at_the_same_place_passes_while_what_was_cut_stays_dead(watched, version):
    address = elsewhere.next(version)
    with watched.device.new_socket(address, socket.SOCK_DGRAM) as banned:
        banned.connect((address, 443))
        assert datagrams_lasted(watched, banned, address, ROWS[2].said(), 2.0) is not None
        for each in messages.quic_client("www.example.com"):
            assert watched.device.udp(address, 443, each).how == PASS
        before = len(watched.internet.arrived(address))
        for each in (*ROWS[2].said(), b"\x40 one that has begun"):  # sent again; from another port, as QUIC may go on
            with contextlib.suppress(OSError):
                banned.send(each)
            with watched.device.new_socket(address, socket.SOCK_DGRAM) as other:
                other.sendto(b"\x40 one that has begun", (address, 443))
        time.sleep(0.1)  # what is on its way
        assert len(watched.internet.arrived(address)) == before


@pytest.mark.parametrize("version", [4, 6])
def test_an_answer_that_comes_after_the_cut_does_not_arrive(watched, version):
    """One request and one answer may be all that an app wants."""
    address = elsewhere.next(version)
    with watched.device.connected(address, 80) as sock:
        sock.settimeout(LATE + 3)
        sock.send(b"GET " + SLOW + b" HTTP/1.1\r\nHost: www.tiktok.com\r\n\r\n")
        with pytest.raises(TimeoutError):
            sock.recv(100)
    with watched.device.connected(address, 80) as sock:
        sock.settimeout(LATE + 3)
        sock.send(b"GET " + SLOW + b" HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
        assert sock.recv(100)


def test_quic_that_is_allowed_passes(watched):
    address = elsewhere.next(4)
    for each in messages.quic_client("www.example.com"):
        assert watched.device.udp(address, 443, each).how == PASS
    assert watched.attempts(destination=address) == []


def test_it_is_seen_in_the_metrics_that_nothing_was_lost(watched):
    before = watched.metric("blocker_egress_connections_total", kind="mmtls")
    assert lasted(watched, ROWS[5], 4, 2.0) is not None
    eventually(lambda: watched.metric("blocker_egress_connections_total", kind="mmtls") > before)
    assert watched.metric("blocker_egress_capture_lost_total") == 0
    assert watched.metric("blocker_egress_uncut_total") == 0
    assert watched.metric("blocker_egress_attempts_total", trigger="mmtls", app="wechat") >= 1


def test_who_only_watches_cuts_nothing(tmp_path):
    with opened(tmp_path) as lab:
        lab.start({"egress": {"watch": {"interfaces": ["lan"]}}})
        eventually(lambda: "looking at packets" in lab.daemon.log)
        assert lasted(lab, ROWS[0], 4, 0.3) is None
        said = lab.recorded(app="tiktok", trigger="sni")
        assert (said["client"], said["action"], said["outcome"]) == (DEVICE, "monitor", "upstream")
        lab.device.ask("11.0.0.53", "www.example.com")
        lab.recorded(app="bypass", trigger="foreign-dns", qname="www.example.com")


def test_a_node_finds_out_what_it_sends_itself_and_may_ask_its_own_upstreams():
    with everybody.folder() as folder, opened(folder) as lab:
        lab.start({
            "groups": [],
            "egress": {"enabled": True, "mode": "node", "watch": {"interfaces": ["wan"], "enforce": True}},
        })  # fmt: skip
        eventually(lambda: lab.metric("blocker_egress_up", process="watch") == 1)
        assert lab.device.ask(GATEWAY, "www.example.com") == ["11.9.9.9"]  # upstream was asked
        lab.device = Device(lab.gateway)
        assert lasted(lab, ROWS[0], 4, 2.0) is not None
        said = lab.recorded(app="tiktok", trigger="sni", destination=elsewhere.address)
        assert (said["client"], said["action"]) == ("192.0.2.1", "refused")
        assert lab.attempts(destination=UPSTREAM) == []
