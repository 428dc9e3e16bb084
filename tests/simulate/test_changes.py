"""When two verdicts make a difference to a client, and whose entry makes it."""

import pytest

from blocker.policy import PASSTHRU, Action, Rule, Scope, Trigger, Verdict, Waiver
from blocker.simulate.changes import Kind, Report, Status, Total, difference, worded


def rule(app, *, allow=False, source="x.txt:1"):
    return Rule(app, "game.example", Scope.SUFFIX, allow, source)


GAMES, GAMES_MOVED, TOYS = rule("games"), rule("games", source="x.txt:2"), rule("toys")
BLOCKED = Verdict(Action.SINKHOLE, Trigger.QNAME, GAMES)
MONITORED = Verdict(Action.PASSTHRU, Trigger.QNAME, GAMES, monitored=True)
SHADOW = Verdict(Action.PASSTHRU, Trigger.QNAME, GAMES, monitored=True, shadow=True)
EXCEPTED = Verdict(Action.PASSTHRU, Trigger.QNAME, GAMES, monitored=True, waiver=Waiver("7", app="games"))
LISTED = Verdict(Action.PASSTHRU, Trigger.QNAME, rule("toys", allow=True))


@pytest.mark.parametrize(("old", "new", "found"), [
    (PASSTHRU, PASSTHRU, None),
    (PASSTHRU, LISTED, None),
    (BLOCKED, Verdict(Action.SINKHOLE, Trigger.QNAME, GAMES_MOVED), None),  # another line says the same
    (PASSTHRU, BLOCKED, (Kind.BLOCKED, "games")),
    (MONITORED, BLOCKED, (Kind.BLOCKED, "games")),
    (BLOCKED, PASSTHRU, (Kind.ALLOWED, "games")),  # the app that lost it
    (BLOCKED, LISTED, (Kind.ALLOWED, "games")),
    (MONITORED, PASSTHRU, (Kind.ALLOWED, "games")),
    (BLOCKED, EXCEPTED, (Kind.EXCEPTED, "games")),
    (PASSTHRU, EXCEPTED, (Kind.EXCEPTED, "games")),
    (EXCEPTED, BLOCKED, (Kind.BLOCKED, "games")),
    (EXCEPTED, PASSTHRU, (Kind.ALLOWED, "games")),
    (PASSTHRU, SHADOW, (Kind.SHADOW, "games")),
    (SHADOW, BLOCKED, (Kind.BLOCKED, "games")),
    (BLOCKED, MONITORED, (Kind.MONITORED, "games")),
    (PASSTHRU, MONITORED, (Kind.MONITORED, "games")),
    (BLOCKED, Verdict(Action.NXDOMAIN, Trigger.QNAME, GAMES), (Kind.ANSWERED, "games")),
    (BLOCKED, Verdict(Action.SINKHOLE, Trigger.QNAME, TOYS), (Kind.ANSWERED, "toys")),
])  # fmt: skip
def test_difference(old, new, found):
    assert difference(old, new) == found


@pytest.mark.parametrize(("verdict", "words"), [
    (PASSTHRU, "allowed"),
    (BLOCKED, "blocked (sinkhole): games, game.example (suffix), x.txt:1"),
    (MONITORED, "monitored: games, game.example (suffix), x.txt:1"),
    (EXCEPTED, "excepted by 7: games, game.example (suffix), x.txt:1"),
    (LISTED, "allowed: toys, exception game.example (suffix), x.txt:1"),
])  # fmt: skip
def test_words(verdict, words):
    assert worded(verdict) == words


@pytest.mark.parametrize(("totals", "violations", "status"), [
    ([], [], Status.SAME),
    ([Total(Kind.BLOCKED, "games", "default", 1, 1, 1)], [], Status.CHANGES),
    ([Total(Kind.BLOCKED, "games", "default", 1, 1, 1)], ["a change"], Status.VIOLATIONS),
])  # fmt: skip
def test_status(totals, violations, status):
    report = Report("", "", 1, 1, 1, 0, [], totals, violations, [], 0)
    assert report.status is status
    assert report.as_data()["status"] == status.name.lower()
