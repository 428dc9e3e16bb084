"""When a feed is fetched next: by interval, by the clock on the wall, after failures, after the clock was changed."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.config import Feed
from blocker.feeds.facts import Edition, Facts
from blocker.feeds.schedule import due

NOW = 1_800_000_000.0
SOME = Edition("a" * 64, 100, 10)


def feed(**said):
    return Feed(**{"name": "f", "url": "https://lists.example/f", "app": "games", **said})


def after(ago, **said):
    return Facts(**{"in_force": SOME, "tried": NOW - ago, "succeeded": NOW - ago, **said})


@pytest.mark.parametrize(("feed", "facts", "jitter", "wait"), [
    (feed(), Facts(), 0.5, 0),  # never fetched: at once
    (feed(), after(0), 0, 86400),
    (feed(), after(0), 1, 86400 * 1.05),  # nodes spread out
    (feed(every=300), after(100), 0, 200),
    (feed(every=300), after(1000), 0, -700),  # was due while nobody ran
    (feed(), after(0, failures=1), 1, 60),
    (feed(), after(0, failures=1), 0, 30),
    (feed(), after(0, failures=2), 1, 120),
    (feed(), after(0, failures=6), 1, 1920),
    (feed(), after(0, failures=7), 1, 3600),  # no longer than an hour
    (feed(), after(0, failures=10_000), 1, 3600),
    (feed(every=300), after(0, failures=5), 1, 300),  # nor than its own interval
    (feed(), Facts(tried=NOW, failures=1), 1, 60),  # never fetched, and the source is down: no hurry either
    (feed(), after(0, in_force=None, held=SOME), 0, 86400),  # held: it was fetched
    (feed(), after(-3600), 0, 0),  # the clock was set back
    (feed(), Facts(tried=NOW + 1, failures=9), 0, 0),
])  # fmt: skip
def test_due(feed, facts, jitter, wait):
    assert due(feed, facts, NOW, jitter) - NOW == pytest.approx(wait)


def moment(text, zone):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(("at", "zone", "tried", "expected"), [
    ("03:30", "UTC", "2026-11-24T01:00", "2026-11-24T03:30"),
    ("03:30", "UTC", "2026-11-24T03:30", "2026-11-25T03:30"),  # just done
    ("03:30", "UTC", "2026-11-24T23:00", "2026-11-25T03:30"),
    ("03:30", "America/Toronto", "2026-11-24T01:00", "2026-11-24T03:30"),
    ("02:30", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T03:30"),  # 02:30 does not exist that night
    ("02:30", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T02:30"),  # the first of two
    ("02:30", "Europe/Berlin", "2026-10-25T02:30", "2026-10-26T02:30"),  # and not the second
])  # fmt: skip
def test_at(at, zone, tried, expected):
    facts = Facts(in_force=SOME, tried=moment(tried, zone))
    assert due(feed(at=at, zone=zone), facts, moment(tried, zone), 0.7) == moment(expected, zone)


@given(
    every=st.integers(300, 2_592_000),
    tried=st.floats(0, 4e9),
    now=st.floats(0, 4e9),
    failures=st.integers(0, 10**9),
    jitter=st.floats(0, 1),
    at=st.none() | st.times().map(lambda at: f"{at:%H:%M}"),
)
def test_it_is_always_due_some_day(every, tried, now, failures, jitter, at):
    facts = Facts(in_force=SOME, tried=tried, failures=failures)
    found = due(feed(every=None if at else every, at=at), facts, now, jitter)
    assert found <= max(now, tried) + max(2 * 86400, every * 1.05)
