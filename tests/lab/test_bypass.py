"""The ways around our DNS, one a row: without us each passes, with us each is refused at once and recorded.

Every row has its twin over IPv6. Rows whose connections say who they are on the wire are in test_wire.py.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.e2e.daemon import eventually
from tests.lab.device import PASS
from tests.lab.lab import GATEWAY, GATEWAY_6, UPSTREAM, Lab, opened

GATED = "10.0.0.3"  # the device's other address, in a group with a gate
LAB = {
    "groups": [
        {"name": "staff", "clients": ["10.0.0.0/24", "fd00::/64"]},
        {"name": "kiosk", "clients": [GATED, "fd00::3"]},
        {"name": "guests", "clients": ["10.0.0.4", "fd00::4"]},
    ],
    "egress": {
        "enabled": True,
        "interfaces": ["lan"],
        "log_interval": 1,
        "groups": [{"name": "kiosk", "gate": "enforce"}, {"name": "guests", "quic": "reject"}],
    },
}
ELSEWHERE = {4: "11.22.33.44", 6: "2001:db8:77::1"}  # an address that no list has
OTHER_RESOLVER = {4: "11.0.0.53", 6: "2001:db8:53::53"}
SINKHOLE = {"A": ["0.0.0.0"], "AAAA": ["::"]}


@dataclass(frozen=True)
class Row:
    """One way around: what the device does, whether it got through, and what must be recorded."""

    name: str
    attempt: Callable[[Lab, int], bool]  # of IP version: did it get through?
    app: str
    trigger: str
    more: dict[str, object]


def tcp(addresses, port, source=None, message=b"hello"):
    return lambda lab, version: lab.device.tcp(addresses[version], port, message, source=source and source[version])


def refused_at_once(way):
    """Turn what a device heard into whether it got through; a refusal must be seen, and at once."""

    def attempt(lab, version):
        went = way(lab, version)
        assert went.how == PASS or went.visibly_refused, went
        return went.how == PASS

    return attempt


def asking(addresses, name, *, tcp=False):
    """Ask a resolver for a banned name: it got through if the answer is the true one."""

    def attempt(lab, version):
        kind = "A" if version == 4 else "AAAA"
        return lab.device.ask(addresses[version], name, kind, tcp=tcp) != SINKHOLE[kind]

    return attempt


def doh_by_name(lab, version):
    """Look up the DoH server as the browser does, with the resolver that the network offers."""
    kind = "A" if version == 4 else "AAAA"
    here = {4: GATEWAY, 6: GATEWAY_6} if lab.daemon is not None else OTHER_RESOLVER
    (address,) = lab.device.ask(here[version], "cloudflare-dns.com", kind)
    return address not in ("0.0.0.0", "::") and lab.device.tls(address, 443, "cloudflare-dns.com").how == PASS


US = {4: GATEWAY, 6: GATEWAY_6}
WECHAT = {4: "43.130.30.240", 6: "240e:928:1400:10::25"}
TRANSLATED = {4: "77.74.176.2", 6: "64:ff9b::77.74.176.2"}  # NAT64 behind us
TUNNELLED = {4: "43.130.30.240", 6: "2002:2b82:1ef0::1"}  # 6to4
KASPERSKY = {4: "77.74.176.1", 6: "2a03:2480:68::1"}
TIKTOK = {4: "71.18.247.1", 6: "2404:9dc0:c002::1"}
GOOGLE = {4: "8.8.8.8", 6: "2001:4860:4860::8888"}
GATED_AT = {4: GATED, 6: "fd00::3"}
GUEST_AT = {4: "10.0.0.4", 6: "fd00::4"}

ROWS = [
    Row("another resolver, UDP 53", asking(OTHER_RESOLVER, "wechat.com"), "wechat", "foreign-dns", {"port": 53}),
    Row("the same, seen by our DNS", asking(OTHER_RESOLVER, "wechat.com"), "wechat", "qname", {"transport": "udp"}),
    Row("another resolver, TCP 53", asking(OTHER_RESOLVER, "wechat.com", tcp=True), "wechat", "qname",
        {"transport": "tcp"}),
    Row("a resolver that the lists know, UDP 53", asking(GOOGLE, "www.tiktok.com"), "tiktok", "foreign-dns", {}),
    Row("DNS over TLS", refused_at_once(lambda lab, version: lab.device.tls(OTHER_RESOLVER[version], 853, "d.example")),
        "bypass", "foreign-dns", {"port": 853, "transport": "tcp"}),
    Row("DNS over QUIC", refused_at_once(lambda lab, version: lab.device.udp(OTHER_RESOLVER[version], 853)),
        "bypass", "foreign-dns", {"port": 853, "transport": "udp"}),
    Row("DoH by name", doh_by_name, "bypass", "qname", {"qname": "cloudflare-dns.com"}),
    Row("DoH by address", refused_at_once(lambda lab, version: lab.device.tls(GOOGLE[version], 443, "dns.google")),
        "bypass", "foreign-dns", {"port": 443, "transport": "tcp"}),
    Row("DoH by address, HTTP/3", refused_at_once(lambda lab, version: lab.device.udp(GOOGLE[version], 443)),
        "bypass", "foreign-dns", {"port": 443, "transport": "udp"}),
    Row("a known resolver on an odd port", refused_at_once(tcp(GOOGLE, 8080)), "bypass", "foreign-dns", {"port": 8080}),
    Row("a banned IPv4 address, translated", refused_at_once(tcp(TRANSLATED, 8443)), "kaspersky", "address", {}),
    Row("a banned IPv4 address, tunnelled", refused_at_once(tcp(TUNNELLED, 8443)), "wechat", "address", {}),
    Row("WeChat's built-in address, 8080", refused_at_once(tcp(WECHAT, 8080)), "wechat", "address", {"port": 8080}),
    Row("WeChat's built-in address, 443", refused_at_once(tcp(WECHAT, 443)), "wechat", "address", {"port": 443}),
    Row("WeChat's built-in address, 80", refused_at_once(tcp(WECHAT, 80)), "wechat", "address", {"port": 80}),
    Row("WeChat's built-in address, UDP", refused_at_once(lambda lab, version: lab.device.udp(WECHAT[version], 443)),
        "wechat", "address", {"transport": "udp"}),
    Row("Kaspersky's own network", refused_at_once(tcp(KASPERSKY, 443)), "kaspersky", "address", {}),
    Row("TikTok's own network", refused_at_once(tcp(TIKTOK, 443)), "tiktok", "address", {}),
    Row("an address that was never told, behind the gate", refused_at_once(tcp(ELSEWHERE, 443, GATED_AT)),
        "unresolved", "unresolved", {"group": "kiosk"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    """The same network without us."""
    with opened(tmp_path_factory.mktemp("free")) as lab:
        yield lab


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_without_us_it_passes(free, row, version):
    free.internet.table[("wechat.com", "A")] = ["11.9.9.8"]
    assert row.attempt(free, version)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_with_us_it_is_stopped_and_recorded(labs, row, version):
    before = len(labs.attempts())
    assert not row.attempt(labs, version)
    fields = {"app": row.app, "trigger": row.trigger, **row.more}
    *_, said = eventually(
        lambda: [
            each
            for each in labs.daemon.attempts()[before:]  # a former row's may come late, of the other IP version
            if fields.items() <= each.items() and (":" in each["client"]) == (version == 6)
        ]
    )
    assert said["action"] != "monitor"
    assert said["entry"]


def test_nothing_of_it_reached_anybody(labs):
    """What the rows above sent came to no server, except to our own upstream."""
    reached = {(address, port) for _, port, address, _ in labs.internet.heard if address != UPSTREAM}
    assert reached == set()


@pytest.mark.parametrize("version", [4, 6])
def test_quic_is_refused_at_once_where_a_group_wants_it(labs, version):
    went = labs.device.udp(ELSEWHERE[version], 443, source=GUEST_AT[version])
    assert went.visibly_refused
    assert labs.device.tls(ELSEWHERE[version], 443, "www.example.com", source=GUEST_AT[version]).how == PASS


def test_counters_become_metrics(labs):
    def packets():
        return labs.metric("blocker_egress_packets_total", app="wechat", trigger="address", action="refuse")

    eventually(lambda: packets() >= 4)
    assert labs.metric("blocker_egress_attempts_total", app="wechat", trigger="address") >= 4
    assert labs.metric("blocker_egress_applied") == 1
    assert labs.metric("blocker_egress_set_elements", set="app_wechat_4") >= 40


def test_a_flood_makes_one_line_and_is_counted(labs):
    before = labs.metric("blocker_egress_attempts_total", app="tiktok", trigger="address", transport="udp")
    with labs.device.new_socket(TIKTOK[4], socket.SOCK_DGRAM) as sock:
        for _ in range(300):
            try:
                sock.sendto(b"x", (TIKTOK[4], 4444))
            except OSError:
                continue
    labs.recorded(app="tiktok", port=4444)
    after = labs.metric("blocker_egress_attempts_total", app="tiktok", trigger="address", transport="udp")
    assert after - before <= 3
