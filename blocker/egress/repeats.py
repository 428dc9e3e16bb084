"""What repeats itself has one line in a log, and a count for each time. Pure, and bounded."""

from collections.abc import Hashable
from typing import Final

_REMEMBERED: Final = 16384  # full: forgotten all at once, which costs a line each


class Repeats:
    """Tells what was there a moment ago."""

    def __init__(self, every: float) -> None:
        """Let the same thing be new again after `every` seconds."""
        self.every = every
        self._next: dict[Hashable, float] = {}  # monotonic seconds

    def is_new(self, what: Hashable, now: float) -> bool:
        """Tell whether `what` was not there lately, at monotonic time `now`, and remember it."""
        if now < self._next.get(what, now):
            return False
        if len(self._next) >= _REMEMBERED:
            self._next.clear()
        self._next[what] = now + self.every
        return True
