"""What must pass, whatever is refused beside it: connections of allowed names, and those that are under way."""

import contextlib
import socket
import threading
import time

import pytest

from blocker.egress import apply
from tests.e2e.daemon import eventually
from tests.egress.rules import RANGES, rendered
from tests.lab.device import PASS
from tests.lab.lab import GATEWAY, GATEWAY_6, Lab
from tests.lab.servers import PASSED

SHARED = {4: "104.16.132.229", 6: "2606:4700::6810:84e5"}  # a CDN: banned and allowed names live there
ELSEWHERE = {4: "11.22.33.44", 6: "2001:db8:77::1"}
WECHAT = "43.130.30.240"
LAB = {"egress": {"enabled": True, "interfaces": ["lan"], "log_interval": 1}}
OWN = """\
app: chat
title: A chat
vendor: Somebody
reason: "It is banned."
category: ban
legal:
  - {id: decision-1, jurisdiction: Somewhere, date: 2026-01-02, text: "Decision 1", source: gazette}
entries:
  - {value: 11.22.33.44/32, kind: cidr, exclusive: true}
"""


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("what", "way"), [
    ("allowed TLS", lambda device, address: device.tls(address, 443, "www.example.com")),
    ("allowed QUIC", lambda device, address: device.udp(address, 443)),
    ("plain HTTP", lambda device, address: device.tcp(address, 80, b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n")),
    ("anything else", lambda device, address: device.tcp(address, 8080)),
])  # fmt: skip
@pytest.mark.parametrize("address", [ELSEWHERE, SHARED], ids=["an address of somebody", "a shared address"])
def test_what_nobody_banned_passes(labs, version, what, way, address):
    assert way(labs.device, address[version]).how == PASS


@pytest.mark.parametrize("version", [4, 6])
def test_our_dns_is_asked_directly_and_told_the_truth(labs, version):
    resolver, kind, foreign = {4: (GATEWAY, "A", "11.0.0.53"), 6: (GATEWAY_6, "AAAA", "11.0.0.54")}[version]
    labs.internet.table["www.example.com", kind] = [ELSEWHERE[version]]
    before = len(labs.attempts())
    assert labs.device.ask(resolver, "www.example.com", kind) == [ELSEWHERE[version]]
    assert labs.device.ask(foreign, "www.example.com", "A")  # redirected: the answer comes all the same
    assert labs.recorded(trigger="foreign-dns", client="10.0.0.2", after=before)
    assert labs.attempts(trigger="foreign-dns", client="fd00::2") == []


class Stream:
    """A connection that is used all the time; `broken` says what went wrong."""

    def __init__(self, lab: Lab, address: str) -> None:
        self.sock = lab.device.connected(address, 8080)
        self.broken = ""
        self.said = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self) -> None:
        try:
            while not self._stop.wait(0.01):
                self.sock.sendall(b"hello")
                if self.sock.recv(4096) != PASSED:
                    self.broken = "it was closed"
                    return
                self.said += 1
        except OSError as error:
            self.broken = repr(error)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.sock.close()


@contextlib.contextmanager
def streaming(lab: Lab, *addresses: str):
    streams = [Stream(lab, address) for address in addresses]
    try:
        yield streams
    finally:
        for stream in streams:
            stream.close()


def lists(lab: Lab, text: str | None) -> None:
    """Put a list beside the built-in ones, or take it away, and have it read."""
    path = lab.daemon.lists / "chat.yaml"
    path.write_text(text) if text else path.unlink(missing_ok=True)
    done = lab.run("reload", "--config", str(lab.daemon.path))
    assert (done.returncode, done.stderr) == (0, "")


def test_connections_live_on_over_reloads_restarts_and_other_lists(lab):
    lab.start(LAB | {"lists": {"built_in": True}})
    with streaming(lab, ELSEWHERE[6], SHARED[4]) as streams:
        for text in (OWN, None, OWN):
            lists(lab, text)
        assert lab.device.tcp(WECHAT, 8080).visibly_refused
        lab.stop()  # and a new one: an upgrade, say
        lab.start(LAB)
        before = [stream.said for stream in streams]
        eventually(lambda: all(stream.said > said + 10 for stream, said in zip(streams, before, strict=True)))
        assert [stream.broken for stream in streams] == ["", ""]


def test_a_connection_to_what_is_banned_now_is_cut(lab):
    lab.start(LAB | {"lists": {"built_in": True}})
    with streaming(lab, ELSEWHERE[4], SHARED[4]) as (cut, other):
        eventually(lambda: cut.said > 5)
        lists(lab, OWN)
        eventually(lambda: cut.broken)
        assert not other.broken
    assert lab.recorded(app="chat", trigger="address")["entry"].endswith("chat.yaml:9")
    lists(lab, None)
    eventually(lambda: lab.device.tcp(ELSEWHERE[4], 8080).how == PASS)


def test_no_packet_finds_a_gap_while_rules_are_replaced(lab, tmp_path):
    """A flood to banned addresses while rules are replaced again and again, by others each time: nothing arrives."""
    banned = ("203.0.113.1", "203.0.113.33", "198.51.100.7")
    rules = [
        rendered(tmp_path),
        rendered(tmp_path, ranges=RANGES | {"more": [f"192.0.2.{at}" for at in range(100, 200)]}),
    ]
    lab.gateway.run(lambda: apply.apply(rules[0]))
    stop = threading.Event()
    sent = [0] * len(banned)

    def flood(at: int) -> None:
        with lab.device.new_socket(banned[at], socket.SOCK_DGRAM) as sock:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    sock.sendto(b"x", (banned[at], 443))
                    sent[at] += 1

    threads = [threading.Thread(target=flood, args=(at,)) for at in range(len(banned))]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, 41):
            lab.gateway.run(lambda number=number: apply.apply(rules[number % 2]))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    time.sleep(0.1)  # what is on its way
    assert min(sent) > 1000
    assert [lab.internet.arrived(address) for address in banned] == [[], [], []]
