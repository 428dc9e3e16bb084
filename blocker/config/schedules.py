"""When an app is blocked for a group: weekdays and hours by the clocks of a place."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from blocker.config.feeds import UTC, TimeZone
from blocker.config.section import Section
from blocker.config.values import AppId, Where, mistakes

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HOURS: Final = re.compile(r"((?:[01][0-9]|2[0-3]):[0-5][0-9]) ?- ?(24:00|(?:[01][0-9]|2[0-3]):[0-5][0-9])")


def days(value: object) -> tuple[str, ...]:
    """Return the weekdays written as `fri`, `mon-fri`, or a list of such, one by one. Raises ValueError."""
    found: set[int] = set()
    for each in value if isinstance(value, list | tuple) else [value]:
        first, dash, last = str(each).lower().partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{each!r} is not a weekday; write mon, tue, wed, thu, fri, sat, sun, or mon-fri")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found.update(day % 7 for day in range(begin, end + 1 if end >= begin else end + 8))
    if not found:
        raise ValueError("no day is written; leave `days` out for every day")
    return tuple(DAYS[day] for day in sorted(found))


def hours(value: object) -> tuple[str, ...]:
    """Return the windows written as `08:00-17:00`, or a list of such. Raises ValueError."""
    found = tuple(map(_window, value if isinstance(value, list | tuple) else [value]))
    if not found:
        raise ValueError("no hours are written; leave `hours` out for the whole day")
    return found


def _window(value: object) -> str:
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a stretch of hours; write it in quotes, '08:00-17:00' or '22:00-06:00'")
    if match[1] == match[2]:
        raise ValueError(f"{value!r} ends where it begins; for the whole day write '00:00-24:00'")
    return f"{match[1]}-{match[2]}"


def _listed(form: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "array", "items": {"type": "string", "format": form}})


_Days = Annotated[tuple[str, ...], BeforeValidator(days), _listed("weekdays")]
_Hours = Annotated[tuple[str, ...], BeforeValidator(hours), _listed("hours")]
Doing = Literal["block", "monitor", "allow"]


class Schedule(Section):
    """Hours in which apps are treated otherwise than in the rest of the week."""

    apps: tuple[AppId, ...] = Field(min_length=1)
    """The apps; each must be one that the group blocks."""
    days: _Days = DAYS
    """Days on which the hours begin: `mon-fri`, `sat`, or a list; not said: every day."""
    hours: _Hours = ("00:00-24:00",)
    """From and to, `'08:00-17:00'`, or a list; past midnight `'22:00-06:00'`; not said: the whole day."""
    zone: TimeZone = UTC
    """The time zone of the hours, with its summer time."""
    inside: Doing = "block"
    """What happens to the apps within the hours: `block`, `monitor` or `allow`."""
    outside: Doing = "monitor"
    """What happens to them at all other times."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found: list[tuple[Where, str]] = []
        if self.inside == self.outside:
            found.append((("outside",), f"is {self.outside!r} as inside: the schedule changes nothing"))
        found += [
            (("apps", at), f"{app!r} is there twice; remove one of the two")
            for at, app in enumerate(self.apps)
            if app in self.apps[:at]
        ]
        if found:
            raise mistakes(found)
        return self
