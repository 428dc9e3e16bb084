"""`blocker egress watch` as its user runs it: a process of its own, since it gives its privileges away for good."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scapy.utils import PcapNgWriter, PcapWriter

from blocker.egress import sets
from tests.egress.hello import messages
from tests.egress.namespace import Namespace
from tests.egress.wire import DEVICE, DEVICE_6, SERVER, SERVER_6, Connection, datagram
from tests.oracle import ask, said

ROOT = Path(__file__).parents[2]
RESOLVER = "192.0.2.1"
CONFIG = """egress: {devices: [192.0.2.0/24, "2001:db8::/64"]}
process: {state_dir: STATE}
listen: ["192.0.2.1:53"]
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watch")
    path = folder / "blocker.yaml"
    path.write_text(CONFIG.replace("STATE", str(folder / "state")))
    return path


def frames():
    """Return one of each way around our DNS, over both IP versions, and what must pass."""
    for device, server in ((DEVICE, SERVER), (DEVICE_6, SERVER_6)):
        ports = iter(range(40000, 40100))

        def tcp(port, payload, device=device, server=server, ports=ports):
            made = Connection(port, device, server, next(ports))
            return [made.syn(), made.data(payload[:200]), made.data(payload[200:], 200)] if payload else [made.syn()]

        yield from tcp(443, messages.client_hello("www.tiktok.com"))
        for datagram_ in messages.quic_client("www.tiktok.com"):
            yield datagram(datagram_, 443, device, server)
        yield from tcp(80, b"GET / HTTP/1.1\r\nHost: www.tiktok.com\r\nUser-Agent: " + b"x" * 200 + b"\r\n\r\n")
        for port in (80, 443, 8080):
            yield from tcp(port, messages.MMTLS_CLIENT)
        yield from tcp(80, messages.MMTLS_REQUEST)
        yield datagram(ask("www.tiktok.com"), 53, device, server)
        yield datagram(ask("www.example"), 53, device, server)
        query = ask("www.example")
        yield from tcp(53, len(query).to_bytes(2) + query)
        yield from tcp(853, messages.client_hello("dns.example"))
        yield from tcp(443, messages.client_hello("cloudflare-dns.com"))  # DoH by name
        yield from tcp(443, messages.client_hello("www.example"))  # passes


EXPECTED = {
    ("sni", "tiktok"): 2, ("quic-sni", "tiktok"): 2, ("http-host", "tiktok"): 2, ("mmtls", "wechat"): 8,
    ("foreign-dns", "tiktok"): 2, ("foreign-dns", "bypass"): 6, ("sni", "bypass"): 2,
}  # fmt: skip


def written(path, writer, packets):
    from scapy.layers.l2 import Ether

    with writer(str(path)) as file:
        for number, frame in enumerate(packets):
            made = Ether(frame)
            made.time = 1_700_000_000 + number
            file.write(made)
    path.chmod(0o644)
    return path


def run(*arguments):
    command = [sys.executable, "-m", "blocker.cli", "egress", "watch", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def counted(lines):
    found = {}
    for line in map(json.loads, lines):
        key = line["trigger"], line["app"]
        found[key] = found.get(key, 0) + 1
    return found


@pytest.mark.parametrize("writer", [PcapWriter, PcapNgWriter])
def test_each_way_is_found_in_a_file_with_the_right_app_and_trigger(tmp_path, config, writer):
    path = written(tmp_path / "packets", writer, frames())
    done = run("-r", path, "-c", config, "--json")
    assert done.returncode == 0, done.stderr
    assert counted(done.stdout.splitlines()) == EXPECTED
    first = json.loads(done.stdout.splitlines()[0])
    assert first["time"].startswith("2023-11-14T22:13:2")  # the packet's time, not ours
    assert (first["client"], first["qname"], first["destination"]) == (DEVICE, "www.tiktok.com", SERVER)
    assert (first["action"], first["group"], first["entry"].split(":")[0]) == ("monitor", "default", "tiktok.yaml")
    assert "could be read" not in done.stderr  # every packet was looked into
    assert "account nobody, no capabilities" in done.stderr


def test_people_read_a_line_each(tmp_path, config):
    tcp = Connection(443, DEVICE_6, SERVER_6)
    path = written(tmp_path / "one.pcap", PcapWriter, [tcp.syn(), tcp.data(messages.client_hello())])
    done = run("-r", path, "-c", config)
    assert "2001:db8::9 -> [2001:db8:5::7]:443/tcp sni www.tiktok.com: tiktok (tiktok.yaml:" in done.stdout
    assert done.stdout.endswith("), noted\n")
    assert "tiktok by sni: 1" in done.stderr


def test_what_is_not_looked_into_is_told(tmp_path, config):
    arp = b"\xff" * 6 + bytes(6) + b"\x08\x06" + bytes(28)
    path = written(tmp_path / "some.pcap", PcapWriter, [Connection().syn(), arp])
    assert "2 packets, 0 lost" in (said := run("-r", path, "-c", config).stderr)
    assert "1 of them hold no IP packet that could be read" in said
    unknown = bytearray(path.read_bytes())
    unknown[20:24] = (147).to_bytes(4, "little")  # a link layer that nobody knows (LINKTYPE_USER0)
    path.write_bytes(unknown)
    assert "2 of them hold no IP packet that could be read" in run("-r", path, "-c", config).stderr


def test_a_connection_that_no_answer_led_to(tmp_path, config):
    answer = datagram(said(ask("x.example"), f"x.example 60 A {SERVER}"), 40000, RESOLVER, DEVICE, 53)
    told, untold = Connection(), Connection(destination="198.51.100.8")
    path = written(tmp_path / "some.pcap", PcapWriter, [answer, told.syn(), untold.syn()])
    assert run("-r", path, "-c", config, "--json").stdout == ""
    (line,) = run("-r", path, "-c", config, "--json", "--unresolved").stdout.splitlines()
    assert (json.loads(line)["trigger"], json.loads(line)["destination"]) == ("unresolved", "198.51.100.8")


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "-i IFACE, or -r PCAP"),
    (["-i", "lo", "-r", __file__], "-i IFACE, or -r PCAP"),
    (["-r", __file__, "--enforce"], "--enforce is for -i"),
    (["-r", __file__], "no file of packets"),
    (["-i", "nosuch0"], "nosuch0: no such interface"),
    (["-i", "lo", "--user", "nosuchone"], "no account 'nosuchone'"),
    (["-i", "lo", "--enforce"], "blocker egress apply"),
])  # fmt: skip
def test_what_is_wrong_is_said_with_its_cure(config, arguments, message):
    done = run(*arguments, "-c", config)
    assert done.returncode == 2
    assert message in done.stderr


TABLE = "\n".join((
    "add table inet blocker",
    *(f"add set inet blocker {name}_{version} {{ type {kind[version]}; flags timeout; size 64; }}"
      for name, kind in ((sets.CUT, sets.CONNECTION), (sets.MOVED, sets.PLACE)) for version in sets.VERSIONS),
))  # fmt: skip


@pytest.mark.parametrize("enforce", [False, True])
def test_live_packets_are_judged_and_with_enforce_their_connections_cut(config, enforce):
    import socket

    with Namespace() as space:
        space.ip("link add a0 type veth peer name b0")
        for name in ("a0", "b0"):
            space.ip(f"link set {name} up")
        space.nft(TABLE)
        command = [sys.executable, "-m", "blocker.cli", "egress", "watch", "-i", "b0", "-c", str(config), "--json"]
        process = space.run(
            lambda: subprocess.Popen(
                command + ["--enforce"] * enforce, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        try:
            began = process.stderr.readline()
            assert "watching b0; held by account nobody, no capabilities" in began
            tcp = Connection()
            with space.run(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) as sock:
                sock.bind(("a0", 0))
                for frame in (tcp.syn(), tcp.data(messages.client_hello())):
                    sock.send(frame)
            line = json.loads(process.stdout.readline())
            assert (line["trigger"], line["app"]) == ("sni", "tiktok")
            assert line["action"] == ("refused" if enforce else "monitor")
            until = time.monotonic() + 5
            while enforce and "elements" not in space.listed("set inet blocker cut_4") and time.monotonic() < until:
                time.sleep(0.02)
            listed = " ".join(space.listed("set inet blocker cut_4").split())
            assert (f"{DEVICE} . {SERVER} . tcp . 40000 . 443" in listed.replace(" . 6 . ", " . tcp . ")) is enforce
        finally:
            process.send_signal(signal.SIGINT)
            _, ended = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "0 lost; connections: 1 tls" in ended
