"""Words at borders count, words inside do not; in somebody else's zone they count less."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.candidates.brand import Brands

BRANDS = Brands({"tiktok": ("tiktok", "ttdns", "tiktokv"), "wechat": ("weixin",)})


def find(text, owned):
    return {each.app: each.weight for each in BRANDS.find(names.from_text(text), names.from_text(owned))}


@pytest.mark.parametrize(("text", "owned", "found"), [
    ("tiktok-cdn9.example", "tiktok-cdn9.example", {"tiktok": 0.6}),
    ("v16.my-tiktok.example", "my-tiktok.example", {"tiktok": 0.6}),
    ("tiktok9.example", "tiktok9.example", {"tiktok": 0.6}),  # a digit is a border
    ("tiktokimg.example", "tiktokimg.example", {"tiktok": 0.55}),
    ("cdntiktok2.example", "cdntiktok2.example", {"tiktok": 0.55}),
    ("tiktokenizer.example", "tiktokenizer.example", {"tiktok": 0.15}),  # a bystander
    ("tiktokapinews.example", "tiktokapinews.example", {"tiktok": 0.15}),  # no technical word ends there
    ("mytiktok4u.example", "mytiktok4u.example", {}),  # somewhere inside
    ("tiktok.fans.example", "fans.example", {"tiktok": 0.3}),  # a host of somebody else
    ("tiktokenizer.fans.example", "fans.example", {}),
    ("tiktok.example", "example", {"tiktok": 0.3}),
    ("tiktok-weixin.example", "tiktok-weixin.example", {"tiktok": 0.6, "wechat": 0.6}),
    ("a.example.tiktok", "example.tiktok", {}),  # above what somebody registered
    ("xn--tiktok-abc.example", "xn--tiktok-abc.example", {"tiktok": 0.6}),
])  # fmt: skip
def test_words(text, owned, found):
    assert find(text, owned) == found
    assert BRANDS.suspects(names.from_text(text)) or not found


def test_what_it_says():
    (match,) = BRANDS.find(names.from_text("tiktokenizer.example"), names.from_text("tiktokenizer.example"))
    assert match.says == "tiktokenizer: it only begins with 'tiktok', as bystanders' names do"


def test_what_it_says_is_safe_on_a_terminal():
    (match,) = BRANDS.find(b"\x0d\x1b[31m-tiktok-\0\7example\0", b"\x0d\x1b[31m-tiktok-\0\7example\0")
    assert match.says.startswith("\\027[31m-tiktok-")


def test_no_words_match_nothing():
    assert not Brands({}).suspects(names.from_text("tiktok.com"))


@given(st.lists(st.binary(min_size=1, max_size=63), min_size=1, max_size=3))
def test_any_labels_are_survived(labels):
    name = b"".join(bytes((len(each),)) + each for each in labels) + b"\0"
    BRANDS.find(name, name)
