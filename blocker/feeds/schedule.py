"""When is a feed to be fetched next? Pure: clocks and chance come in as arguments."""

from datetime import UTC as UTC_ZONE
from datetime import datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from blocker.config import Feed
from blocker.feeds.facts import Facts

FIRST_RETRY: Final = 60.0  # seconds after the first failure; doubled with each further one ...
LAST_RETRY: Final = 3600.0  # ... up to this, or to the feed's own interval
SPREAD: Final = 0.05  # share of the interval by which nodes spread out, so that they do not ask all at once


def due(feed: Feed, facts: Facts, now: float, jitter: float) -> float:
    """Return when `feed` is to be fetched next, unix seconds; at `now` or before: at once.

    `jitter`, from 0 to 1, is the caller's chance, the same as long as `facts` are: else the time would wander.
    """
    if facts.in_force is None and not facts.failures and facts.held is None:
        return now
    if facts.tried > now:  # the clock was set back: nobody knows how long ago that was
        return now
    if facts.failures:
        longest = min(LAST_RETRY, feed.interval)
        pause: float = min(longest, FIRST_RETRY * 2.0 ** min(facts.failures - 1, 20))
        return facts.tried + pause * (0.5 + jitter / 2)
    if feed.at is not None:
        return _next(feed, facts.tried)
    return facts.tried + feed.interval * (1 + SPREAD * jitter)


def _next(feed: Feed, after: float) -> float:
    """Return the first moment later than `after` at which clocks in the feed's zone show `feed.at`.

    Where summer time skips that hour it is as much later as clocks were put forward; where the hour comes twice,
    the first one counts (PEP 495, fold=0).
    """
    assert feed.at is not None
    zone: tzinfo = UTC_ZONE if feed.zone == "UTC" else ZoneInfo(feed.zone)
    day = datetime.fromtimestamp(after, zone).date()
    moments = (datetime.combine(day + timedelta(days), feed.at, zone).timestamp() for days in range(3))
    return next(moment for moment in moments if moment > after)
