"""What our DNS tells decides where packets may go: the gate's way, and what is learned of banned names."""

import pytest

from tests.e2e.daemon import eventually
from tests.lab.device import PASS
from tests.lab.lab import GATEWAY, GATEWAY_6, OTHER, Lab

KIOSK = {4: OTHER, 6: "fd00::3"}  # the device's addresses in a group with a gate
FREE = {4: "10.0.0.2", 6: "fd00::2"}
LAB = {
    "groups": [
        {"name": "staff", "clients": ["10.0.0.0/24", "fd00::/64"]},
        {"name": "kiosk", "clients": [OTHER, "fd00::3"]},
        {"name": "trial", "clients": ["10.0.0.4", "fd00::4"]},
    ],
    "egress": {
        "enabled": True,
        "interfaces": ["lan"],
        "log_interval": 1,
        "learning": {"probation": 0, "rate": 400},  # not the ten minutes of a real network
        "groups": [
            {"name": "kiosk", "gate": "enforce", "quic": "learned", "static": ["11.44.0.0/16"]},
            {"name": "trial", "gate": "audit"},
        ],
    },
}
TOLD = {4: "11.80.0.", 6: "2001:db8:80::"}
ASKED = {4: ("A", GATEWAY), 6: ("AAAA", GATEWAY_6)}


def told(lab: Lab, version: int, last: int, name: str) -> str:
    """Let a name have an address, and the kiosk ask for it; return the address."""
    kind, resolver = ASKED[version]
    address = f"{TOLD[version]}{last}"
    lab.internet.table[name, kind] = [address]
    assert lab.device.ask(resolver, name, kind, source=KIOSK[version]) == [address]
    return address


@pytest.mark.parametrize("version", [4, 6])
def test_a_device_may_go_where_it_was_told_at_once(labs, version):
    never = f"{TOLD[version]}1"
    assert labs.device.tcp(never, 443, source=KIOSK[version]).visibly_refused
    address = told(labs, version, 2, "www.shop.example")
    assert labs.device.tls(address, 443, "www.shop.example", source=KIOSK[version]).how == PASS
    assert labs.device.udp(address, 443, source=KIOSK[version]).how == PASS  # QUIC, since it was told
    assert labs.device.tcp(never, 443, source=FREE[version]).how == PASS  # a group without a gate


@pytest.mark.parametrize("version", [4, 6])
def test_the_trial_only_tells(labs, version):
    source = {4: "10.0.0.4", 6: "fd00::4"}[version]
    assert labs.device.tcp(f"{TOLD[version]}9", 443, source=source).how == PASS
    assert labs.recorded(trigger="unresolved", client=source)["action"] == "monitor"


def test_what_is_static_needs_no_answer(labs):
    assert labs.device.tcp("11.44.3.2", 443, source=OTHER).how == PASS
    assert labs.device.tcp("11.45.3.2", 443, source=OTHER).visibly_refused


@pytest.mark.parametrize("version", [4, 6])
def test_where_a_banned_name_leads_is_learned(labs, version):
    kind, resolver = ASKED[version]
    address = f"{TOLD[version]}66"
    name = f"host{version}.wechat.com"  # nobody has looked it up before
    labs.internet.table[name, kind] = [address]
    assert labs.device.ask(resolver, name, kind) == [{4: "0.0.0.0", 6: "::"}[version]]
    eventually(lambda: labs.device.tcp(address, 443, source=FREE[version]).visibly_refused, 40)
    said = labs.recorded(app="wechat", trigger="address", destination=address)
    assert (said["entry"], said["action"]) == ("learned", "refused")


def test_a_shared_address_is_not_learned(labs):
    """An address that answers for allowed names too is a CDN's: it stays open, whatever banned name leads there."""
    address = "11.80.0.77"
    labs.internet.table["www.weather.example", "A"] = [address]
    labs.internet.table["www.kaspersky.com", "A"] = [address]
    assert labs.device.ask(GATEWAY, "www.weather.example") == [address]
    assert labs.device.ask(GATEWAY, "www.kaspersky.com") == ["0.0.0.0"]
    labs.internet.table["update.kaspersky.com", "A"] = ["11.80.0.78"]
    labs.device.ask(GATEWAY, "update.kaspersky.com")
    eventually(lambda: labs.device.tcp("11.80.0.78", 443).visibly_refused, 40)  # by now it would be learned
    assert labs.device.tcp(address, 443).how == PASS


def test_a_restart_cuts_nobody_off(lab):
    lab.start(LAB)
    address = told(lab, 4, 3, "www.shop.example")
    with lab.device.connected(address, 8080, OTHER) as connection:
        lab.stop()
        assert lab.device.tcp(address, 443, source=OTHER).how == PASS  # by the kernel alone
        lab.start(LAB)
        assert lab.device.tcp(address, 443, source=OTHER).how == PASS
        connection.sendall(b"hello")
        assert connection.recv(100)
