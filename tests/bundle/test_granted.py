"""Exceptions inside bundles: what goes along, and what no node may have."""

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.bundle import granted
from blocker.bundle.manifest import EXCEPTIONS
from blocker.errors import BundleError
from blocker.exceptions.entry import Entry, Grant, Person, State

GRANT = Grant("7", "T-1", "suffix", "help.banned.example", "", "press", "", 1_800_000_000, 1_800_086_400, "omar")
ENTRY = Entry(GRANT, State.APPROVED, "a hearing", Person("ines"), 1_799_990_000, Person("root", "Omar"), 1_800_000_000)


def test_approved_ones_go_along_under_other_numbers():
    content = granted.octets([ENTRY, replace(ENTRY, state=State.REQUESTED), replace(ENTRY, state=State.REVOKED)])
    assert granted.read({EXCEPTIONS: content}) == (replace(GRANT, id="bundle:7"),)
    assert [json.loads(content)[0][who] for who in ("requested_by", "approved_by", "reason")] == [
        "ines", "Omar", "a hearing",
    ]  # fmt: skip


def test_none():
    assert granted.octets([replace(ENTRY, state=State.REQUESTED)]) == b""
    assert granted.read({}) == ()


def changed(**more):
    (said,) = json.loads(granted.octets([ENTRY]))
    return [{**said, **more}]


def patterns(number):
    grant = replace(GRANT, scope="pattern", value="*.banned.*")
    return [each for at in range(number) for each in changed(grant=replace(grant, id=str(at)).said())]


@pytest.mark.parametrize(("said", "why"), [
    (changed(approved_by="INES "), "no second person"),
    (changed(approved_by="\u0456nes"), "no second person"),  # a Cyrillic letter
    (patterns(101), "more than 100 exceptions for patterns"),
    (changed(approved_by=""), "no second person"),
    (changed(note="x"), "other parts"),
    (changed(reason=5), "other parts"),
    (changed(grant={**GRANT.said(), "value": ""}), "neither an app nor names"),
    (changed(grant={**GRANT.said(), "clients": "everybody"}), "does not appear to be"),
    (changed(grant={}), "other parts"),
    (changed() * 2, "a number stands there twice"),
    ({"a": 1}, "no attribute 'keys'"),
    ("x", "no attribute 'keys'"),
])  # fmt: skip
def test_refused(said, why):
    with pytest.raises(BundleError, match=why):
        granted.read({EXCEPTIONS: granted._spelled(said)})


@pytest.mark.parametrize("content", [b"[]", b"[]\n ", b"\xff", b"{", b"[" * 100_000])
def test_another_spelling_is_refused(content):
    with pytest.raises(BundleError, match=EXCEPTIONS):
        granted.read({EXCEPTIONS: content})


@given(st.binary(max_size=200))
def test_any_octets_are_exceptions_or_refused(content):
    with contextlib.suppress(BundleError):
        granted.read({EXCEPTIONS: content})
