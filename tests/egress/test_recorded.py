"""Files of packets, as scapy writes them, and tunnels."""

import gzip
import os
import struct
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.utils import PcapNgWriter, PcapWriter

from blocker.egress import packets, recorded
from blocker.errors import CaptureError
from tests.egress.wire import DEVICE, LINK, SERVER, Connection, packed

FRAME = Ether(Connection().data(b"hello"))
INSIDE = IP(bytes(FRAME.payload))
CARRIER = IP(src="10.0.0.1", dst="10.0.0.2")


def written(path, writer, *frames):
    with writer(str(path)) as file:
        for number, frame in enumerate(frames):
            frame.time = 1000.5 + number
            file.write(frame)
    return path


def read(path):
    with path.open("rb") as file:
        return list(recorded.read(file))


@pytest.mark.parametrize("writer", [PcapWriter, PcapNgWriter])
def test_both_formats_compressed_or_not(tmp_path, writer):
    path = written(tmp_path / "plain", writer, FRAME, LINK / ARP(), FRAME)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(path.read_bytes()))
    for each in (path, tmp_path / "packed.gz"):
        found = read(each)
        assert [when for when, _ in found] == pytest.approx([1000.5, 1001.5, 1002.5])
        assert found[1][1] is None
        assert found[2][1].payload == b"hello"


def test_times_in_nanoseconds(tmp_path):
    path = written(tmp_path / "nano", partial(PcapWriter, nano=True), FRAME, FRAME)
    assert [when for when, _ in read(path)] == pytest.approx([1000.5, 1001.5])


def block(kind, content):
    size = struct.pack("<I", len(content) + 12 + -len(content) % 4)
    return struct.pack("<I", kind) + size + content + bytes(-len(content) % 4) + size


def interface(link, *options):
    return block(1, struct.pack("<HHI", link, 0, 65535) + b"".join(options))


def enhanced(number, when, frame):
    return block(6, struct.pack("<5I", number, when >> 32, when & 0xFFFFFFFF, len(frame), len(frame)) + frame)


def test_each_interface_of_a_file_has_a_link_layer_and_a_clock_of_its_own(tmp_path):
    nanoseconds = struct.pack("<HHB3x", 9, 1, 9) + bytes(4)
    simple = block(3, struct.pack("<I", len(bytes(FRAME))) + bytes(FRAME))  # has no time
    (tmp_path / "two").write_bytes(
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        + interface(packets.ETHERNET) + interface(packets.RAW, nanoseconds)
        + enhanced(0, 1_000_250_000, bytes(FRAME)) + enhanced(1, 1_001_250_000_000, bytes(INSIDE)) + simple
    )  # fmt: skip
    found = read(tmp_path / "two")
    assert [(when, packet.payload) for when, packet in found] == [
        (1000.25, b"hello"), (1001.25, b"hello"), (1001.25, b"hello"),
    ]  # fmt: skip


@pytest.mark.parametrize("writer", [PcapWriter, PcapNgWriter])
def test_what_comes_by_a_pipe(tmp_path, writer):
    plain = written(tmp_path / "plain", writer, FRAME, FRAME).read_bytes()
    for content in (plain, gzip.compress(plain)):
        ours, theirs = os.pipe()
        with os.fdopen(theirs, "wb") as file:
            file.write(content)
        with os.fdopen(ours, "rb") as file:
            assert [packet.payload for _, packet in recorded.read(file)] == [b"hello", b"hello"]


def test_a_file_that_was_cut_off_ends_with_what_is_there(tmp_path):
    path = written(tmp_path / "cut", PcapWriter, FRAME, FRAME)
    path.write_bytes(path.read_bytes()[:-5])
    assert [packet.payload for _, packet in read(path)] == [b"hello", b""]


@pytest.mark.parametrize("content", [b"", b"not packets at all, but a text", b"\x1f\x8bnot packed at all"])
def test_what_is_no_file_of_packets(tmp_path, content):
    path = tmp_path / "junk"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match="junk: no file of packets"):
        read(path)


@pytest.mark.parametrize("frame", [
    FRAME,
    LINK / PPPoE() / PPP() / INSIDE,
    LINK / Dot1Q() / INSIDE,
    LINK / MPLS(s=1) / INSIDE,
    LINK / CARRIER / INSIDE,
    LINK / CARRIER / GRE() / INSIDE,
    LINK / CARRIER / UDP(sport=5, dport=4789) / VXLAN(vni=7) / LINK / INSIDE,
])  # fmt: skip
def test_what_lies_in_tunnels_is_found(frame):
    packet = recorded.decoded(bytes(frame), packets.ETHERNET)
    assert (packet.source, packet.destination, packet.payload) == (packed(DEVICE), packed(SERVER), b"hello")


@pytest.mark.parametrize(("data", "link"), [
    (bytes(LINK / ARP()), packets.ETHERNET),
    (bytes(LINK / CARRIER / ICMP()), packets.ETHERNET),
    (bytes(LINK / CARRIER / GRE()), packets.ETHERNET),
    (b"", packets.ETHERNET),
    (bytes(60), 65000),  # a link layer that nobody knows
])  # fmt: skip
def test_what_holds_nothing(data, link):
    assert recorded.decoded(data, link) is None


def test_other_numbers_for_ip_without_a_link_layer():
    assert recorded.decoded(bytes(INSIDE), 228).payload == b"hello"


@settings(deadline=None)
@given(st.binary(max_size=80), st.sampled_from([1, 0, 101, 113, 276, 9, 105, 127]))
def test_any_octets(data, link):
    recorded.decoded(bytes(LINK)[:12] + data, link)


def test_without_scapy_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(recorded, "import_module", missing)
    with pytest.raises(CaptureError, match=r"blocker\[observe\]"):
        recorded.prepare()
