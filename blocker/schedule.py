"""Is a schedule's window open, and when does that change next? Pure: the moment is an argument.

A window is a stretch of time from one reading of the clocks to another, on the day it begins and perhaps into the
next. Where clocks are put forward over an edge, the edge is the moment of the change. Where they show an edge
twice, the stricter treatment has that hour: a block begins at the first reading and ends at the second.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC as UTC_ZONE
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from blocker.config import Schedule
from blocker.config.schedules import DAYS

LOOK: Final = 14  # days looked ahead: two weeks, so that a window lost to a change of clocks is no end
_STRICT: Final = {"block": 2, "monitor": 1, "allow": 0}
_DAY: Final = 1440  # minutes


def doing(schedules: Sequence[Schedule], moment: float) -> str:
    """Return what happens to an app that `schedules` are about at `moment`, unix time: block, monitor or allow.

    Several schedules of one app add their windows up; the configuration makes sure that they agree on the rest.
    """
    is_open = any(is_within(each, moment) for each in schedules)
    return schedules[0].inside if is_open else schedules[0].outside


def is_within(schedule: Schedule, moment: float) -> bool:
    """Tell whether `moment`, unix time, lies in one of the schedule's windows."""
    day = datetime.fromtimestamp(moment, _zone(schedule.zone)).date()
    return any(begin <= moment < end for begin, end in _windows(schedule, day + timedelta(-2), 4))


def next_change(schedules: Iterable[Schedule], moment: float) -> float | None:
    """Return the first moment later than `moment` at which one of `schedules` opens or closes, unix time.

    None: there is none. If it is further away than two weeks, a moment before it is returned.
    """
    return min((_next(each, moment) for each in schedules), default=None)


def _next(schedule: Schedule, moment: float) -> float:
    day = datetime.fromtimestamp(moment, _zone(schedule.zone)).date()
    windows = sorted(_windows(schedule, day + timedelta(-2), LOOK + 4))
    now = any(begin <= moment < end for begin, end in windows)
    last = moment + LOOK * _DAY * 60
    for edge in sorted({edge for window in windows for edge in window if moment < edge < last}):
        if any(begin <= edge < end for begin, end in windows) is not now:
            return edge
    return last  # open all week: worth no more than a look


def _windows(schedule: Schedule, first: date, days: int) -> Iterator[tuple[float, float]]:
    """Yield the windows that begin on one of `days` days from `first` on, as moments; the last few reach beyond."""
    strict = _STRICT[schedule.inside] > _STRICT[schedule.outside]
    for day in (first + timedelta(number) for number in range(days)):
        if DAYS[day.weekday()] not in schedule.days:
            continue
        for begin, end in map(_minutes, schedule.hours):
            until = end if end > begin else end + _DAY
            opened = _moment(day, begin, schedule.zone, 0 if strict else 1)
            closed = _moment(day, until, schedule.zone, 1 if strict else 0)
            if opened < closed:
                yield opened, closed


@lru_cache(256)
def _minutes(hours: str) -> tuple[int, int]:
    """Return the minutes after midnight of `08:00-17:00`."""
    begin, end = (int(text[:2]) * 60 + int(text[3:]) for text in hours.split("-"))
    return begin, end


@lru_cache(4096)
def _moment(day: date, minutes: int, zone: str, fold: int) -> float:
    """Return when clocks in `zone` show `minutes` past the midnight that `day` begins with, unix time.

    `fold` chooses where they do so twice (PEP 495); where they never do, it is when they skip it.
    """
    where = _zone(zone)
    naive = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 what clocks show
    found = naive.replace(tzinfo=where, fold=fold)
    if found.astimezone(UTC_ZONE).astimezone(where).replace(tzinfo=None) == naive:
        return found.timestamp()
    early, late = sorted(naive.replace(tzinfo=where, fold=each).timestamp() for each in (0, 1))
    before = datetime.fromtimestamp(early, where).utcoffset()
    low, high = int(early), int(late)  # the change of clocks is behind `low`, and at or before `high`
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, where).utcoffset() == before:
            low = middle
        else:
            high = middle
    return float(high)


@lru_cache(64)
def _zone(name: str) -> tzinfo:
    return UTC_ZONE if name == "UTC" else ZoneInfo(name)
