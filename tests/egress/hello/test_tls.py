import pytest
from scapy.layers.tls.extensions import TLS_Ext_ServerName
from scapy.layers.tls.record import TLS

from blocker import names
from blocker.egress.hello import tls
from blocker.egress.hello.seen import LIMIT, MORE, OTHER, Hello
from tests.egress.hello import messages

EXAMPLE = names.from_text("example.com")
PADDING = (21, bytes(1200))


@pytest.mark.parametrize("name", ["www.tiktok.com", "a.b.c.d.e.weixin.qq.com", "xn--bcher-kva.example", "a-b.test"])
def test_a_hello_of_openssl_reads_as_scapy_reads_it(name):
    data = messages.client_hello(name)
    hello = tls.read(data)
    scapys = TLS(data).msg[0]
    found = next(each for each in scapys.ext if isinstance(each, TLS_Ext_ServerName))
    assert found.servernames[0].servername.decode() == names.to_text(hello.name) == name
    assert hello.alpn == (b"h2", b"http/1.1")
    assert not hello.ech


def test_every_shorter_beginning_needs_more():
    data = messages.client_hello()
    assert {tls.read(data[:end]) for end in range(len(data))} == {MORE}


def test_who_only_looks_has_the_name_as_soon_as_it_has_come():
    data = messages.client_hello("www.example.com")
    behind = data.index(b"www.example.com") + len(b"www.example.com")
    assert {tls.read(data[:end], early=True) for end in range(behind)} == {MORE}
    assert {tls.read(data[:end], early=True).name for end in range(behind, len(data))} == {
        names.from_text("www.example.com")
    }


def test_without_a_name_the_end_is_waited_for():
    data = messages.client_hello(None)
    assert {tls.read(data[:end], early=True) for end in range(len(data))} == {MORE}
    assert tls.read(data).name is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 4096])
def test_records_that_cut_the_message_are_put_together(size):
    message = messages.handshake(PADDING)
    assert tls.read(messages.records(message, size)) == Hello(EXAMPLE)


def test_records_without_content_are_passed_over_as_servers_do():
    message = messages.handshake(PADDING)
    empty = b"\x16\3\1\0\0"
    cut = messages.records(message[:50], 50) + empty + messages.records(message[50:], 4096)
    assert tls.read(empty * 31 + cut) == Hello(EXAMPLE)
    assert tls.read(empty) is MORE


def test_what_follows_the_hello_does_not_matter():
    data = messages.client_hello()
    assert tls.read(data + b"\x14\3\3\0\1\1" + bytes(50)) == tls.read(data)


@pytest.mark.parametrize(
    ("message", "hello"),
    [
        (messages.handshake(), Hello(EXAMPLE)),
        (messages.handshake((0xFE0D, b"\0" + bytes(60))), Hello(EXAMPLE, ech=True)),
        (messages.handshake((0x0A0A, b"")), Hello(EXAMPLE)),  # GREASE (RFC 8701)
        (messages.handshake((16, b"\0\3\2h2")), Hello(EXAMPLE, alpn=(b"h2",))),
        # Two names, in two extensions or in one: nobody knows which one a server takes.
        (
            messages.handshake((0, messages.listed(b"first.example"))),
            Hello(names.from_text("first.example"), more=(EXAMPLE,)),
        ),
        (
            messages.handshake((0, b"\0\x14" + messages.listed(b"a.test")[2:] + messages.listed(b"b.test")[2:])),
            Hello(names.from_text("a.test"), more=(names.from_text("b.test"), EXAMPLE)),
        ),
        (messages.handshake((0, messages.listed(b"example.com"))), Hello(EXAMPLE)),
        (messages.handshake((0, b""), name=b""), Hello(None)),  # an empty list is one without a name
        (messages.handshake((0, messages.listed(b"x", kind=1)), name=b""), Hello(None)),
        (messages.handshake(name=b"www.TikTok.com."), Hello(names.from_text("www.tiktok.com"))),
        (messages.handshake(name=b"www.tiktok.com\0"), Hello(b"\3www\6tiktok\4com\0\0")),  # no server's name
        (messages.handshake(name=b"a..b"), Hello(None)),
        (b"\1\0\0\x29\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0", Hello(None)),  # no extensions at all
    ],
)
def test_messages(message, hello):
    assert tls.read_message(message) == hello


@pytest.mark.parametrize(
    "data",
    [
        b"\x17\3\3\0\5hello",  # application data: the handshake is over
        b"\x16\2\0\0\5hello",  # no version of TLS
        b"\x16\3\1\x50\0",  # longer than records may be
        b"\x16\3\1\0\4\2\0\0\0",  # a ServerHello
        b"\x16\3\1\0\x06\1\0\0\2\3\3",  # too short for what must be in it
        messages.records(messages.handshake(), 50)[:55] + b"\x17\3\3\0\1\0",  # another kind of record in the middle
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_hello(data):
    assert tls.read(data) is OTHER


def test_an_extension_that_ends_behind_the_end_is_a_contradiction():
    message = bytearray(messages.handshake())
    message[-len(messages.listed(b"example.com")) - 1] += 1
    assert tls.read_message(bytes(message)) is OTHER


def test_no_padding_hides_a_name():
    """A hello that claims to be longer than anybody keeps is read as far as it has come."""
    huge = messages.handshake((21, bytes(40_000)))
    hidden = messages.records(huge, 16_000)
    assert tls.read(hidden[: LIMIT - 1]) is MORE
    assert tls.read(hidden[:LIMIT]) is OTHER  # behind 16 KiB of padding: given up, and said so
    early = messages.handshake((0, messages.listed(b"early.example")), (21, bytes(40_000)))
    for size in (200, 16_000):
        assert tls.read(messages.records(early, size)[:300]) == Hello(names.from_text("early.example"))
