"""The gate under real rules where test_gate_life.py does not go: audit, stated networks, QUIC, and a single node."""

import socket

import dns.message
import dns.query
import pytest

from tests.e2e.daemon import eventually
from tests.lab.device import PASS, REFUSED
from tests.lab.lab import DEVICE, GATEWAY, GATEWAY_6

NOBODYS, TOLD, STATED = "11.8.8.8", "11.9.9.9", "11.50.1.1"


def config(**group):
    return {
        "lists": {"built_in": False},
        "groups": [{"name": "kiosk", "clients": [DEVICE, "fd00::2"]}],
        "egress": {"enabled": True, "log_interval": 1, "groups": [{"name": "kiosk", **group}]},
    }


def test_audit_refuses_nothing_and_says_what_enforce_would(lab):
    lab.start(config(gate="audit", static=["11.50.0.0/16"]))
    assert lab.device.ask(GATEWAY, "www.example.org") == [TOLD]
    for address in (TOLD, STATED, NOBODYS):
        assert lab.device.tcp(address, 443).how == PASS
    assert lab.recorded(trigger="unresolved", destination=NOBODYS)["action"] == "monitor"
    assert {each["destination"] for each in lab.attempts(trigger="unresolved")} == {NOBODYS}


def test_enforce_passes_what_was_told_and_stated(lab):
    lab.start(config(gate="enforce", static=["11.50.0.0/16"]))
    assert lab.device.ask(GATEWAY, "www.example.org", tcp=True) == [TOLD]
    assert [lab.device.tcp(address, 443).how for address in (TOLD, STATED)] == [PASS, PASS]
    assert lab.device.tcp(NOBODYS, 443).visibly_refused
    assert lab.recorded(trigger="unresolved", destination=NOBODYS)["action"] == "refused"


def test_quic_only_where_our_dns_sent_the_device(lab):
    lab.start(config(quic="learned"))
    assert lab.device.udp(TOLD, 443).visibly_refused
    assert lab.device.ask(GATEWAY, "www.example.org") == [TOLD]
    assert lab.device.udp(TOLD, 443).how == PASS
    assert lab.device.tcp(NOBODYS, 443).how == PASS  # there is no gate


def test_behind_another_router_a_device_is_the_address_that_asked(lab):
    """Nothing tells which of its addresses belong together: the other IP version is refused at once, and recorded."""
    four, six, told_6 = "10.7.0.2", "fd07::2", "2001:db8:9::9"
    for network, router in (("10.7.0.0/24", DEVICE), ("fd07::/64", "fd00::2")):
        lab.gateway.ip(f"route add {network} via {router}")
    for address in (f"{four}/32", f"{six}/128"):
        lab.device.namespace.ip(f"addr add {address} dev lo{' nodad' if ':' in address else ''}")
    lab.internet.namespace.ip("-6 route add fd07::/64 via fd01::1")
    lab.start(config(gate="enforce") | {"groups": [{"name": "kiosk", "clients": ["10.7.0.0/24", "fd07::/64"]}]})
    assert lab.device.ask(GATEWAY, "www.example.org", source=four) == [TOLD]
    assert lab.device.ask(GATEWAY, "www.example.org", "AAAA", source=four) == [told_6]
    assert lab.device.tcp(TOLD, 443, source=four).how == PASS
    assert lab.device.tcp(told_6, 443, source=six).how == REFUSED  # the first waits until its neighbour is found
    assert lab.recorded(trigger="unresolved", destination=told_6)["client"] == six
    assert lab.device.ask(GATEWAY_6, "www.example.org", "AAAA", source=six) == [told_6]
    assert lab.device.tcp(told_6, 443, source=six).how == PASS


@pytest.mark.parametrize(("kind", "told"), [("A", TOLD), ("AAAA", "2001:db8:9::9")])
def test_a_node_that_asks_itself(lab, kind, told):
    """It asks over the loopback and connects from its own addresses."""
    lab.start({
        "lists": {"built_in": False},
        "listen": ["127.0.0.1:53", f"{GATEWAY}:53"],
        "egress": {"enabled": True, "mode": "node", "groups": [{"gate": "enforce"}]},
    })  # fmt: skip

    def connects():
        with socket.socket(socket.AF_INET if kind == "A" else socket.AF_INET6) as sock:
            sock.settimeout(2)
            return sock.connect_ex((told, 443)) == 0

    assert not lab.gateway.run(connects)
    query = dns.message.make_query("www.example.org", kind)
    assert lab.gateway.run(lambda: dns.query.udp(query, "127.0.0.1", timeout=5)).answer
    eventually(lambda: lab.gateway.run(connects))
