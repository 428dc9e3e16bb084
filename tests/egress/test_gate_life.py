"""The gate as devices meet it: a blocker in a gateway, a device before it, an internet behind it."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.e2e.daemon import Daemon, eventually
from tests.egress import network
from tests.egress.network import DEVICE, DEVICE_6, GATEWAY, GATEWAY_6, OTHER, UPSTREAM

CONFIG = {
    "groups": [{"name": "strict", "clients": [DEVICE, DEVICE_6]}],
    "egress": {"enabled": True, "groups": [{"name": "strict", "gate": "enforce"}]},
}
PATIENCE = 5.0  # seconds


class Life:
    """The network, and a blocker in the gateway."""

    def __init__(self, net, folder, wait):
        self.net = net
        self.folder = folder
        self.config = CONFIG | {"egress": CONFIG["egress"] | {"gating": {"wait": wait}}}
        self.start()

    def start(self):
        self.daemon = self.net.gateway.run(
            lambda: Daemon(self.folder, [UPSTREAM], self.config, hosts=(GATEWAY, GATEWAY_6), port=53)
        )
        eventually(lambda: not self.connects("11.200.0.1"))  # the rules are there
        eventually(lambda: self.ask("ready.example").rcode() == dns.rcode.NOERROR)

    def ask(self, name, qtype="A", *, source=DEVICE, over=dns.query.udp):
        query = dns.message.make_query(name, qtype, use_edns=True)
        host = GATEWAY_6 if ":" in source else GATEWAY
        kind = socket.SOCK_STREAM if over is dns.query.tcp else socket.SOCK_DGRAM
        with network.bound(self.net.device, kind, source) as sock:
            if over is dns.query.tcp:
                sock.connect((host, 53))
                return over(query, None, sock=sock, timeout=PATIENCE)
            sock.setblocking(False)
            return over(query, host, sock=sock, timeout=PATIENCE)

    def address(self, *arguments, **how):
        answer = self.ask(*arguments, **how)
        return answer.answer[0][0].address if answer.answer else None

    def connects(self, address, source=DEVICE):
        with network.bound(self.net.device, socket.SOCK_STREAM, source) as sock:
            sock.settimeout(0.9)
            try:
                sock.connect((address, network.SERVED))
            except OSError:
                return False
            return True

    def egress_pid(self):
        """Return the process that changes the sets: the keeper's child."""
        keeper = self.net.gateway.run(self.daemon.children).get("egress keeper")
        if keeper is None:
            return None
        found = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
        return int(found[0]) if found else None

    def close(self):
        self.daemon.close()


@pytest.fixture
def life(tmp_path, request):
    """One where answers wait for as long as it takes, unless a test says how long: other work may share the machine."""
    with network.connected() as net, network.answering(net):
        made = Life(net, tmp_path / "blocker", getattr(request, "param", 5))
        yield made
        made.close()
        assert "a bug of ours" not in made.daemon.log, made.daemon.log


def test_what_was_told_can_be_reached_and_nothing_else(life):
    assert not life.connects("11.200.0.1")
    address = life.address("one.example")
    assert life.connects(address)
    assert life.connects(life.address("one.example"))  # from the drain
    assert life.address("one.example", source=OTHER)
    assert life.connects(life.address("two.example", over=dns.query.tcp))
    assert life.connects("11.200.0.1", source=OTHER)  # who is in no such group


def test_asked_over_one_ip_version_connected_over_the_other(life):
    address = life.address("one.example", "AAAA")
    eventually(lambda: life.connects(address, source=DEVICE_6))  # the kernel meets its neighbour, and says so
    assert life.connects(life.address("two.example", source=DEVICE_6))
    assert life.connects(life.address("three.example", "AAAA", source=DEVICE_6), source=DEVICE_6)
    assert not life.connects("2001:db8:ffff::1", source=DEVICE_6)


@pytest.mark.parametrize("life", [0.25], indirect=True)
def test_the_egress_process_is_killed_all_the_time(life):
    """An answer with an address can be connected to at once, whoever dies; what cannot be is no answer."""
    told = withheld = number = 0
    for _ in range(3):
        pid = eventually(life.egress_pid)
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            number += 1
            answer = life.ask(f"n{number}.example")
            if answer.rcode() == dns.rcode.SERVFAIL:
                assert [int(option.code) for option in answer.options if option.otype == 15] == [14]
                withheld += 1
                continue
            told += 1
            assert life.connects(answer.answer[0][0].address), number
        eventually(lambda: life.ask("back.example").rcode() == dns.rcode.NOERROR)
    assert told > 100
    assert withheld > 0
    assert life.net.gateway.run(lambda: life.daemon.count("blocker_egress_gate_failures_total")) >= withheld


def test_a_restart_cuts_nobody_off(life):
    address = life.address("one.example")
    life.daemon.stop()
    assert life.connects(address)  # with nobody there: the kernel alone
    assert not life.connects("11.200.0.1")
    life.start()
    assert life.connects(address)
    assert life.net.gateway.run(lambda: life.daemon.count("blocker_egress_gate_pairs")) >= 2  # read back


def test_rules_are_made_anew_all_the_time(life):
    """No answer fails and no first packet is lost while lists and rules are replaced."""
    reloading = threading.Event()
    done = []

    def reload():
        done.extend(life.net.gateway.run(lambda: life.daemon.tell("reload")).get("ok") for _ in range(3))
        reloading.set()

    thread = threading.Thread(target=reload)
    thread.start()
    number = 0
    while not reloading.is_set():
        number += 1
        answer = life.ask(f"n{number}.example")
        assert answer.rcode() == dns.rcode.NOERROR, number
        assert life.connects(answer.answer[0][0].address), number
    thread.join()
    assert done == [True] * 3
    assert number > 20


def test_a_worker_dies_with_answers_that_wait(life):
    for number in range(4):  # more in so short a time would be replaced later
        pids = life.net.gateway.run(life.daemon.workers)
        os.kill(pids[number % len(pids)], signal.SIGKILL)
        address = eventually(lambda number=number: self_healing(life, f"w{number}.example"))
        assert life.connects(address)


def self_healing(life, name):
    try:
        return life.address(name)
    except (dns.exception.Timeout, OSError):  # it died with the question
        return None
