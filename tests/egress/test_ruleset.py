"""The rules as text: pure, the same each time, and such as nft takes."""

import contextlib
import socket
from ipaddress import ip_address

import pytest

from blocker.config import Endpoint
from blocker.egress import apply, reports, ruleset, sets
from blocker.serve import sockets
from tests.egress.namespace import Namespace
from tests.egress.rules import CONFIG, gathered, rendered


def with_egress(more):
    return CONFIG.replace("interfaces: [lan]", f"interfaces: [lan], {more}")


def lines(rules, *words):
    return [line for line in rules.text().splitlines() if all(word in line for word in words)]


def test_the_same_for_the_same(tmp_path):
    first, second = rendered(tmp_path), rendered(tmp_path)
    assert first.text() == second.text()
    assert first.digest == second.digest
    assert rendered(tmp_path, with_egress("dot: allow")).digest != first.digest


VARIANTS = [
    "",
    "dns: reject",
    "dot: allow, doh: allow",
    "learned: false",
    "exempt: [10.0.0.9, 'fd00::9']",
    "resolver: ['192.0.2.53:53', '[2001:db8::53]:5353']",
    "groups: [{name: staff, quic: reject, gate: enforce, static: [192.0.2.0/24]}, {name: lab, quic: learned}]",
    "groups: [{name: lab, gate: audit}]",
    "watch: {enforce: true}",
]


@pytest.mark.parametrize("more", VARIANTS)
def test_nft_takes_them(tmp_path, more):
    with Namespace() as namespace:
        namespace.nft(rendered(tmp_path, with_egress(more)).text())
        assert "chain group_staff" in namespace.listed("table inet blocker")


@pytest.mark.parametrize("more", ["", "watch: {enforce: true}, groups: [{gate: enforce, quic: learned}]"])
def test_nft_takes_them_on_a_node(tmp_path, more):
    text = CONFIG.replace("interfaces: [lan]", f"mode: node, {more}")
    upstreams = [Endpoint(ip_address("192.0.2.53"), 53), Endpoint(ip_address("2001:db8::53"), 53)]
    found = ruleset.render(*gathered(tmp_path, text), upstreams, 123)
    with Namespace() as namespace:
        namespace.nft(found.text())
    assert len(lines(found, "add rule inet blocker output", "meta skuid 123", "192.0.2.53 . 53")) == 1
    assert len(lines(found, "add rule inet blocker nat_output", "meta skuid 123", "2001:db8::53 . 53")) == 1


@pytest.mark.parametrize(("more", "words", "expected"), [
    ("", ("addresses_staff", "@app_chat_4", "goto refuse_staff_address_chat"), 1),
    ("", ("addresses_lab", "@app_chat_4", "jump note_lab_address_chat"), 1),  # only monitored there
    ("", ("add rule inet blocker note_lab_address_chat", "refuse"), 0),
    ("", ("ct state new,untracked", "@learned_chat_6"), 2),
    ("learned: false", ("@learned_chat_6",), 0),
    ("", ("add rule inet blocker asking_staff meta nfproto ipv4", "goto to_us_4"), 2),
    ("", ("add rule inet blocker to_us_4", "redirect to :53"), 1),
    ("dns: reject", ("redirect to",), 0),
    ("dns: reject", ("group_staff", "th dport 53", "goto refuse_staff_foreign-dns_bypass"), 1),
    ("", ("group_staff", "@ports_dot"), 1),
    ("dot: allow", ("group_staff", "@ports_dot"), 0),
    ("", ("group_staff", "@doh_4"), 1),
    ("doh: allow", ("group_staff", "@doh_4"), 0),
    ("", ("udp dport 443",), 0),
    ("groups: [{name: staff, quic: reject}]", ("group_staff udp dport 443",), 1),
    ("groups: [{name: staff, gate: enforce}]", ("group_staff", "goto refuse_staff_unresolved_unresolved"), 1),
    ("groups: [{name: staff, gate: audit}]", ("group_staff", "goto note_staff_unresolved_unresolved"), 1),
    ("", ("unresolved",), 0),
    ("", ("@cut_4",), 0),
    ("watch: {enforce: true}", ("group_staff", "th sport . th dport @cut_6"), 1),
    ("watch: {enforce: true}", ("group_staff", "ct state new,untracked @th,64,1 0", "udp dport @moved_6"), 1),
    ("watch: {enforce: true}", ("rule inet blocker returning_forward", "th dport . th sport @cut_6 goto refuse"), 1),
    ("exempt: [10.0.0.9]", ("add element inet blocker exempt_4 { 10.0.0.9 }",), 1),
])  # fmt: skip
def test_what_becomes_of_packets(tmp_path, more, words, expected):
    assert len(lines(rendered(tmp_path, with_egress(more)), *words)) == expected


@pytest.mark.parametrize(("name", "said"), [
    ("refuse_staff_address_chat", ("refuse", "staff", "address", "chat")),
    ("note_staff.2_foreign-dns_bypass", ("note", "staff", "foreign-dns", "bypass")),
    ("about_0123", None),
    ("", None),
])  # fmt: skip
def test_what_a_chain_is_called(name, said):
    assert ruleset.parts(name) == said


def test_an_app_whose_addresses_an_exception_opens(tmp_path):
    found = rendered(tmp_path, ranges={"chat": ["203.0.113.0/24"], "video": ["-203.0.113.0/28"]})
    (first, *_) = lines(found, "add rule inet blocker addresses_staff")
    assert first.endswith("ip daddr @pass_staff_4 return")


def test_many_groups_cost_no_set_of_their_own(tmp_path):
    """The kernel looks long for the name of a set that has none; and a packet finds its group in one step."""

    def cost(groups):
        many = "".join(f"  - {{name: g{at}, clients: [10.1.{at}.0/24]}}\n" for at in range(groups))
        found = rendered(tmp_path, CONFIG.replace("egress:", f"{many}egress:"))
        unnamed = [rule for _, rule in found.rules if "{" in rule.split(" add @noted")[0]]
        entry = [rule for chain, rule in found.rules if chain == "forward"]
        return len(unnamed), len(entry), len(found.static)

    assert cost(20) == cost(0)


def test_who_fills_the_set_of_attempts_hides_nobodys(tmp_path, monkeypatch):
    monkeypatch.setattr(sets, "NOTED_SIZE", 2)
    text = CONFIG.replace("interfaces: [lan]", "mode: node")
    found = ruleset.render(*gathered(tmp_path, text), (), 123)
    with Namespace() as namespace:
        for command in (
            "link add d0 type veth peer name d1",
            "addr add 10.0.0.1/24 dev d0",
            "link set d0 up",
            "route add default dev d0",
        ):
            namespace.ip(command)
        namespace.run(lambda: apply.apply(found))
        with (
            namespace.run(lambda: sockets.subscribe(53)) as reported,
            namespace.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as device,
        ):
            reported.settimeout(2.0)
            for number in range(1, 8):
                for _ in range(3):  # the same again is one line, where there was room for it
                    with contextlib.suppress(OSError):
                        device.sendto(b"x", (f"203.0.113.{number}", 443))
            seen = set()
            with contextlib.suppress(TimeoutError):
                while len(seen) < 3:
                    seen |= {report.packet[16:20] for report in reports.read(reported.recv(1 << 18))}
        assert len(seen) >= 3
