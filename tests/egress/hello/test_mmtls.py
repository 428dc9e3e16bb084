import pytest

from blocker.egress.hello import http, mmtls
from blocker.egress.hello.seen import MORE, OTHER, Record, Request
from tests.egress.hello import messages


@pytest.mark.parametrize(
    ("data", "record"),
    [
        (messages.MMTLS_CLIENT, Record(0x16, 0xF104, from_server=False)),
        (messages.MMTLS_EARLY, Record(0x19, 0xF104, from_server=False)),
        (messages.MMTLS_SERVER, Record(0x16, 0xF104, from_server=True)),
        (b"\x17\xf1\3\0\x10" + bytes(16), Record(0x17, 0xF103, from_server=False)),  # the middle of a connection
        (b"\x15\xf1\4\0\x17", Record(0x15, 0xF104, from_server=False)),
    ],
)
def test_records(data, record):
    assert mmtls.read(data) == record


def test_every_shorter_beginning_needs_more():
    assert {mmtls.read(messages.MMTLS_CLIENT[:end]) for end in range(5)} == {MORE}


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\3\1\0\5hello",  # TLS
        b"\x18\xf1\4\0\1",  # no kind of theirs
        b"\x16\xf1\5\0\1",  # no version of theirs
        b"\x16\xf1\4\0\0",  # nothing inside
        b"\xf1\4",
    ],
)
def test_what_is_no_record(data):
    assert mmtls.read(data) is OTHER


@pytest.mark.parametrize(
    ("request_", "carries"),
    [
        (http.read(messages.MMTLS_REQUEST), True),
        (Request(b"POST", b"/mmtls/0a1b2c3d", None), True),
        (Request(b"GET", b"/cgi-bin/micromsg-bin/newgetdns?uin=0", None), True),
        (Request(b"GET", b"/x", None, b"mmtls"), True),
        (Request(b"GET", b"/docs/mmtls/", None), False),
        (Request(b"GET", b"/", None, b"websocket"), False),
    ],
)
def test_requests(request_, carries):
    assert mmtls.is_carried_by(request_) is carries
