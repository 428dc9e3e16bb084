"""Has a rollout hit names that must resolve too often? Times in, yes or no out.

Pure. Keeps no more times than the threshold needs, so that a flood of hits costs nothing.
"""

from collections import deque
from collections.abc import Iterable


class Hits:
    """The hits of one rollout on names that must resolve."""

    def __init__(self, return_after: int, within: int, count: int = 0, times: Iterable[float] = ()) -> None:
        """`return_after` hits `within` seconds are too many; 0: none are. `times` are former ones, unix seconds."""
        self.count = count
        """All there ever were."""
        self._within = within
        self._return_after = return_after
        self.times = deque(times, maxlen=max(1, return_after))
        """The last ones, in the order in which they came to our notice."""

    def add(self, when: float) -> None:
        """Take note of one at `when`."""
        self.count += 1
        self.times.append(when)

    def too_many(self, since: float) -> bool:
        """Tell whether the threshold was passed by hits that came at `since` or later; those before are settled."""
        if not self._return_after or len(self.times) < self._return_after:
            return False
        # A batch of one worker's journal may come before an older one of another's: the span is what counts.
        return min(self.times) >= since and max(self.times) - min(self.times) <= self._within
