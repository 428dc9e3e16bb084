"""When what is in force changes by itself, by a clock that people and NTP may set. Pure: clocks are arguments.

Two clocks are looked at: the wall's, by which schedules and exceptions are written, and one that only runs. Where
the wall clock is put forward, what should have ended by then ends at once, and does not come back when that was a
mistake. Where it is set back, every exception in force ends as much earlier by the new reading, so that none lasts
longer than was approved. Schedules simply follow the wall.
"""

from collections.abc import Mapping
from typing import Final

_TOLERANCE: Final = 1.0  # seconds by which the clocks may drift apart before that counts as setting one
_NEVER: Final = 0.0  # the end of an exception that is over, whatever the clock says


class Turns:
    """What time does to what is in force."""

    def __init__(self, wall: float, boot: float) -> None:
        """Begin at unix time `wall`; `boot` seconds are told by a clock that is never set and runs in sleep too."""
        self.moment = wall  # of which what is in force was computed
        self.next: float | None = None  # unix time of the next change; None: none is known
        self.ends: dict[str, float] = {}  # of exceptions that end earlier than approved; the serving processes' too
        self._granted: dict[str, tuple[float, float]] = {}  # start and end as approved
        self._wall, self._boot = wall, boot  # readings that belong together
        self._set_back = False  # since the last turn

    def grant(self, granted: Mapping[str, tuple[float, float]]) -> None:
        """Take the approved exceptions, each with its start and its end; those that are gone are forgotten."""
        self._granted = dict(granted)
        self.ends = {each: when for each, when in self.ends.items() if each in granted}

    def look(self, wall: float, boot: float) -> float:
        """Take the clocks' readings, and return by how many seconds the wall's was set back since the last ones."""
        expected = self._wall + boot - self._boot
        back = expected - wall
        if abs(back) <= _TOLERANCE:
            return 0.0
        self._wall, self._boot = wall, boot
        if back < 0:
            return 0.0
        self._set_back = True
        self._end(expected)
        for each, (starts, _) in self._granted.items():
            if starts <= expected and (end := self.end(each)) > expected:
                self.ends[each] = end - back
        return back

    def is_due(self, wall: float) -> bool:
        """Tell whether what is in force must be computed anew."""
        return self._set_back or (self.next is not None and wall >= self.next)

    def turn(self, wall: float) -> None:
        """Take note that everybody is told the moment `wall`; what has ended by then is over for good."""
        self.moment = wall
        self.next = None
        self._set_back = False
        self._end(wall)

    def end(self, each: str) -> float:
        """Return when an exception ends, unix time."""
        return self.ends.get(each, self._granted[each][1])

    def _end(self, moment: float) -> None:
        for each in self._granted:
            if self.end(each) <= moment:
                self.ends[each] = _NEVER
