"""Structured errors: what goes into them, and what goes first when there is no room."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import structured
from blocker.structured import DNS_POLICY, Operator
from blocker.wire.constants import Ede

OFFICE = Operator(("mailto:dns@office.example", "tel:+1-613-555-0100"), "Office of Examples", "en")
WHY = "TikTok: banned on government devices [ca-1]"
WHOLE = {
    "c": ["mailto:dns@office.example", "tel:+1-613-555-0100"], "j": WHY, "s": 5, "o": "Office of Examples", "l": "en",
}  # fmt: skip


def said(operator=OFFICE, code=Ede.BLOCKED, why=WHY, room=1000):
    wire = structured.text(operator, code, why, room)
    assert len(wire) <= room
    return json.loads(wire) if wire else None


def only(*names):
    return {name: WHOLE[name] for name in names}


@pytest.mark.parametrize(
    ("operator", "code", "expected"),
    [
        (OFFICE, Ede.BLOCKED, WHOLE),
        (OFFICE, Ede.FILTERED, only("c", "j", "o", "l")),  # the sub-errors of policy go with Blocked alone
        (OFFICE, Ede.CENSORED, only("c", "j", "o", "l")),
        (Operator(), Ede.BLOCKED, only("j", "s", "l")),
        (Operator(sub_error=DNS_POLICY), Ede.BLOCKED, only("j", "l") | {"s": 6}),
    ],
)
def test_what_is_said(operator, code, expected):
    assert said(operator, code) == expected


@pytest.mark.parametrize(("code", "expected"), [(15, True), (16, True), (17, True), (18, False), (3, False)])
def test_with_which_codes(code, expected):
    assert structured.applies(Ede(code)) is expected


FULL = len(structured.text(OFFICE, Ede.BLOCKED, WHY, 1000))


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (FULL, WHOLE),
        (FULL - 1, only("c", "j", "s", "l")),
        (FULL - 31, only("c", "s")),
        (64, only("c", "s")),
        (61, only("s")),
        (7, only("s")),
        (6, None),
        (-5, None),
    ],
)
def test_what_people_read_goes_first(room, expected):
    assert said(room=max(room, 0)) == expected
    assert room >= 0 or structured.text(OFFICE, Ede.BLOCKED, WHY, room) == b""


def test_without_sub_error_and_contact_there_is_no_text_when_the_reason_does_not_fit():
    assert said(Operator(organisation="Office"), Ede.CENSORED, room=20) is None


def test_other_alphabets_are_utf8_and_cut_between_characters():
    wire = structured.text(Operator(organisation="Behörde"), Ede.BLOCKED, "ж" * 400, 1000)
    assert "Behörde".encode() in wire
    assert json.loads(wire)["j"] == "ж" * 150
    assert b"\\u" not in wire


@given(st.text(max_size=400), st.text(max_size=80), st.integers(0, 600), st.sampled_from([15, 16, 17]))
def test_any_words_make_json_that_fits(why, organisation, room, code):
    wire = structured.text(Operator(("tel:1",), organisation), Ede(code), why, room)
    assert len(wire) <= room
    if wire:
        assert json.loads(wire.decode()).keys() & {"c", "j", "s"}
