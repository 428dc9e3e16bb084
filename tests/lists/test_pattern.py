"""Bounded patterns: what they match, against a slow reference, and what is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.errors import NameFormatError
from blocker.lists.pattern import Pattern


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("**.tiktok.*", "tiktok.fr", True),
        ("**.tiktok.*", "www.tiktok.fr", True),
        ("**.tiktok.*", "tiktok.co.uk", False),  # `*` is one label
        ("**.tiktok.*", "tiktok", False),
        ("**.tiktok.*", "nottiktok.fr", False),
        ("**.tiktok.**", "a.tiktok.co.uk", True),
        ("**.tiktok.**", "a.tiktok", False),  # one or more labels behind
        ("**.tiktok.**", "tiktok.a", True),
        ("tiktok.**", "a.tiktok.b", False),  # nothing may stand in front
        ("tiktok.**", "tiktok.b.c", True),
        ("**.*tiktok*.akamaized.net", "v16-tiktokcdn.akamaized.net", True),
        ("**.*tiktok*.akamaized.net", "tiktok.akamaized.net", True),  # a star may be empty
        ("**.*tiktok*.akamaized.net", "akamaized.net", False),
        ("**.*tiktok*.akamaized.net", "tiktok.a.akamaized.net", False),
        ("abcd*.example.com", "abcde.example.com", True),
        ("abcd*.example.com", "x.abcde.example.com", False),
        ("ab*abab.example", "abab.example", False),  # the pieces may not overlap
        ("ab*abab.example", "ababab.example", True),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "example.com", False),
    ],
)
def test_matches(pattern, name, fits):
    assert Pattern.parse(pattern).matches(names.from_text(name)) is fits


@pytest.mark.parametrize(
    ("pattern", "tail", "floating", "needle"),
    [
        ("**.dns*.quad9.net", "quad9.net", False, b"quad9"),
        ("**.*.onedns.net", "onedns.net", False, b"onedns"),
        ("**.tiktokv-*.com", "com", True, b"tiktokv-"),  # a top-level domain is no place to look under
        ("**.kaspersky.*", None, True, b"kaspersky"),
        ("**.tiktok.com.**", None, True, b"tiktok"),
    ],
)
def test_tail(pattern, tail, floating, needle):
    found = Pattern.parse(pattern)
    assert (found.tail, found.floating, found.needle) == (tail and names.from_text(tail), floating, needle)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("**.abc*.com", "spells out 4"),
        ("*", "spells out 4"),
        ("**.**", "is not a label"),
        ("tiktok.**.com", "may only be"),
        ("tik**tok.com", "may only be"),
        ("tiktok.com", "kind: exact"),
        ("**.tiktok.com", "kind: suffix"),
        ("tik tok*.com", "is not a label"),
        ("(tiktok)+.com", "is not a label"),
        ("tiktök*.com", "is not a label"),
        ("tiktok*..com", "is not a label"),
        ("", "is not a label"),
        ("tiktok" * 20 + "*.com", "is not a label"),
        (".".join(["tiktok*"] * 60), "longer than 255"),
    ],
)
def test_refused(text, why):
    with pytest.raises(NameFormatError, match=re.escape(why)):
        Pattern.parse(text)


def reference(pattern: str, name: str) -> bool:
    """Match by a regular expression, slowly."""
    front, behind = pattern.startswith("**."), pattern.endswith(".**")
    middle = pattern.removeprefix("**.").removesuffix(".**")
    labels = ["[^.]+" if label == "*" else re.escape(label).replace(r"\*", "[^.]*") for label in middle.split(".")]
    expression = (r"(?:[^.]+\.)*" if front else "") + r"\.".join(labels) + (r"(?:\.[^.]+)+" if behind else "")
    return re.fullmatch(expression, name) is not None


LABELS = st.text(alphabet="ab", min_size=1, max_size=6)
WILD = st.text(alphabet="ab*", min_size=1, max_size=6).filter(lambda text: "**" not in text)


@given(
    st.lists(WILD, max_size=2), st.lists(WILD, max_size=2), st.booleans(), st.booleans(),
    st.lists(LABELS, min_size=1, max_size=6),
)  # fmt: skip
def test_matches_as_the_reference(before, after, front, behind, labels):
    text = "**." * front + ".".join([*before, "a*abab", *after]) + ".**" * behind
    found = Pattern.parse(text)
    for name in (".".join(labels), ".".join([*labels[:2], "aabab", *labels[2:]]), ".".join(["abbabab", *labels])):
        assert found.matches(names.from_text(name)) is reference(text, name)
        if found.matches(names.from_text(name)):
            assert found.needle in names.from_text(name)


@given(st.text(alphabet="ab*.-_ A\\", max_size=300) | st.text())
def test_any_text_is_read_or_refused(text):
    try:
        assert len(Pattern.parse(text).needle) >= 4
    except NameFormatError as refused:
        assert "is not a pattern" in str(refused)  # noqa: PT017 (refusing is allowed, silence is not)


def test_the_longest_names_stay_cheap():
    hostile = Pattern.parse("**." + "*a*a*a*a*aaaa." * 8 + "*b.**")
    assert not hostile.matches(names.from_text(".".join(["a"] * 127)))
    assert not hostile.matches(names.from_text(".".join(["a" * 61] * 4)))
