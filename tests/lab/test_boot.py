"""The rules before us: loaded by nft when the machine starts, and taken over by the blocker."""

import contextlib
import socket
import threading

import pytest
from dnslib import DNSRecord

from tests.e2e.daemon import eventually
from tests.lab.device import PASS
from tests.lab.lab import GATEWAY, Lab

WECHAT, NOBODYS, TOLD = "43.130.30.240", "11.8.8.8", "11.9.9.9"
CONFIG = {
    "egress": {
        "enabled": True,
        "interfaces": ["lan"],
        "groups": [{"name": "staff", "gate": "enforce", "quic": "reject"}],
        "watch": {"interfaces": ["lan"], "enforce": True},
    }
}


@pytest.fixture
def booted(lab: Lab):
    """A gateway where nft has loaded what `blocker egress render` printed the day before, and nobody runs."""
    lab.start(CONFIG)
    done = lab.run("egress", "render", "-c", str(lab.daemon.path))
    assert (done.returncode, done.stderr) == (0, "")
    lab.daemon.stop()
    file = lab.folder / "boot.nft"
    file.write_text(done.stdout)
    lab.gateway.nft("flush ruleset")  # another start of the machine
    lab.gateway.command("nft", "-f", str(file))
    return lab


def told_true(lab: Lab) -> bool:
    """Tell whether status and diff find what is wanted."""
    return [lab.run("egress", what, "-c", str(lab.daemon.path)).returncode for what in ("status", "diff")] == [0, 0]


def test_the_ban_is_in_force_before_us(booted):
    assert booted.device.tcp(WECHAT, 8080).visibly_refused
    assert booted.device.tcp(NOBODYS, 443).visibly_refused  # the gate: nobody was told anything
    assert told_true(booted)


def test_we_take_over_without_a_gap_and_leave_nothing_over(booted):
    stop, sent = threading.Event(), []

    def flood() -> None:
        with booted.device.new_socket(WECHAT, socket.SOCK_DGRAM) as sock:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    sock.sendto(b"x", (WECHAT, 443))
                    sent.append(1)

    booted.gateway.nft("add chain inet blocker left_over")
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        booted.start(CONFIG)
        eventually(lambda: "left_over" not in booted.table())
        assert booted.device.ask(GATEWAY, "www.example.org") == [TOLD]
        assert booted.device.tcp(TOLD, 443).how == PASS
    finally:
        stop.set()
        thread.join()
    assert len(sent) > 1000
    assert booted.internet.arrived(WECHAT) == []
    assert told_true(booted)


@pytest.mark.parametrize("before", [True, False], ids=["rules before us", "none"])
def test_the_first_answers_wait_for_the_gate(request, lab, before):
    if before:
        request.getfixturevalue("booted")
    stop, heard = threading.Event(), []
    query = DNSRecord.question("www.example.org").pack()

    def ask() -> None:
        with lab.device.new_socket(GATEWAY, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.01)
            while not stop.is_set():
                with contextlib.suppress(OSError):  # until somebody listens
                    sock.sendto(query, (GATEWAY, 53))
                    heard.append(DNSRecord.parse(sock.recv(512)))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        lab.start(CONFIG)
        eventually(lambda: heard and lab.metric("blocker_egress_gate_wait_seconds_count"))
    finally:
        stop.set()
        thread.join()
    assert {(said.header.rcode, str(said.a.rdata)) for said in heard} == {(0, TOLD)}
    assert lab.device.tcp(TOLD, 443).how == PASS
    assert lab.metric("blocker_egress_gate_failures_total") == 0


def test_loaded_again_beneath_us_it_is_whole_again(booted):
    booted.start(CONFIG)
    assert booted.device.ask(GATEWAY, "www.example.org") == [TOLD]
    booted.gateway.command("nft", "-f", str(booted.folder / "boot.nft"))
    assert booted.device.tcp(TOLD, 443).how != PASS  # what was told is forgotten ...

    def asks_again() -> bool:
        return booted.device.ask(GATEWAY, "www.example.org") == [TOLD] and booted.device.tcp(TOLD, 443).how == PASS

    eventually(asks_again)  # ... and we notice
    assert told_true(booted)
