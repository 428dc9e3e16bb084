"""May an update come into force by itself? The only place that decides so. Pure.

A source that is broken into, cut short or sold looks like an update. What would lose much of what is blocked,
or block many times as much as before, waits for a person; what is no list at all is refused.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SMALL: Final = 100  # names: below this a list may grow up to `growth` times so many; five are not yet suspicious


class Course(StrEnum):
    """What becomes of an update."""

    PUBLISH = "publish"
    HOLD = "hold"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of an update, and why, for people; no reason for what is published."""

    course: Course
    why: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far an update may go without a person."""

    shrink: float  # share of the names in force that it may lose
    growth: float  # times as many names as are in force


@dataclass(frozen=True, slots=True)
class Update:
    """An update in numbers."""

    entries: int  # names and rules in it
    bad: int  # lines that are neither
    lost: int  # names in force that it no longer has


def judge(in_force: int | None, update: Update, limits: Limits) -> Ruling:
    """Say what becomes of `update` where `in_force` names are in force; None: none ever were."""
    if not update.entries:
        why = f"it holds no names that may be blocked ({update.bad} lines are none). Look at what the source sends."
        return Ruling(Course.REFUSE, why)
    if update.bad > update.entries:
        why = f"{update.bad} lines are no names against {update.entries} that are. Check the feed's format and URL."
        return Ruling(Course.REFUSE, why)
    if not in_force:
        return Ruling(Course.PUBLISH)
    if update.lost > limits.shrink * in_force:
        share = f"{update.lost} of {in_force} names in force ({update.lost / in_force:.0%}) would be lost"
        return Ruling(Course.HOLD, f"{share}; shrink allows {limits.shrink:.0%}.")
    if update.entries > limits.growth * max(in_force, _SMALL):
        grown = f"{update.entries} names instead of {in_force}, {update.entries / in_force:.1f} times as many"
        return Ruling(Course.HOLD, f"{grown}; growth allows {limits.growth:g}.")
    return Ruling(Course.PUBLISH)
