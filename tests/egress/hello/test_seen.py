import pytest

from blocker import names
from blocker.egress.hello.seen import host


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"www.TikTok.com", "www.tiktok.com"),
        (b"tiktok.com.", "tiktok.com"),  # servers take the final dot away too
        (b"xn--bcher-kva.example", "xn--bcher-kva.example"),
        (b"192.0.2.1", "192.0.2.1"),  # not allowed as a server name, and harmless: no list holds it
        (b"a\\.b.example", "a\\\\.b.example"),  # escapes are text's, not the wire's
        (b"a" * 63 + b".example", "a" * 63 + ".example"),
    ],
)
def test_names(octets, text):
    assert names.to_text(host(octets)) == text


@pytest.mark.parametrize("octets", [b"", b".", b"..", b"a..b", b".a", b"a" * 64 + b".example", b"a.b" * 90])
def test_what_is_no_name(octets):
    assert host(octets) is None


def test_the_longest_name_still_fits_the_wire():
    octets = b".".join((b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61))
    assert len(host(octets)) == names.MAX_NAME
    assert host(octets + b"d") is None
