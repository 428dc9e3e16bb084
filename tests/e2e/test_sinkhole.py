"""The sinkhole as its visitors meet it: people, programs, and those who would rather break it."""

import contextlib
import http.client
import os
import select
import signal
import socket
import ssl
import time

import pytest

from tests.e2e.client import addresses
from tests.e2e.daemon import LIST, eventually, free_port
from tests.egress.hello import messages

GET = "GET / HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n\r\n"
GENEROUS = {"rate_per_client": 1000, "per_client": 1000, "read": 1.0}


class Place:
    """A blocker with a sinkhole, and what visitors do there."""

    def __init__(self, start, host="127.0.0.1", lists=None, wrap=(), **said):
        self.host = host
        self.port, self.closed = free_port(host), free_port(host)
        family = "sinkhole_v6" if ":" in host else "sinkhole_v4"
        self.daemon = start(
            {
                "answers": {family: [host]},
                "sinkhole": {"serve": True, "ports": [self.port], "reset": [self.closed], "limits": GENEROUS} | said,
            },
            lists=lists,
            wrap=wrap,
        )
        eventually(lambda: not self.warnings())

    def warnings(self):
        return "sinkhole: not running" in self.daemon.get("/readyz")[1]

    def connect(self, port=None, source=None):
        where = (self.host, port or self.port)
        return socket.create_connection(where, timeout=8, source_address=(source, 0) if source else None)

    def say(self, octets, **how):
        """Send `octets` and return everything that comes back; a reset after it, or instead of it, is no more."""
        with contextlib.suppress(ConnectionError), self.connect(**how) as sock:
            return self._heard(sock, octets)
        return None

    def _heard(self, sock, octets):
        with contextlib.suppress(ConnectionError):
            sock.sendall(octets if isinstance(octets, bytes) else octets.encode())
        heard = b""
        while data := sock.recv(65536):
            heard += data
        return heard

    def visits(self, kind, outcome):
        return self.daemon.count("blocker_sinkhole_connections_total", kind=kind, outcome=outcome)

    def attempts(self, **labels):
        return self.daemon.count("blocker_egress_attempts_total", **labels)


@pytest.fixture
def place(start):
    return Place(start)


def greeted(place, name, **how):
    """Return the reason for which a TLS client fails."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with place.connect(**how) as sock:
        with pytest.raises((ssl.SSLError, OSError)) as caught:
            context.wrap_socket(sock, server_hostname=name)
        return getattr(caught.value, "reason", "")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_person_gets_a_page(start, host):
    place = Place(start, host, fr={"organisation": "Bureau des exemples"})
    answer = place.daemon.ask("www.banned.example", "AAAA" if ":" in host else "A")
    assert addresses(answer) == [host]
    visit = http.client.HTTPConnection(host, place.port, timeout=8)
    visit.request("GET", "/", headers={"Host": "www.banned.example", "Accept": "text/html", "Accept-Language": "fr"})
    heard = visit.getresponse()
    body = heard.read().decode()
    visit.close()
    assert (heard.status, heard.getheader("Content-Type")) == (451, "text/html; charset=utf-8")
    assert '<html lang="fr">' in body
    for word in ("www.banned.example", "The banned app", "It is banned.", "decision-1", "Decision 1", "Bureau des ex"):
        assert word in body
    (visited,) = eventually(lambda: [each for each in place.daemon.attempts() if each["trigger"] == "http-host"])
    assert (visited["client"], visited["qname"], visited["trigger"]) == (host, "www.banned.example", "http-host")
    assert (visited["app"], visited["entry"].rpartition("/")[2], visited["port"]) == (
        "banned",
        "banned.yaml:9",
        place.port,
    )
    assert visited["entry_id"] in body


def test_a_tls_client_gets_an_alert(place):
    assert greeted(place, "www.banned.example").endswith("UNRECOGNIZED_NAME")
    assert greeted(place, None).endswith("MISSING_EXTENSION")
    named, unnamed = eventually(lambda: len(found := place.daemon.attempts()) == 2 and found)
    assert (named["app"], named["trigger"], named["qname"]) == ("banned", "sni", "www.banned.example")
    assert (unnamed["app"], unnamed["trigger"]) == ("sinkhole", "address")
    assert (place.visits("tls", "named"), place.visits("tls", "unnamed")) == (1, 1)


def test_all_else_is_reset(place):
    assert place.say(b"SSH-2.0-OpenSSH_9.2\r\n") in (None, b"")
    assert place.say(b"", port=place.closed) in (None, b"")
    assert eventually(lambda: place.visits("other", "unnamed")) == 2
    assert place.attempts(app="sinkhole", trigger="address") == 2


def test_wechats_own_protocol_is_known(start):
    wechat = LIST.replace("app: banned", "app: wechat").replace("banned.example", "wechat.example")
    place = Place(start, lists={"wechat.yaml": wechat})
    assert place.say(messages.MMTLS_CLIENT) in (None, b"")
    assert b"403 Forbidden" in place.say(messages.MMTLS_REQUEST)
    first, second = eventually(lambda: len(found := place.daemon.attempts()) == 2 and found)
    assert (first["app"], first["trigger"], second["trigger"]) == ("wechat", "mmtls", "mmtls")
    assert second["qname"] == "sgshort.wechat.com"
    assert (place.visits("other", "named"), place.visits("http", "named")) == (1, 1)


@pytest.mark.parametrize("octets", [
    GET.format("<script>alert(1)</script>"),
    GET.format("www.banned.example\r\nX-Injected: yes"),
    GET.format("x" * 65536),
    GET.format("www.allowed.example"),
    GET.format("127.0.0.1") + GET.format("www.banned.example") * 50,  # pipelined
    "GET http://<i>/ HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\n" + "".join(f"X-{n}: {n}\r\n" for n in range(20_000)) + "\r\n",
    "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 99999999\r\n\r\n" + "x" * 100_000,
    "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz",
    b"\0" * 100_000,
    b"\x16\x03\x01\x40\x00\x01" + b"\xff" * 70_000,
])  # fmt: skip
def test_hostile_words(place, octets):
    heard = place.say(octets) or b""
    head, _, body = heard.partition(b"\r\n\r\n")
    assert b"x-injected" not in head.lower()
    for word in (b"<script", b"<i>", b"xxxxxx", b"allowed.example"):
        assert word not in body
    assert heard.count(b"HTTP/1.1 ") <= 1
    assert b"451 Unavailable" in place.say(GET.format("www.banned.example"))


def test_repeated_visits_are_counted_and_have_one_line(place):
    for _ in range(6):
        place.say(GET.format("www.banned.example"))
    assert eventually(lambda: place.attempts(app="banned") == 6)
    eventually(place.daemon.attempts)
    assert len(place.daemon.attempts()) == 1


def test_who_is_slow_is_sent_away(place):
    began = time.monotonic()
    with place.connect() as silent, place.connect() as slow, place.connect() as idle:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: www.ban")
        idle.sendall(GET.format("www.banned.example").encode())  # it has its answer and does not go
        waiting = {silent, slow, idle}
        while waiting:
            for sock in select.select(list(waiting), [], [], 8)[0]:
                with contextlib.suppress(ConnectionError):
                    while sock.recv(65536):
                        pass
                waiting.discard(sock)
            assert time.monotonic() - began < 8
    assert time.monotonic() - began > 0.9
    eventually(lambda: (place.visits("nothing", "timeout"), place.visits("http", "timeout")) == (1, 1))
    assert place.visits("http", "named") == 1


def test_who_says_nothing_and_goes(place):
    with place.connect():
        pass
    with place.connect() as sock:
        sock.sendall(b"GET ")
    eventually(lambda: (place.visits("nothing", "closed"), place.visits("http", "closed")) == (1, 1))
    assert place.attempts() == 0


def test_one_visitor_does_not_keep_the_others_out(start):
    place = Place(start, limits={"per_client": 4, "read": 30.0})
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            with contextlib.suppress(ConnectionError):  # reset before connect() had returned
                stack.enter_context(place.connect(source="127.0.0.2"))
        eventually(lambda: place.daemon.count("blocker_sinkhole_limited_total", limit="client-connections") == 16)
        assert b"451 Unavailable" in place.say(GET.format("www.banned.example"), source="127.0.0.3")
    heard = [place.say(GET.format("www.banned.example"), source="127.0.0.4") for _ in range(90)]
    assert 40 <= sum(bool(each) for each in heard) < 90
    assert place.daemon.count("blocker_sinkhole_limited_total", limit="client-rate")


def test_descriptors_do_not_run_out(start):
    place = Place(start, wrap=("prlimit", "--nofile=128:128"), limits=GENEROUS | {"connections": 100_000, "read": 30.0})
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            with contextlib.suppress(ConnectionError):
                stack.enter_context(place.connect(source="127.0.0.2"))
        eventually(lambda: place.daemon.count("blocker_sinkhole_limited_total", limit="connections") >= 136)
        assert addresses(place.daemon.ask("www.banned.example")) == ["127.0.0.1"]
    assert b"451 Unavailable" in eventually(lambda: place.say(GET.format("www.banned.example")))


def test_dns_goes_on_without_it_and_it_comes_back(place):
    place.say(GET.format("www.banned.example"))
    eventually(lambda: place.attempts(app="banned") == 1)
    pid = place.daemon.children()["sinkhole"]
    os.kill(pid, signal.SIGKILL)
    assert addresses(place.daemon.ask("www.banned.example")) == ["127.0.0.1"]
    assert place.daemon.get("/readyz")[0] == 200
    assert b"451 Unavailable" in place.say(GET.format("m.banned.example"))  # it has waited in the queue
    assert place.daemon.children()["sinkhole"] != pid
    eventually(lambda: place.attempts(app="banned") == 2)
    assert place.visits("http", "named") == 2  # no count was lost
    assert place.daemon.count("blocker_egress_restarts_total", process="sinkhole") == 1


def test_words_and_lists_change_without_a_restart(place):
    place.daemon.configure({"sinkhole": {"en": {"title": "Not <here>"}}})
    (place.daemon.lists / "banned.yaml").write_text(LIST.replace("The banned app", "Renamed"))
    assert place.daemon.reload().returncode == 0

    def told():
        heard = place.say(GET.format("www.banned.example"))
        return b"Not &lt;here&gt;" in heard and b"Renamed" in heard

    eventually(told)


def test_a_stray_address_is_said(start):
    place = Place(start)
    assert "get no page" not in place.daemon.log
    place.daemon.configure({"answers": {"sinkhole_v4": ["192.0.2.80", "127.0.0.1"]}})
    assert place.daemon.reload().returncode == 0
    eventually(lambda: "get no page addresses=192.0.2.80 " in place.daemon.log)
    place.daemon.configure({"sinkhole": {"reset": [1]}})
    place.daemon.reload()
    eventually(lambda: "sinkhole.reset" in place.daemon.log)  # counts from the next start on


def test_ports_that_are_taken_are_refused_at_the_start(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = start(
            {"answers": {"sinkhole_v4": ["127.0.0.1"]}, "sinkhole": {"serve": True, "ports": [port]}}, wait=False
        )
        assert daemon.ended() == 2
    assert f"listen 127.0.0.1:{port}: Address already in use" in daemon.log


def test_a_crowd_is_served(place):
    """Six connections at a time, as a browser opens them, of thirty visitors."""
    heard = []
    for number in range(30):
        with contextlib.ExitStack() as stack:
            visits = [stack.enter_context(place.connect(source=f"127.0.1.{number + 1}")) for _ in range(6)]
            for each in visits:
                each.sendall(GET.format("www.banned.example").encode())
            heard += [each.recv(64) for each in visits]
    assert all(each.startswith(b"HTTP/1.1 451") for each in heard)
    assert eventually(lambda: place.attempts(app="banned") == 180)
    assert len(eventually(lambda: len(found := place.daemon.attempts()) == 30 and found)) == 30
