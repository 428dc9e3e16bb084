import pytest

from blocker import names
from blocker.egress.hello import http
from blocker.egress.hello.seen import MORE, OTHER
from tests.egress.hello import messages


@pytest.mark.parametrize(
    ("head", "method", "path", "host"),
    [
        (b"GET / HTTP/1.1\r\nHost: www.TikTok.com\r\n\r\n", b"GET", b"/", "www.tiktok.com"),
        (b"GET / HTTP/1.1\r\nAccept: x\r\nhOsT:\twww.tiktok.com:8080 \r\n\r\n", b"GET", b"/", "www.tiktok.com"),
        (b"\r\n\r\nGET /a HTTP/1.0\nHost: tiktok.com\n\n", b"GET", b"/a", "tiktok.com"),  # as lenient servers are
        (b"GET http://u@x.example:80/p?q HTTP/1.1\r\nHost: y.example\r\n\r\n", b"GET", b"/p?q", "x.example"),
        (b"GET http://x.example HTTP/1.1\r\nHost: y.example\r\n\r\n", b"GET", b"/", "x.example"),
        (b"CONNECT tiktok.com:443 HTTP/1.1\r\nHost: proxy.example\r\n\r\n", b"CONNECT", b"", "tiktok.com"),
        (b"GET / HTTP/1.1\r\nHost: one.example\r\nHost: two.example\r\n\r\n", b"GET", b"/", "one.example"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a.example\r\n\r\n", b"GET", b"/" + b"x" * 9000, "a.example"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 12_000 + b"\r\nHost: a.example\r\n\r\n", b"GET", b"/", "a.example"),
        (b"GET / HTTP/1.1\r\nHost:\r\n www.tiktok.com\r\n\r\n", b"GET", b"/", "www.tiktok.com"),  # on the next line
        (b"GET / HTTP/1.1\r\nHost : www.tiktok.com\r\n\r\n", b"GET", b"/", "www.tiktok.com"),
        (b"GET / HTTP/1.1\r\nHost:www.tiktok.com.\t\r\n\r\n", b"GET", b"/", "www.tiktok.com"),
        (b"GET ws://x.example/p HTTP/1.1\r\nHost: x.example\r\n\r\n", b"GET", b"/p", "x.example"),
        (b"VERSION-CONTROL / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"VERSION-CONTROL", b"/", "a.example"),
    ],
)  # fmt: skip
def test_requests(head, method, path, host):
    request = http.read(head)
    assert (request.method, request.path, names.to_text(request.host)) == (method, path, host)


@pytest.mark.parametrize(("head", "said"), [
    (b"GET / HTTP/1.1\r\nHost: one.example\r\nHost: two.example\r\n\r\n", ["one.example", "two.example"]),
    (b"GET http://x.example/ HTTP/1.1\r\nHost: y.example\r\nHost: X.example\r\n\r\n", ["x.example", "y.example"]),
    (b"CONNECT x.example:443 HTTP/1.1\r\nHost: y.example\r\n\r\n", ["x.example", "y.example"]),
    (b"GET / HTTP/1.1\r\nHost: []\r\nHost: y.example\r\n\r\n", ["[]", "y.example"]),
])  # fmt: skip
def test_who_says_two_names_has_said_both(head, said):
    request = http.read(head)
    assert [names.to_text(each) for each in (request.host, *request.more)] == said


@pytest.mark.parametrize(("head", "rest"), [
    (b"GET / HTTP/1.1\r\n\r\n", 0),
    (b"\r\nGET / HTTP/1.1\nHost: a\n\n", 0),
    (b"POST / HTTP/1.1\r\nContent-Length: 500\r\n\r\n", 500),
    (b"CONNECT a:443 HTTP/1.1\r\ncontent-length : 500\r\n\r\n", 0),
    (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", 0),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    (b"GET / HTTP/1.1\r\nX: " + b"x" * 17_000, None),
])  # fmt: skip
def test_where_the_next_request_begins(head, rest):
    assert http.behind(head, http.read(head)) == (None if rest is None else len(head) + rest)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Host: tiktok.com\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_requests_without_a_name(head):
    assert http.read(head).host is None


@pytest.mark.parametrize(
    ("head", "accept"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nACCEPT:  text/html \r\nAccept-Language: fr\r\n\r\n", "text/html "),
        (b"\r\n\r\nGET / HTTP/1.1\nAccept: a\nAccept: b\n\n", "a"),
        (b"GET / HTTP/1.1\r\nX-Accept: a\r\n\r\nAccept: b\r\n\r\n", ""),  # behind the head is a body
        (b"GET / HTTP/1.1\r\nAccept: " + b"a" * 2000 + b"\r\n\r\n", "a" * 1000),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 17_000 + b"\r\nAccept: b\r\n\r\n", ""),
    ],
)
def test_a_field(head, accept):
    assert http.field(head, b"accept") == accept


def test_the_upgrade_is_read():
    assert http.read(messages.MMTLS_REQUEST).upgrade == b"mmtls"


def test_every_shorter_beginning_needs_more():
    head = messages.MMTLS_REQUEST
    assert {http.read(head[:end]) for end in range(len(head))} == {MORE}


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\3\1",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HELO mail.example\r\n",
        b"get / HTTP/1.1\r\n\r\n",  # methods are spelt in capitals
        b"GET /\r\n",  # HTTP/0.9 has no host
        b"A" * 20,
    ],
)
def test_what_is_no_request(data):
    assert http.read(data) is OTHER


def test_a_head_without_end_is_read_as_far_as_it_is_looked_at():
    head = b"GET / HTTP/1.1\r\nHost: tiktok.com\r\nX: " + b"x" * 17_000
    assert names.to_text(http.read(head).host) == "tiktok.com"
    assert http.read(b"GET /" + b"x" * 17_000) is OTHER
