"""The times that logs write, as `2026-11-23T21:37:51.000000Z`. Pure.

A time without a zone is taken as it is written: nobody knows where its machine stood. syslog's old form has no
year; it is the one that puts the time nearest before the end of the log.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from blocker.simulate.logs.record import BadLineError, quoted

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_CLOCK: Final = r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?"
SYSLOG: Final = r"[A-Za-z]{3} [ \d]\d \d\d:\d\d:\d\d"
LOGREAD: Final = r"[A-Za-z]{3} [A-Za-z]{3} [ \d]\d \d\d:\d\d:\d\d \d{4}"  # OpenWrt's, with the year
ISO: Final = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
BIND: Final = r"\d\d-[A-Za-z]{3}-\d{4} \d\d:\d\d:\d\d(?:\.\d{1,9})?"
_SYSLOG: Final = re.compile(r"([A-Za-z]{3}) ([ \d]\d) " + _CLOCK)
_LOGREAD: Final = re.compile(r"[A-Za-z]{3} ([A-Za-z]{3}) ([ \d]\d) " + _CLOCK + r" (\d{4})")
_BIND: Final = re.compile(r"(\d\d)-([A-Za-z]{3})-(\d{4}) " + _CLOCK)
_SLACK: Final = timedelta(days=1)  # clocks and zones differ
_LAST: Final = 253402300799  # unix time of the year 9999's end

Clock = Callable[[str], str]
"""Turns a time as it is written into ours. Raises BadLineError."""


def clock(end: datetime) -> Clock:
    """Return the reading of times in a log that ends at `end`; a second is read once, and its lines share it."""

    @lru_cache(maxsize=64)
    def read(text: str) -> str:
        try:
            return shown(_read(text, end))
        except (ValueError, KeyError, OverflowError) as error:
            raise BadLineError(f"{quoted(text)} is not a time") from error

    return read


def from_unix(seconds: int, nanoseconds: int = 0) -> str:
    """Return the time `seconds` after 1970. Raises BadLineError for one that no calendar has."""
    if not 0 <= seconds <= _LAST:
        raise BadLineError(f"{seconds} is not a unix time")
    return shown(datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000 % 1_000_000))


def shown(when: datetime) -> str:
    """Return `when` as logs of ours write it."""
    return when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _read(text: str, end: datetime) -> datetime:
    if match := _SYSLOG.fullmatch(text):
        hour, minute, second = int(match[3]), int(match[4]), int(match[5])
        for year in range(end.year + 1, end.year - 8, -1):  # 29 February is in one year of eight at least
            when = _day(year, _MONTHS[match[1].lower()], int(match[2]))
            if when is not None and when <= end + _SLACK:
                return when.replace(hour=hour, minute=minute, second=second)
        raise ValueError("no such day")
    if match := _LOGREAD.fullmatch(text):
        date = int(match[7]), _MONTHS[match[1].lower()], int(match[2])
        return datetime(*date, int(match[3]), int(match[4]), int(match[5]), tzinfo=UTC)
    if match := _BIND.fullmatch(text):
        micro = int((match[7] or "0").ljust(6, "0")[:6])
        date = int(match[3]), _MONTHS[match[2].lower()], int(match[1])
        return datetime(*date, int(match[4]), int(match[5]), int(match[6]), micro, tzinfo=UTC)
    when = datetime.fromisoformat(text.replace(",", "."))
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _day(year: int, month: int, day: int) -> datetime | None:
    try:
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
