"""What is asked: a blocked name of each app, another one each time, and one that must resolve."""

import pytest

from blocker import names
from blocker.policy import Action, Policy, Treatment
from blocker.selftest import plan
from blocker.wire.query import parse_query
from tests.oracle import Table, rule

SINKHOLE = Treatment(Action.SINKHOLE)
WHO = Policy("selftest", {"tiktok": SINKHOLE, "wechat": Treatment(Action.PASSTHRU, monitored=True), "games": SINKHOLE})
NAMES = [
    names.from_text(text) for text in ("tiktok.com", "good.tiktok.com", "wechat.com", "a.games.example", "tiktok.net")
]


class Listed(Table):
    """A table whose places are positions in NAMES."""

    def name_at(self, place):
        return NAMES[place]


RULES = Listed(
    rule("tiktok.com"), rule("good.tiktok.com", allow=True), rule("wechat.com", "wechat"), rule("tiktok.net"),
    rule("games.example", "games"),
)  # fmt: skip


def asked(places, turn=0):
    return {each.app: names.to_text(each.qname) for each in plan.blocked(WHO, RULES, places, turn)}


@pytest.mark.parametrize(("places", "found"), [
    ({"tiktok": [0], "wechat": [2]}, {"tiktok": "tiktok.com"}),  # monitored: nothing is blocked
    ({"tiktok": [1, 0]}, {"tiktok": "tiktok.com"}),  # an exception is passed over
    ({"tiktok": [2]}, {}),  # another app's
    ({"tiktok": []}, {}),
    ({"elsewhere": [0]}, {}),  # not in the policy
    ({"tiktok": [0], "games": [3]}, {"tiktok": "tiktok.com", "games": "a.games.example"}),
])  # fmt: skip
def test_blocked(places, found):
    assert asked(places) == found


def test_the_names_change_from_round_to_round():
    assert {asked({"tiktok": [0, 4]}, turn)["tiktok"] for turn in range(2)} == {"tiktok.com", "tiktok.net"}


def test_a_list_that_covers_only_what_is_below_a_name_is_asked_below_it():
    index = Listed(rule("*.tiktok.com"))
    (check,) = plan.blocked(WHO, index, {"tiktok": [0]}, 0)
    assert names.to_text(check.qname) == "selftest.tiktok.com"


@pytest.mark.parametrize(("turn", "found"), [(0, "a.example"), (1, "b.example"), (2, "a.example")])
def test_resolving(turn, found):
    needed = [names.from_text(text) for text in ("a.example", "b.example")]
    assert names.to_text(plan.resolving(WHO, RULES, needed, turn).qname) == found


def test_nothing_must_resolve():
    assert plan.resolving(WHO, RULES, [], 0) is None
    assert plan.resolving(WHO, RULES, [names.from_text("tiktok.com")], 0) is None  # given up by an override


def test_the_query_is_one():
    (check,) = plan.blocked(WHO, RULES, {"tiktok": [0]}, 0)
    query = parse_query(plan.packet(check, 258))
    assert (query.packet[:2], query.qname, query.qtype) == (b"\1\2", check.qname, 1)
