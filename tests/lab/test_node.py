"""A single node that governs what it sends itself: the gateway's namespace is the node here."""

import pytest

from tests.lab.device import PASS, Device
from tests.lab.lab import GATEWAY, GATEWAY_6, UPSTREAM

LAB = {
    "groups": [],
    "egress": {"enabled": True, "mode": "node", "log_interval": 1, "groups": [{"quic": "reject"}]},
}
WECHAT = {4: "43.130.30.240", 6: "240e:928:1400:10::25"}
ELSEWHERE = {4: "11.22.33.44", 6: "2001:db8:77::1"}
OTHER = {4: "11.0.0.53", 6: "2001:db8:53::53"}


@pytest.fixture(scope="module")
def node(labs):
    return Device(labs.gateway)


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_banned_is_refused_and_the_rest_passes(labs, node, version):
    assert node.tcp(WECHAT[version], 443).visibly_refused
    assert labs.recorded(app="wechat", trigger="address", destination=WECHAT[version])["group"] == "default"
    assert node.tls(OTHER[version], 853, "d.example").visibly_refused
    assert node.udp(ELSEWHERE[version], 443).visibly_refused
    assert node.tls(ELSEWHERE[version], 443, "www.example.com").how == PASS


@pytest.mark.parametrize(("version", "tcp"), [(4, False), (4, True), (6, False)])
def test_questions_to_others_are_answered_by_us(labs, node, version, tcp):
    kind, told = {4: ("A", "0.0.0.0"), 6: ("AAAA", "::")}[version]
    assert node.ask(OTHER[version], "wechat.com", kind, tcp=tcp) == [told]
    labs.recorded(app="wechat", trigger="qname")


@pytest.mark.parametrize("version", [4, 6])
def test_a_gate_on_the_node_itself(lab, version):
    """Whichever of its addresses it asked from, it connects from another."""
    lab.start(LAB | {"egress": LAB["egress"] | {"groups": [{"gate": "enforce"}]}})
    node = Device(lab.gateway)
    kind, resolver = {4: ("A", GATEWAY), 6: ("AAAA", GATEWAY_6)}[version]
    lab.internet.table["www.shop.example", kind] = [ELSEWHERE[version]]
    assert node.tcp(ELSEWHERE[version], 443).visibly_refused
    assert node.ask(resolver, "www.shop.example", kind) == [ELSEWHERE[version]]
    assert node.tls(ELSEWHERE[version], 443, "www.shop.example").how == PASS


@pytest.mark.parametrize("tcp", [False, True])
def test_nobody_else_may_ask_our_upstream_not_even_root(labs, node, tcp):
    """What runs as root on a node is not ours: it hears our answer."""
    labs.internet.table["wechat.com", "A"] = ["11.4.4.4"]
    assert node.ask(UPSTREAM, "wechat.com", tcp=tcp) == ["0.0.0.0"]


def test_we_ask_our_upstream_all_the_same(labs, node):
    labs.internet.table["www.allowed.example", "A"] = ["11.1.2.3"]
    assert node.ask("10.0.0.1", "www.allowed.example") == ["11.1.2.3"]
    assert labs.internet.arrived(UPSTREAM, 53)
