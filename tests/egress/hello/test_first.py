import pytest

from blocker.egress.hello import first
from blocker.egress.hello.seen import MORE, OTHER, Hello, Record, Request
from tests.egress.hello import messages


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (messages.client_hello(), Hello),
        (messages.client_hello(None), Hello),
        (messages.MMTLS_CLIENT, Record),
        (messages.MMTLS_EARLY, Record),
        (messages.MMTLS_REQUEST, Request),
        (b"\r\nGET / HTTP/1.1\r\n\r\n", Request),
    ],
)
def test_each_protocol_is_told_by_its_first_octets(stream, kind):
    assert isinstance(first.read(stream), kind)
    assert {first.read(stream[:end]) for end in range(5)} == {MORE}


@pytest.mark.parametrize("stream", [b"SSH-2.0-x\r\n", b"\x17\3\3\0\1x", b"\0\0\0\0", b"\x05\1\0", b"\x13BitTorrent"])
def test_everything_else_is_other(stream):
    assert first.read(stream) is OTHER
