"""The life of an exception: who may ask, who may approve, how long, and that nothing makes it longer."""

from dataclasses import replace

import pytest

from blocker.errors import ExceptionsError
from blocker.exceptions import entry
from blocker.exceptions.entry import Grant, Person, State
from blocker.policy import Scope

NOW, DAY = 1_795_608_000, 86400
INES, OMAR = Person("ines"), Person("omar")
GRANT = Grant("1", "INC-1", "suffix", "help.tiktok.com", "", "press", "", 0, NOW + 3 * DAY)


def requested(grant=GRANT, by=INES, reason="a visit", **more):
    return entry.request(grant, reason, by, NOW, **{"longest": 90 * DAY} | more)


def test_the_way_of_one():
    asked = requested()
    assert (asked.state, asked.requested_by, asked.requested_at, asked.is_open) == ("requested", INES, NOW, True)
    approved = entry.approve(asked, OMAR, NOW + 60)
    assert (approved.state, approved.approved_by, approved.grant.approved_by) == ("approved", OMAR, "omar")
    over = entry.end(approved, NOW + 3 * DAY)
    assert (over.state, over.closed_by.account, over.why_closed, over.is_open) == (
        "ended", "", "its time is over", False,
    )  # fmt: skip
    revoked = entry.revoke(approved, INES, "no longer needed", NOW + 90)
    assert (revoked.state, revoked.closed_by, revoked.why_closed) == ("revoked", INES, "no longer needed")
    assert entry.end(asked, NOW + 3 * DAY).why_closed == "not approved in time"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Person("ines"), Person("INES"), True),
        (Person("ines"), Person("ｉｎｅｓ"), True),  # another width
        (Person("root", "Ines  Gómez"), Person("help", " ines gómez "), True),
        (Person("root", "Ines Go\u0301mez"), Person("root", "Ines Gómez"), True),  # another way to write the accent
        (Person("ines"), Person("root", "ines"), True),  # through another account
        (Person("root", "Zoë"), Person("root", "Zoe"), True),  # without the accent
        (Person("root", "anna.li"), Person("root", "Anna Li"), True),
        (Person("root", "Anna"), Person("root", "\u0410nn\u0430"), True),  # Cyrillic letters
        (Person("root", "omar"), Person("root", "\u03bfm\u03b1r"), True),  # Greek letters
        (Person("root", "ines"), Person("root", "1nes"), True),
        (Person("root", "ines"), Person("root", "\u0130nes"), True),  # with a dot
        (Person("root", "ines"), Person("root", "\u0131nes"), True),  # and without
        (Person("root", "anna"), Person("root", "anna\ufe0f\u3164\u115f\u2800"), True),  # letters without a shape
        (Person("root", "---"), Person("root", "..."), True),  # nobody at all
        (Person("root", "anna"), Person("root", "hanna"), False),
        (Person("root", "\u674e"), Person("root", "\u738b"), False),
        (Person("uid-1000"), Person("uid-1001"), False),
        (Person("root", "ines"), Person("root", "omar"), False),
        (Person("ines"), Person("omar"), False),
    ],
)
def test_nobody_approves_what_he_asked_for(one, other, same):
    asked = requested(by=one)
    assert one.is_same(other) is same
    if same:
        with pytest.raises(ExceptionsError, match="another person must approve it"):
            entry.approve(asked, other, NOW)
    else:
        assert entry.approve(asked, other, NOW).state is State.APPROVED


@pytest.mark.parametrize(
    ("change", "more", "why"),
    [
        ({"scope": "", "value": ""}, {}, "say for what"),
        ({"scope": "", "value": "", "app": "special"}, {}, "special-use names have no exceptions"),
        ({"value": "https://tiktok.com/"}, {}, "not a URL"),
        ({"value": "not a name"}, {}, "is not a domain name"),
        ({"scope": "pattern", "value": "*.x"}, {}, "is not a pattern"),
        ({"clients": "10.0.0.1/8"}, {}, "is not a client"),
        ({"clients": "::ffff:10.0.0.1"}, {}, "write it as IPv4"),  # it would never be the address of a query
        ({"starts": 253_402_200_000, "ends": 253_402_286_400}, {}, "after the year 9998"),
        ({"ends": NOW}, {}, "it would end before it begins"),
        ({"starts": NOW + 4 * DAY}, {}, "it would end before it begins"),
        ({"ends": NOW + 91 * DAY}, {}, "it would last 91 days, and exceptions.max_duration allows 90 days"),
        ({}, {"reason": "  "}, "say why"),
        ({}, {"reason": "one\ntwo"}, "one line"),
        ({"ticket": "x" * 101}, {}, "the ticket must be one line of at most 100"),
        ({}, {"requesters": ["omar"]}, "ines may not request exceptions; exceptions.requesters names"),
    ],
)
def test_what_nobody_may_ask_for(change, more, why):
    with pytest.raises(ExceptionsError, match=why):
        requested(replace(GRANT, **change), **more)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ({"value": "HELP.TikTok.com."}, "help.tiktok.com"),
        ({"value": "bücher.example", "scope": "exact"}, "xn--bcher-kva.example"),
        ({"value": "*TIKTOK*.com", "scope": "pattern"}, "*tiktok*.com"),
        ({"clients": "192.0.2.7"}, "help.tiktok.com"),
        ({"starts": NOW + DAY, "ends": NOW + 91 * DAY}, "help.tiktok.com"),  # 90 days from its start
    ],
)
def test_what_is_asked_for_is_kept_in_one_spelling(change, value):
    made = requested(replace(GRANT, **change)).grant
    assert made.value == value
    assert Grant.of(made.said()) == made


def test_a_later_start_does_not_make_it_longer():
    with pytest.raises(ExceptionsError, match="it would last 90"):
        requested(replace(GRANT, starts=NOW + DAY, ends=NOW + 91 * DAY + 1))


def test_who_may_approve_and_when():
    asked = requested(by=Person("ines"))
    assert entry.approve(asked, OMAR, NOW, approvers=["OMAR"]).state is State.APPROVED
    for who, when, approvers, why in (
        (OMAR, NOW, ["ada"], "omar may not approve"),
        (OMAR, NOW + 3 * DAY, (), "would have ended already"),
    ):
        with pytest.raises(ExceptionsError, match=why):
            entry.approve(asked, who, when, approvers=approvers)
    for closed in (entry.approve(asked, OMAR, NOW), entry.revoke(asked, OMAR, "no", NOW), entry.end(asked, NOW)):
        with pytest.raises(ExceptionsError, match=f"is {closed.state}"):
            entry.approve(closed, OMAR, NOW)
    with pytest.raises(ExceptionsError, match="is revoked already"):
        entry.revoke(entry.revoke(asked, OMAR, "no", NOW), OMAR, "no", NOW)


@pytest.mark.parametrize(("when", "starts"), [(NOW + 9, NOW + 9), (NOW, NOW), (NOW - 400 * DAY, NOW)])
def test_a_clock_that_is_set_back_before_the_approval_makes_it_no_longer(when, starts):
    """It stood a year ahead when somebody asked."""
    assert entry.approve(requested(), OMAR, when).grant.starts == starts


@pytest.mark.parametrize(("ends", "kept"), [(NOW + DAY, NOW + DAY), (NOW + 9 * DAY, NOW + 3 * DAY), (0, 0)])
def test_an_end_only_ever_comes_closer(ends, kept):
    assert entry.shorten(requested(), ends).grant.ends == kept


@pytest.mark.parametrize(
    ("moment", "holds"), [(NOW - 1, False), (NOW, True), (NOW + DAY - 0.01, True), (NOW + DAY, False)]
)
def test_holds(moment, holds):
    assert replace(GRANT, starts=NOW, ends=NOW + DAY).holds(moment) is holds


@pytest.mark.parametrize(
    ("change", "what", "whose"),
    [
        ({}, "help.tiktok.com and all below it", "group press"),
        ({"scope": "exact", "group": ""}, "help.tiktok.com alone", "everybody"),
        ({"scope": "", "value": "", "app": "tiktok", "clients": "192.0.2.0/24"}, "app tiktok",
         "192.0.2.0/24 in group press"),
        ({"app": "tiktok", "scope": "pattern", "value": "*tiktok*.com"},
         "names like *tiktok*.com, as far as tiktok blocks it", "group press"),
    ],
)  # fmt: skip
def test_for_people(change, what, whose):
    made = replace(GRANT, **change)
    assert (made.what(), made.whose()) == (what, whose)


@pytest.mark.parametrize(
    "change",
    [{"scope": "all"}, {"scope": ""}, {"ends": 10**12}, {"starts": -(10**12)}, {"ends": float("nan")},
     {"value": ""}, {"value": "a..b"}, {"ends": "soon"}, {"clients": "x"},
     {"more": 1}, {"scope": "", "value": "x.example", "app": "tiktok"}],
)  # fmt: skip
def test_what_is_no_grant(change):
    with pytest.raises((ValueError, KeyError, TypeError)):
        Grant.of(GRANT.said() | change)


def test_what_it_is_to_a_verdict():
    waiver = replace(GRANT, scope="pattern", value="*tiktok*.com", app="tiktok").waiver()
    assert (waiver.id, waiver.ticket, waiver.scope, waiver.app) == ("1", "INC-1", Scope.PATTERN, "tiktok")
    assert waiver.covers(b"\x08x-tiktok\x03com\x00")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1 second"),
        (59, "59 seconds"),
        (90, "1.5 minutes"),
        (3600, "1 hour"),
        (90 * DAY, "90 days"),
        (0, "0 seconds"),
    ],
)
def test_lasting(seconds, text):
    assert entry.lasting(seconds) == text
