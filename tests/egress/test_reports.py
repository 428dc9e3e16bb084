"""What the rules report, and the record that it becomes."""

import json
import struct

import pytest
from dnslib import DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from blocker import config
from blocker.clients import Clients
from blocker.egress import framing, reports
from blocker.egress.reports import InForce, Report
from blocker.errors import KernelError
from blocker.events import Basis
from blocker.sinks.region import Region
from tests.egress.rules import CONFIG, index

CLIENT, CHAT, OTHER = bytes((10, 0, 0, 5)), bytes((203, 0, 113, 1)), bytes((192, 0, 2, 1))
RESOLVER = bytes((9, 9, 9, 9))
LAB = bytes((10, 0, 0, 70))


def ipv4(protocol, payload, source=CLIENT, destination=CHAT):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, source, destination)
    return head + payload


def tcp(port, **addresses):
    return ipv4(6, struct.pack("!HHIIBBHHH", 40000, port, 0, 0, 0x50, 2, 0, 0, 0), **addresses)


def udp(port, payload=b"", **addresses):
    return ipv4(17, struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload, **addresses)


def ipv6(protocol, payload):
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + bytes(15) + b"\1" + bytes(15) + b"\2" + payload


def asked(name):
    return bytes(DNSRecord.question(name).pack())


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    made = index(folder, {"chat": ["203.0.113.0/24"], "video": ["198.51.100.7"], "bypass": ["?9.9.9.9"]})
    found = config.parse(CONFIG, "b.yaml", folder)
    return InForce(Clients(found, made, 0.0), made, Basis())


@pytest.mark.parametrize(("chain", "packet", "expected"), [
    ("refuse_staff_address_chat", tcp(443),
     {"app": "chat", "trigger": "address", "action": "refused", "port": 443, "transport": "tcp", "group": "staff"}),
    ("note_lab_address_chat", udp(443, source=LAB),
     {"app": "chat", "trigger": "address", "action": "monitor", "port": 443, "transport": "udp", "group": "lab"}),
    ("refuse_staff_address_chat", tcp(80, destination=OTHER),  # learned: no list holds it
     {"app": "chat", "entry": "learned", "destination": "192.0.2.1", "reference": "decision-1"}),
    ("redirect_staff_foreign-dns_bypass", udp(53, asked("www.example.com"), destination=OTHER),
     {"app": "bypass", "trigger": "foreign-dns", "qname": "www.example.com", "action": "refused"}),
    ("refuse_staff_foreign-dns_bypass", udp(53, b"nonsense", destination=OTHER), {"app": "bypass", "port": 53}),
    ("refuse_staff_foreign-dns_bypass", tcp(853, destination=OTHER),
     {"app": "bypass", "port": 853, "entry": "built-in", "reference": "decision-1"}),
    ("refuse_staff_foreign-dns_bypass", tcp(443, destination=RESOLVER),
     {"app": "bypass", "value": "9.9.9.9", "reference": "decision-1"}),  # the list names it
    ("refuse_staff_unresolved_unresolved", tcp(5222, destination=OTHER),
     {"app": "unresolved", "trigger": "unresolved", "action": "refused"}),
    ("note_staff_unresolved_unresolved", tcp(5222, destination=OTHER), {"app": "unresolved", "action": "monitor"}),
    ("refuse_staff_address_chat", ipv4(1, b"\x08\0\0\0"), {"app": "chat", "transport": "icmp"}),
    ("refuse_default_unresolved_unresolved", ipv6(58, b"\x80\0\0\0"), {"destination": "::2", "transport": "icmp"}),
])  # fmt: skip
def test_records(lists, chain, packet, expected):
    region = Region()
    assert reports.record(region, Report(chain, packet, 0), lists)
    (record,) = region.read()
    said = json.loads(b"{%b}" % record.tail)
    assert said | expected == said


@pytest.mark.parametrize(("chain", "packet"), [("nonsense", tcp(1)), ("refuse_staff_address_chat", b"\x45"), ("", b"")])
def test_what_makes_no_sense_is_no_record(lists, chain, packet):
    region = Region()
    assert not reports.record(region, Report(chain, packet, 0), lists)
    assert region.read() == []


def told(chain, packet, number):
    said = (
        framing.attribute(10, chain + b"\0"),
        framing.attribute(9, packet),
        framing.attribute(12, struct.pack("!I", number)),
    )
    return framing.message(4 << 8, 0, 0, bytes(4) + b"".join(said))


def test_what_the_socket_brings():
    acknowledged = framing.message(framing.ERROR, 0, 1, bytes(20))
    wire = told(b"refuse_a_b_c", b"\x45\0", 7) + acknowledged + told(b"note_a_b_c", b"", 8)
    assert list(reports.read(wire)) == [Report("refuse_a_b_c", b"\x45\0", 7), Report("note_a_b_c", b"", 8)]


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_refused(octets):
    for wire in (octets, framing.message(4 << 8, 0, 0, octets)):
        try:
            list(reports.read(wire))
        except KernelError:
            continue


@given(st.sampled_from(["refuse_staff_address_chat", "redirect_staff_foreign-dns_bypass"]), st.binary(max_size=120))
def test_whatever_packet_is_reported(lists, chain, packet):
    reports.record(Region(), Report(chain, packet, 0), lists)
