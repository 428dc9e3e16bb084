"""What visitors say first, whole and in pieces, sound and hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.egress.hello.seen import LIMIT, Hello, Record, Request
from blocker.sinkhole.visit import Greeting, Kind, Visit
from tests.egress.hello import messages
from tests.egress.hello.hostile import streams

TIKTOK = names.from_text("www.tiktok.com")
GET = (
    b"GET /x?y HTTP/1.1\r\nHost: www.TikTok.com:80\r\nAccept: text/html, */*;q=0.1\r\n"
    b"ACCEPT-LANGUAGE:\tfr-CA\r\nCookie: a\r\n\r\n"
)


def asked(method=b"GET", host=TIKTOK, path=b"/", accept="", language="", more=()):
    return Visit(Kind.HTTP, Request(method, path, host, more=more), accept, language)


def got(**how):
    return asked(path=b"/x?y", accept="text/html, */*;q=0.1", language="fr-CA", **how)


@pytest.mark.parametrize(("octets", "expected"), [
    (GET, got()),
    (b"\r\n" + GET, got()),
    (GET.replace(b"GET", b"POST"), got(method=b"POST")),
    (GET.replace(b"\r\n", b"\n"), got()),
    (GET + GET, got()),  # pipelined: the first is answered
    (GET + b"Accept-Language: en\r\n\r\n", got()),  # a body is not a head
    (b"HEAD / HTTP/1.0\r\nHost: www.tiktok.com\r\n\r\n", asked(b"HEAD")),
    (b"GET http://www.tiktok.com/ HTTP/1.1\r\nHost: a.example\r\n\r\n", asked(more=(names.from_text("a.example"),))),
    (b"CONNECT www.tiktok.com:443 HTTP/1.1\r\n\r\n", asked(b"CONNECT", path=b"")),
    (b"GET / HTTP/1.1\r\n\r\n", asked(host=None)),
    (messages.client_hello(), Visit(Kind.TLS, Hello(TIKTOK, alpn=(b"h2", b"http/1.1")))),
    (messages.client_hello(name=None, alpn=()), Visit(Kind.TLS, Hello(None))),
    (messages.records(messages.handshake(name=b"www.tiktok.com"), 7), Visit(Kind.TLS, Hello(TIKTOK))),
    (b"SSH-2.0-OpenSSH_9.2\r\n", Visit(Kind.OTHER)),
    (b"hello\r\n", Visit(Kind.OTHER)),
    (b"GET /\r\n", Visit(Kind.OTHER)),  # HTTP/0.9 has no host
    (b"\x16\x02\x01\x00\x00", Visit(Kind.OTHER)),
    (bytes(200), Visit(Kind.OTHER)),
    (messages.MMTLS_CLIENT, Visit(Kind.OTHER, Record(0x16, 0xF104, from_server=False))),
])  # fmt: skip
def test_whole(octets, expected):
    assert Greeting().take(octets) == expected


@pytest.mark.parametrize("octets", [GET, messages.client_hello()])
def test_in_pieces(octets):
    greeting = Greeting()
    half = len(octets) // 2
    assert greeting.take(octets[:half]) is None
    assert greeting.take(octets[half:]) == Greeting().take(octets)


@pytest.mark.parametrize(("octets", "kind"), [
    (b"", Kind.NOTHING), (b"GE", Kind.HTTP), (b"\x16\x03", Kind.TLS), (b"\x16", Kind.TLS), (b"g", Kind.OTHER),
])  # fmt: skip
def test_what_it_seems_to_be(octets, kind):
    greeting = Greeting()
    if octets:
        greeting.take(octets)
    assert greeting.kind is kind


@pytest.mark.parametrize("octets", [GET, messages.client_hello()])
def test_octet_by_octet_is_too_slow(octets):
    """Each piece is a look at everything: who sends many small ones would keep us busy."""
    greeting = Greeting()
    taken = [greeting.take(octets[at : at + 1]) for at in range(64)]
    assert taken == [None] * 63 + [Visit(Kind.OTHER)]


def test_a_head_without_end_is_as_long_as_anybody_looks():
    long = Greeting().take(GET.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 70_000))
    assert long == got()
    greeting = Greeting()
    assert greeting.take(b"GET /" + b"x" * 70_000).kind is Kind.OTHER
    assert len(greeting._octets) == LIMIT


def test_a_preference_is_cut():
    said = Greeting().take(b"GET / HTTP/1.1\r\nAccept: " + b"a," * 3000 + b"\r\n\r\n")
    assert len(said.accept) == 1000


@given(st.lists(st.one_of(st.binary(max_size=60), streams), max_size=5))
def test_no_octets_break_it(pieces):
    greeting = Greeting()
    for piece in pieces:
        said = greeting.take(piece)
        assert said is None or isinstance(said, Visit)
        assert greeting.kind in Kind
        if said is not None:
            return
