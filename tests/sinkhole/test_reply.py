"""What visitors are told: status, headers, alerts, and that nothing of theirs comes back."""

import ssl

import pytest

from blocker import names
from blocker.config import Config
from blocker.egress.hello.seen import Hello, Record, Request
from blocker.sinkhole import reply
from blocker.sinkhole.page import Blocked
from blocker.sinkhole.visit import Kind, Visit
from blocker.sinkhole.wording import wording
from tests.egress.hello import messages

WHEN = 1795480000.0
CONFIG = Config.model_validate({"sinkhole": {"first": "fr", "blocked_by": "https://office.example/decisions"}})
WORDING = wording(CONFIG.sinkhole, CONFIG.answers)
NAME = names.from_text("www.tiktok.com")
DECIDED = Blocked("www.tiktok.com", "TikTok", "Banned.", "ca-1", "Decision", "tiktok-1")
FEED = Blocked("evil.example", "threats")
PAGE, TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"


def visit(accept="text/html", accept_language="", method=b"GET"):
    return Visit(Kind.HTTP, Request(method, b"/", NAME), accept, accept_language)


def answered(visitor, blocked):
    head, _, body = reply.to(visitor, blocked, WORDING, WHEN).partition(b"\r\n\r\n")
    status, *lines = head.decode("ascii").split("\r\n")
    return status.removeprefix("HTTP/1.1 "), dict(line.split(": ", 1) for line in lines), body.decode()


@pytest.mark.parametrize(("visitor", "blocked", "status", "content_type", "languages"), [
    (visit(), DECIDED, "451 Unavailable For Legal Reasons", PAGE, "fr, en"),
    (visit(accept_language="en"), DECIDED, "451 Unavailable For Legal Reasons", PAGE, "en, fr"),
    (visit(), FEED, "403 Forbidden", PAGE, "fr, en"),  # no decision, no legal reason
    (visit(), None, "403 Forbidden", PAGE, "fr, en"),
    (visit(accept="*/*"), DECIDED, "451 Unavailable For Legal Reasons", TEXT, "fr, en"),
])  # fmt: skip
def test_pages(visitor, blocked, status, content_type, languages):
    found, headers, body = answered(visitor, blocked)
    assert (found, headers["Content-Type"], headers["Content-Language"]) == (status, content_type, languages)
    assert int(headers["Content-Length"]) == len(body.encode())
    assert body.startswith("<!DOCTYPE html>") is (content_type == PAGE)
    assert (headers.get("Link") == '<https://office.example/decisions>; rel="blocked-by"') is status.startswith("451")


def test_headers_let_nothing_in_and_nobody_keeps_it():
    _, headers, body = answered(visit(), DECIDED)
    assert headers["Connection"] == "close"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Date"] == "Tue, 24 Nov 2026 00:26:40 GMT"
    policy = dict(each.strip().split(" ", 1) for each in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert reply.DIGEST in policy["style-src"]
    assert "<style>" in body


def test_a_head_alone():
    _, headers, body = answered(visit(method=b"HEAD"), DECIDED)
    assert int(headers["Content-Length"]) > 1000
    assert body == ""


@pytest.mark.parametrize("name", [b"evil\r\nX: y.example", b"<script>.example", b'a".example'])
def test_what_a_stranger_said_is_nowhere(name):
    asked = Request(name, name, bytes((len(name),)) + name + b"\0", name)
    hostile = Visit(Kind.HTTP, asked, "text/html\r\nX: y", "<i>")
    assert name not in reply.to(hostile, None, WORDING, WHEN)
    assert b"X: y" not in reply.to(hostile, None, WORDING, WHEN)


@pytest.mark.parametrize(("name", "expected"), [
    ("www.tiktok.com", "UNRECOGNIZED_NAME"),
    (None, "MISSING_EXTENSION"),
])  # fmt: skip
def test_tls_clients_understand_the_alert(name, expected):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    to_client, from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, from_client, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    from_client.read()
    visitor = Visit(Kind.TLS, Hello(name and names.from_text(name)))
    to_client.write(reply.to(visitor, None, WORDING, WHEN))
    with pytest.raises(ssl.SSLError) as caught:
        client.do_handshake()
    assert caught.value.reason.endswith(expected)
    assert messages.client_hello(name)[:1] == b"\x16"


def test_all_else_is_reset():
    for said in (None, Record(0x16, 0xF104, from_server=False)):
        assert reply.to(Visit(Kind.OTHER, said), None, WORDING, WHEN) == b""
