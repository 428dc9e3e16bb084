"""What scapy makes, we read; what no sender would make, we pass over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q

from blocker.egress import packets
from tests.egress.wire import DEVICE, DEVICE_6, LINK, SERVER, SERVER_6, packed

V4, V6 = IP(src=DEVICE, dst=SERVER), IPv6(src=DEVICE_6, dst=SERVER_6)
SEGMENT = TCP(sport=40000, dport=443, flags="PA", seq=7) / b"hello"
DATAGRAM = UDP(sport=40000, dport=443) / b"hello"


@pytest.mark.parametrize(("frame", "link"), [
    (LINK / V4 / SEGMENT, packets.ETHERNET),
    (LINK / V6 / SEGMENT, packets.ETHERNET),
    (LINK / Dot1Q(vlan=7) / V4 / SEGMENT, packets.ETHERNET),
    (LINK / Dot1AD(vlan=7) / Dot1Q(vlan=8) / V6 / SEGMENT, packets.ETHERNET),
    (CookedLinux(proto=0x0800) / V4 / SEGMENT, packets.COOKED),
    (CookedLinuxV2(proto=0x86DD) / V6 / SEGMENT, packets.COOKED_2),
    (V4 / SEGMENT, packets.RAW),
    (V6 / SEGMENT, packets.RAW),
    (LINK / V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / SEGMENT, packets.ETHERNET),
    (LINK / V6 / IPv6ExtHdrFragment(offset=0, m=0) / SEGMENT, packets.ETHERNET),  # whole (RFC 6946)
    (LINK / V6 / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt()
     / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt()
     / SEGMENT, packets.ETHERNET),
    (LINK / IP(src=DEVICE, dst=SERVER, options=b"\x01" * 4) / SEGMENT, packets.ETHERNET),
])  # fmt: skip
def test_a_segment_is_read_whatever_is_around_it(frame, link):
    packet = packets.read(bytes(frame), link)
    assert (packet.source_port, packet.port, packet.sequence, packet.payload) == (40000, 443, 7, b"hello")
    assert (packet.source, packet.destination) in (
        (packed(DEVICE), packed(SERVER)),
        (packed(DEVICE_6), packed(SERVER_6)),
    )
    assert packet.flags == 0x18


@pytest.mark.parametrize("head", [V4, V6])
def test_a_datagram(head):
    packet = packets.read(bytes(LINK / head / DATAGRAM))
    assert (packet.protocol, packet.port, packet.payload) == (packets.UDP, 443, b"hello")


def test_the_padding_of_short_frames_is_no_payload():
    frame = bytes(LINK / V4 / TCP(flags="A")) + bytes(6)
    assert packets.read(frame).payload == b""


def test_a_frame_that_was_cut_off_has_what_is_there():
    assert packets.read(bytes(LINK / V4 / SEGMENT)[:-2]).payload == b"hel"


def test_a_packet_that_the_card_is_to_cut_up_ends_with_its_frame():
    frame = bytearray(bytes(LINK / V4 / SEGMENT))
    frame[16:18] = b"\0\0"
    assert packets.read(bytes(frame)).payload == b"hello"


def test_the_two_directions_of_a_connection_have_keys_of_their_own():
    back = packets.read(bytes(LINK / IP(src=SERVER, dst=DEVICE) / TCP(sport=443, dport=40000)))
    assert packets.read(bytes(LINK / V4 / SEGMENT)).key != back.key


@pytest.mark.parametrize(("frame", "offset", "more", "size"), [
    (LINK / IP(src=DEVICE, dst=SERVER, id=7, flags="MF", proto=6) / bytes(24), 0, True, 24),
    (LINK / IP(src=DEVICE, dst=SERVER, id=7, frag=5, proto=6) / b"hello", 40, False, 5),
    (LINK / V6 / IPv6ExtHdrFragment(offset=0, m=1, id=7, nh=6) / bytes(16), 0, True, 16),
    (LINK / V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(offset=5, id=7, nh=6) / b"hello", 40, False, 5),
])  # fmt: skip
def test_a_fragment(frame, offset, more, size):
    found = packets.read(bytes(frame))
    assert (found.kind, found.offset, found.more, len(found.data)) == (packets.TCP, offset, more, size)
    assert found.source in (packed(DEVICE), packed(DEVICE_6))
    assert found.key.endswith(b"\0\7\6" if len(found.source) == 4 else b"\0\0\0\7")


@pytest.mark.parametrize(("flags", "pointer", "urgent"), [("PA", 3, -1), ("PAU", 3, 2), ("PAU", 0, 0), ("PAU", 9, 8)])
def test_an_octet_out_of_band(flags, pointer, urgent):
    assert packets.read(bytes(LINK / V4 / TCP(flags=flags, urgptr=pointer) / b"hello")).urgent == urgent


@pytest.mark.parametrize("frame", [
    LINK / ARP(),
    LINK / V4 / ICMP(),
    LINK / IP(src=DEVICE, dst=SERVER, flags="MF") / (b"seven" + bytes(2)),  # not the last, and no multiple of 8
    LINK / IP(src=DEVICE, dst=SERVER, frag=8191) / SEGMENT,  # behind what a packet can hold
    bytes(LINK / V6 / IPv6ExtHdrFragment(offset=5) / SEGMENT)[:-1],
    LINK / Dot1Q() / Dot1Q() / Dot1Q() / Dot1Q() / V4 / SEGMENT,
    LINK / V4 / TCP(dataofs=2),
    b"",
    bytes(LINK / V4 / SEGMENT)[:40],
])  # fmt: skip
def test_what_is_passed_over(frame):
    assert packets.read(bytes(frame)) is None


@given(st.binary(max_size=200), st.sampled_from([packets.ETHERNET, packets.RAW, packets.COOKED, packets.COOKED_2, 147]))
def test_any_octets_are_a_packet_or_none(frame, link):
    found = packets.read(frame, link)
    assert found is None or isinstance(found, packets.Packet | packets.Fragment)
