"""Names: text to wire and back, and where one name lies below another."""

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.errors import NameFormatError

LABELS = st.lists(st.binary(min_size=1, max_size=63).map(bytes.lower), max_size=12)
NAMES = LABELS.map(lambda labels: b"".join(bytes((len(each),)) + each for each in labels) + b"\0").filter(
    lambda name: len(name) <= names.MAX_NAME
)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("tiktok.com", b"\6tiktok\3com\0"),
        ("tiktok.com.", b"\6tiktok\3com\0"),  # a trailing dot says nothing new
        ("TikTok.COM", b"\6tiktok\3com\0"),
        (".", b"\0"),
        ("no", b"\2no\0"),
        ("_dns.resolver.arpa", b"\4_dns\10resolver\4arpa\0"),
        (r"a\.b.c", b"\3a.b\1c\0"),  # an escaped dot does not part labels
        (r"a\..", b"\2a.\0"),
        (r"\065.c", b"\1a\1c\0"),  # an escaped letter has no case either
        (r"\000\255", b"\2\0\xff\0"),
        (r"a\\.", b"\2a\\\0"),  # an escaped backslash, then the trailing dot
        ("bücher.example", b"\15xn--bcher-kva\7example\0"),
        ("BÜCHER.example", b"\15xn--bcher-kva\7example\0"),
        ("微信.com", b"\13xn--vuqz89a\3com\0"),
        ("a" * 63 + ".b", b"\77" + b"a" * 63 + b"\1b\0"),
    ],
)
def test_from_text(text, wire):
    assert names.from_text(text) == wire


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "a..b",
        ".a",
        "a" * 64,
        ".".join(["a" * 63] * 4),
        r"a\256",
        "a\\",
        "ü..b",
        "\ud800.com",
        "a\u3002",
        "ü" * 300,
    ],
)
def test_from_text_refuses(text):
    with pytest.raises(NameFormatError, match="is not a domain name"):
        names.from_text(text)


@pytest.mark.parametrize(
    "text",
    ["a b.com", "https://a.com", "a.com/x", "a.com:53", "*.a.com", "a@b.com", r"a\000.com", "192.0.2.1", "a.1", "7"],
)
def test_hostname_refuses_what_a_list_should_not_hold(text):
    with pytest.raises(NameFormatError):
        names.hostname(text)


@given(NAMES)
def test_text_and_back(name):
    assert names.from_text(names.to_text(name)) == name
    assert names.from_text(names.to_text(name) + "." * (name != names.ROOT)) == name


@given(NAMES)
def test_text_is_plain_and_dnspython_reads_it(name):
    text = names.to_text(name)
    assert text.isascii()
    assert text.isprintable()
    assert dns.name.from_text(text).to_wire() == name


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused(text):
    try:
        name = names.from_text(text)
    except NameFormatError:
        return
    assert len(name) <= names.MAX_NAME
    assert name[-1] == 0
    assert list(names.parents(name))[-1] == names.ROOT


@given(NAMES)
def test_parents_and_labels(name):
    parents = list(names.parents(name))
    assert parents[0] == name
    assert len(parents) == names.depth(name) + 1 == len(list(names.labels(name))) + 1
    assert all(names.is_below(name, parent) for parent in parents)


@pytest.mark.parametrize(
    ("name", "zone", "below"),
    [
        (b"\3www\6tiktok\3com\0", b"\6tiktok\3com\0", True),
        (b"\6tiktok\3com\0", b"\6tiktok\3com\0", True),  # itself
        (b"\3com\0", b"\6tiktok\3com\0", False),
        (b"\11nottiktok\3com\0", b"\6tiktok\3com\0", False),  # a label border, not the end of a text
        (b"\7x\6tikto\3com\0", b"\6tikto\3com\0", False),  # a label that holds a length octet is no border
        (b"\6tiktok\3com\0", b"\0", True),
        (b"\0", b"\0", True),
    ],
)
def test_is_below(name, zone, below):
    assert names.is_below(name, zone) is below
