"""From packets to findings: whose they are, what is said of them, and what is only noted."""

from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether

from blocker.egress import packets
from blocker.egress.answers import Answers
from blocker.egress.findings import Setting
from blocker.egress.observe import Observer
from blocker.policy import Action, Policy, Treatment, Trigger
from tests.egress.hello import messages
from tests.egress.wire import DEVICE, DEVICE_6, LINK, SERVER, SERVER_6, Connection, datagram, packed, read
from tests.oracle import Table, ask, rule, said

RULES = Table(rule("tiktok.com"), rule("weixin.qq.com", "wechat"))
STAFF = Policy("staff", dict.fromkeys(("tiktok", "wechat", "bypass"), Treatment(Action.SINKHOLE)))
LAB = Policy("lab", {"tiktok": Treatment(Action.SINKHOLE, monitored=True)})
RESOLVER = "192.0.2.1"
SETTING = Setting(RULES, frozenset({packed(RESOLVER)}))
HELLO = messages.client_hello()


def policy_for(address):
    return LAB if address == packed("192.0.2.77") else STAFF


def findings(observer, *frames, now=0.0):
    return [found for frame in frames for found in observer.take(read(frame), now)]


def attempt(source=DEVICE):
    tcp = Connection(source=source)
    return tcp.syn(), tcp.data(HELLO)


@pytest.mark.parametrize(("enforce", "source", "group", "refused"), [
    (True, DEVICE, "staff", True), (False, DEVICE, "staff", False), (True, "192.0.2.77", "lab", False),
])  # fmt: skip
def test_who_enforces_cuts_and_who_does_not_notes(enforce, source, group, refused):
    (found,) = findings(Observer(SETTING, policy_for, enforce=enforce), *attempt(source))
    assert (found.group, found.name, found.refused, found.verdict.monitored) == (
        group, "www.tiktok.com", refused, not refused,
    )  # fmt: skip
    assert found.verdict.trigger is Trigger.SNI


@pytest.mark.parametrize(("devices", "source", "count"), [
    ((), DEVICE, 1), (("192.0.2.0/24",), DEVICE, 1), (("192.0.2.0/29",), DEVICE, 0), (("2001:db8::/32",), DEVICE, 0),
    ((), RESOLVER, 0),  # ours may connect wherever it must
])  # fmt: skip
def test_only_devices_are_looked_at(devices, source, count):
    observer = Observer(SETTING, policy_for, [ip_network(each) for each in devices], [ip_network(RESOLVER)])
    assert len(findings(observer, *attempt(source), *attempt(source))) == count


def test_questions_to_ours_are_its_own_affair_and_to_others_are_not():
    observer = Observer(SETTING, policy_for)
    found = findings(
        observer,
        datagram(ask("www.tiktok.com"), 53, destination=RESOLVER),
        datagram(ask("www.tiktok.com"), 53),
        datagram(ask("elsewhere.example"), 53),
    )
    assert [(each.verdict.rule.app, each.name) for each in found] == [
        ("tiktok", "www.tiktok.com"), ("bypass", "elsewhere.example"),
    ]  # fmt: skip


def test_the_port_that_a_device_sends_from_hides_nothing():
    observer = Observer(SETTING, policy_for)
    frames = [datagram(ask("www.tiktok.com"), 53, source_port=53)]
    frames += [datagram(each, source_port=53) for each in messages.quic_client()]
    assert [str(each.verdict.trigger) for each in findings(observer, *frames)] == ["foreign-dns", "quic-sni"]


@pytest.mark.parametrize("frame", [
    Connection().data(HELLO),
    Connection(443, DEVICE_6, SERVER_6).data(HELLO),
    datagram(messages.quic_client()[0]),
    datagram(messages.quic_client()[0], source=DEVICE_6, destination=SERVER_6),
])  # fmt: skip
def test_what_comes_in_fragments_is_found_out(frame):
    packet = Ether(frame).payload
    if IPv6 in packet:
        cut = fragment6(IPv6(src=DEVICE_6, dst=SERVER_6) / IPv6ExtHdrFragment(id=7) / packet.payload, 256)
    else:
        cut = fragment(packet, 200)
    pieces = [bytes(LINK / each) for each in cut]
    assert len(pieces) > 2
    observer = Observer(SETTING, policy_for, [ip_network("192.0.2.0/24"), ip_network("2001:db8::/64")])
    found = [found for each in pieces for found in observer.take(packets.read(each), 0.0)]
    assert [each.name for each in found] == ["www.tiktok.com"]
    stranger = Observer(SETTING, policy_for, [ip_network("10.0.0.0/8")])
    assert [found for each in pieces for found in stranger.take(packets.read(each), 0.0)] == []
    assert stranger.fragments._senders == {}  # nobody's pieces are kept


def test_a_long_answer_of_a_resolver_comes_in_fragments_too():
    answers = Answers(grace=0)
    observer = Observer(SETTING, policy_for, [ip_network("192.0.2.9/32")], answers=answers)
    answer = said(ask("x.example"), "\n".join(f"x.example 60 A 198.51.100.{number}" for number in range(60)))
    cut = fragment(Ether(datagram(answer, 40000, RESOLVER, DEVICE, 53)).payload, 200)
    for each in cut:
        observer.take(packets.read(bytes(LINK / each)), 0.0)
    assert len(answers) == 60


def test_what_the_wire_told_a_device_is_no_finding():
    answers = Answers(grace=0)
    setting = Setting(
        Table(), frozenset({packed(RESOLVER)}), lambda client, address: answers.knows(client, address, 0.0)
    )
    observer = Observer(setting, policy_for, answers=answers)
    answer = said(ask("x.example"), f"x.example 60 A {SERVER}")
    assert findings(observer, datagram(answer, 40000, RESOLVER, DEVICE, 53), Connection().syn()) == []
    other = Connection(destination="198.51.100.8")
    (found,) = findings(observer, datagram(answer, 40000, "203.0.113.1", DEVICE, 53), other.syn())  # not our resolver's
    assert (found.verdict.trigger, found.refused) == (Trigger.UNRESOLVED, False)


def test_other_lists_are_adopted_and_connections_under_way_go_on():
    observer = Observer(Setting(Table(), frozenset()), policy_for)
    tcp = Connection()
    assert findings(observer, tcp.syn(), tcp.data(HELLO[:100])) == []
    observer.adopt(SETTING, policy_for, (), enforce=True)
    (found,) = findings(observer, tcp.data(HELLO[100:], 100))
    assert found.refused


FRAMES = [*attempt(), *(datagram(each) for each in messages.quic_client()), datagram(ask("www.tiktok.com"), 53)]
edits = st.lists(st.tuples(st.integers(12, 1300), st.binary(min_size=1, max_size=3)), max_size=3)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FRAMES), edits), min_size=1, max_size=6))
def test_no_frames_make_it_raise(sent):
    observer = Observer(SETTING, policy_for, enforce=True, answers=Answers())
    for frame, changes in sent:
        hostile = bytearray(frame)
        for at, octets in changes:
            hostile[at % len(frame) : at % len(frame) + len(octets)] = octets
        packet = packets.read(bytes(hostile))
        if packet is not None:
            assert all(found.group in ("staff", "lab") for found in observer.take(packet, 0.0))


def test_memory_for_devices_is_bounded(monkeypatch):
    monkeypatch.setattr("blocker.egress.observe._REMEMBERED", 10)
    observer = Observer(SETTING, policy_for)
    for number in range(50):
        findings(observer, Connection(source=f"10.0.0.{number}").syn())
    assert len(observer._policies) <= 10
