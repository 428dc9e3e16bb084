"""The kernel's sieve lets the beginnings through and little else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, fragment6

from blocker.egress import filter as sieve
from blocker.egress import packets
from blocker.egress.flows import Flows
from tests.egress import bpf
from tests.egress.hello import messages
from tests.egress.wire import DEVICE, DEVICE_6, SERVER, SERVER_6
from tests.oracle import ask, said

PROGRAM = sieve.program()
HEADS = [(IP(src=DEVICE, dst=SERVER), 0x0800), (IPv6(src=DEVICE_6, dst=SERVER_6), 0x86DD)]
HELLO = messages.client_hello()


def kept(packet, ethertype):
    return bpf.run(PROGRAM, bytes(packet), ethertype) > 0


def tcp(payload=b"", port=443, flags="PA", source=40000):
    return TCP(sport=source, dport=port, flags=flags) / payload


def udp(payload, port=443, source=40000):
    return UDP(sport=source, dport=port) / payload


@pytest.mark.parametrize(("head", "ethertype"), HEADS)
@pytest.mark.parametrize("inside", [
    tcp(flags="S", port=22),
    TCP(dport=9, flags="S", options=[("MSS", 1400)]),
    tcp(HELLO), tcp(HELLO, 4444), tcp(HELLO[:1400], flags="A"), tcp(HELLO[:3]), tcp(messages.records(HELLO[5:], 1)),
    tcp(messages.MMTLS_CLIENT, 5000), tcp(messages.MMTLS_EARLY, 14000), tcp(b"\x17\xf1\4\0\x10" + bytes(16), 80),
    tcp(messages.MMTLS_REQUEST, 80), tcp(b"GET / HTTP/1.1\r\n\r\n", 8081),
    tcp(b"the end of a hello" * 80),  # a continuation is at the end of what was written
    tcp(b"a small piece", flags="A"), tcp(bytes(536), flags="A"),  # of a hello on a narrow path
    tcp(b"\x16\3\1\0\0" + HELLO, 4444, "A"),
    tcp(ask("x.example"), 53),
    *(udp(each) for each in (*messages.quic_client(), *messages.quic_client(version=messages.V2))),
    udp(messages.quic_client()[0], 4433),
    udp(ask("x.example"), 53), udp(said(ask("x.example")), 40000, 53), udp(b"x", 853),
])  # fmt: skip
def test_what_is_let_through(head, ethertype, inside):
    assert kept(head / inside, ethertype)


@pytest.mark.parametrize(("head", "ethertype"), HEADS)
@pytest.mark.parametrize("inside", [
    tcp(), tcp(flags="SA"), tcp(flags="F"), tcp(flags="R"),
    tcp(b"\x17\3\3\4\0" + bytes(1024)),  # application data: most of all
    tcp(bytes(1400), flags="A"),  # the middle of an upload
    tcp(bytes(1400), 22), tcp(bytes(100), 22, "A"), tcp(bytes(1240), flags="A"),
    tcp(b"\x16\3\3\0\x5a\2" + bytes(90), 40000, source=443),  # a ServerHello
    tcp(b"HTTP/1.1 200 OK\r\n\r\n", 40000, source=80),
    udp(b"\x40" + bytes(1200)),  # QUIC, later on
    udp(b"\xe0\0\0\0\1" + bytes(1200)),  # its Handshake packets
    udp(b"\xc0\0\0\0\0" + bytes(40)),  # version negotiation
    udp(bytes(100), 3478), udp(b""),
])  # fmt: skip
def test_what_is_left_out(head, ethertype, inside):
    assert not kept(head / inside, ethertype)


def test_fragments_extension_headers_and_others():
    v4, v6 = HEADS[0][0], HEADS[1][0]
    for each in fragment(v4 / tcp(HELLO, 22, "A"), 64) + fragment(v4 / udp(HELLO), 64):
        assert kept(each, 0x0800)
    assert not any(kept(each, 0x0800) for each in fragment(v4 / ICMP() / HELLO, 64))
    assert all(kept(each, 0x86DD) for each in fragment6(v6 / IPv6ExtHdrFragment() / tcp(HELLO), 120))
    assert kept(v6 / IPv6ExtHdrHopByHop() / tcp(HELLO), 0x86DD)
    assert not kept(v4 / ICMP(), 0x0800)
    assert not kept(bytes(40), 0x0806)
    with_options = IP(src=DEVICE, dst=SERVER, options=b"\1" * 8) / tcp(HELLO)
    assert kept(with_options, 0x0800)


def test_jumps_fit_into_an_octet_and_the_program_into_the_kernel():
    assert all(0 <= yes < 256 and 0 <= no < 256 for _, yes, no, _ in PROGRAM)
    assert len(PROGRAM) < 256
    assert len(sieve.encoded(PROGRAM)) == 8 * len(PROGRAM)


@given(st.binary(min_size=1, max_size=200), st.sampled_from([22, 80, 443]))
def test_whatever_shows_something_by_itself_is_let_through(payload, port):
    packet = bytes(HEADS[0][0] / tcp(payload, port, flags="A"))
    if Flows().see(packets.read_ip(packet, 0), 0.0):
        assert kept(packet, 0x0800)
