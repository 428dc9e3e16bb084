"""The ways around our DNS that give themselves away on the wire: found out by what they say, recorded, and cut.

Their addresses are in no list: only what the connection says tells. Without us each passes.
"""

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.egress.hello.messages import quic_client
from tests.lab.device import PASS
from tests.lab.lab import Lab, opened

LAB = {
    "egress": {
        "enabled": True,
        "interfaces": ["lan"],
        "log_interval": 1,
        "watch": {"interfaces": ["lan"], "enforce": True},
    }
}
UNLISTED = {4: "11.77.0.", 6: "2001:db8:aa::"}  # and a number: each row has an address of its own
MMTLS = bytes.fromhex("16f1030020") + bytes(32)
FREE = 0.3  # seconds that a connection must live where nobody cuts it
DEAD = 3.0  # seconds after which one that was found out must be dead, on a machine that others use too


@dataclass(frozen=True)
class Row:
    """What a connection says, to which port, and what must be recorded."""

    name: str
    port: int
    says: bytes
    app: str
    trigger: str
    tls: str = ""  # the server name, where it is TLS
    quic: str = ""  # the server name, where it is QUIC


def http(line: bytes, host: bytes, *more: bytes) -> bytes:
    return b"\r\n".join((line, b"Host: " + host, *more, b"", b""))


ROWS = [
    Row("a server name in TLS", 443, b"", "tiktok", "sni", tls="www.tiktok.com"),
    Row("a server name in TLS, elsewhere", 8443, b"", "kaspersky", "sni", tls="www.kaspersky.com"),
    Row("DoH by its server name", 443, b"", "bypass", "sni", tls="cloudflare-dns.com"),
    Row("a server name in QUIC", 443, b"", "tiktok", "quic-sni", quic="www.tiktok.com"),
    Row("a host in plain HTTP", 80, http(b"GET / HTTP/1.1", b"www.tiktok.com"), "tiktok", "http-host"),
    Row("WeChat's name service", 8080, http(b"GET /cgi-bin/micromsg-bin/newgetdns HTTP/1.1", b"dns.weixin.qq.com"),
        "wechat", "mmtls"),
    Row("mmtls, short link", 80, http(b"POST /mmtls/0a1b2c3d HTTP/1.1", b"11.77.0.1", b"Upgrade: mmtls",
        b"User-Agent: MicroMessenger Client"), "wechat", "mmtls"),
    Row("mmtls on 80", 80, MMTLS, "wechat", "mmtls"),
    Row("mmtls on 443", 443, MMTLS, "wechat", "mmtls"),
    Row("mmtls on 8080", 8080, MMTLS, "wechat", "mmtls"),
]  # fmt: skip


def address_of(row: Row, version: int) -> str:
    return f"{UNLISTED[version]}{ROWS.index(row) + 10}"


def lasting(lab: Lab, row: Row, version: int, limit: float) -> float | None:
    """Open the row's connection and use it; return how long it lived, None if it lived on for `limit` seconds."""
    address = address_of(row, version)
    began = time.monotonic()
    if row.quic:
        return _lasting_over_udp(lab, address, row, began, limit)
    try:
        with lab.device.connected(address, row.port) as plain:
            began = time.monotonic()  # the first one over IPv6 takes a second to find its neighbour
            if row.tls:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                sock: Any = context.wrap_socket(plain, server_hostname=row.tls)
            else:
                sock = plain
            with sock:
                while time.monotonic() < began + limit:
                    sock.sendall(row.says or b"hello")
                    if not sock.recv(4096):
                        break
                    time.sleep(0.01)
                else:
                    return None
    except (OSError, ssl.SSLError):
        pass
    return time.monotonic() - began


def _lasting_over_udp(lab: Lab, address: str, row: Row, began: float, limit: float) -> float | None:
    with lab.device.new_socket(address, socket.SOCK_DGRAM) as sock:
        sock.connect((address, row.port))
        with contextlib.suppress(OSError):
            for datagram in quic_client(row.quic):
                sock.send(datagram)
            while time.monotonic() < began + limit:
                sock.send(b"hello")
                sock.recv(4096)
                time.sleep(0.01)
            return None
    return time.monotonic() - began


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    """The same network without us."""
    with opened(tmp_path_factory.mktemp("free")) as lab:
        yield lab


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_without_us_it_lives(free, row, version):
    assert lasting(free, row, version, FREE) is None


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_with_us_it_is_cut_and_recorded(labs, row, version):
    lived = lasting(labs, row, version, DEAD)
    said = labs.recorded(trigger=row.trigger, destination=address_of(row, version))
    assert said["app"] == row.app
    assert said["action"] != "monitor"
    assert lived is not None
    assert lasting(labs, row, version, DEAD) is not None  # and so is the next one


@pytest.mark.parametrize("version", [4, 6])
def test_what_says_nothing_banned_lives(labs, version):
    address = f"{UNLISTED[version]}200"
    assert labs.device.tls(address, 443, "www.example.com").how == PASS
    assert labs.device.tcp(address, 80, http(b"GET / HTTP/1.1", b"www.example.com")).said.startswith(b"HTTP/1.1 200")
    assert labs.attempts(destination=address) == []
