"""Whom to ask, and how long to wait: health and speed of the upstreams as real traffic shows them.

Pure: times and random numbers are arguments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from blocker.config import Endpoint, Strategy

_DOWN_AFTER: Final = 4  # timeouts in a row
_REFUSAL_WINDOW: Final = 16  # responses over which the share of useless ones is kept ...
_REFUSAL_SHARE: Final = 0.6  # ... and from which share on a server counts as down: 15 in a row
_LEAST_WAIT: Final = 0.05  # seconds
_UNKNOWN_WAIT: Final = 0.4  # seconds, before an upstream was measured
_EXPLORE: Final = 32  # one query in so many goes to another than the fastest, to keep its time known
_RETRY_SHARE: Final = 0.2  # retries allowed per new query ...
_ANSWERED_SHARE: Final = 0.5  # ... and per answer: who answers is not dying, and only loses packets on the way
_RETRY_BURST: Final = 200.0  # retries allowed at once: a dying upstream must not be buried by us


@dataclass(slots=True)
class Server:
    """One upstream, as measured."""

    endpoint: Endpoint
    srtt: float = 0.0  # smoothed response time, seconds; 0: not measured (RFC 6298 §2)
    variance: float = 0.0
    failures: int = 0  # timeouts in a row
    refusing: float = 0.0  # moving share of responses that were of no use
    down: bool = False
    probe_at: float = 0.0  # monotonic seconds: when to probe it, while down
    plain_until: float = 0.0  # monotonic seconds: asked without EDNS until then
    queries: int = 0
    responses: int = 0
    timeouts: int = 0
    tcp_queries: int = 0
    errors: int = 0
    refusals: int = 0
    time: float = 0.0  # seconds all responses took together

    def wait(self, ceiling: float) -> float:
        """Return the seconds to wait for it before asking another (RFC 6298 §2.3), `ceiling` at the most."""
        if not self.srtt:
            return min(_UNKNOWN_WAIT, ceiling)
        return min(max(self.srtt + 4 * self.variance, _LEAST_WAIT), ceiling)

    def responded(self, seconds: float) -> None:
        """Take note of a response that took `seconds`."""
        self.responses += 1
        self.time += seconds
        if not self.srtt:
            self.srtt, self.variance = seconds, seconds / 2
        else:
            self.variance += (abs(self.srtt - seconds) - self.variance) / 4
            self.srtt += (seconds - self.srtt) / 8
        self.failures = 0

    def served(self) -> None:
        """Take note that a response was of use."""
        self.refusing -= self.refusing / _REFUSAL_WINDOW
        if self.down:
            self.down = False
            self.refusing = 0.0

    def refused(self, now: float, probe_interval: float) -> None:
        """Take note of a response that was of no use: a failure, a refusal, garbage.

        One name may be at fault; a server that says nothing else is as good as down, however fast it says so.
        """
        self.refusals += 1
        self.refusing += (1 - self.refusing) / _REFUSAL_WINDOW
        if self.refusing > _REFUSAL_SHARE and not self.down:
            self.down = True
            self.probe_at = now + probe_interval

    def timed_out(self, now: float, probe_interval: float) -> None:
        """Take note of a query that was not answered in time."""
        self.timeouts += 1
        self.failures += 1
        if self.failures >= _DOWN_AFTER and not self.down:
            self.down = True
            self.probe_at = now + probe_interval


class Pool:
    """A set of upstreams that answer the same zones."""

    def __init__(self, members: Sequence[int], strategy: Strategy) -> None:
        """Take the numbers of the pool's servers, in the operator's order."""
        self._members = tuple(members)
        self._strategy = strategy
        self._turn = 0

    def untried(self, tried: int) -> bool:
        """Tell whether some server is not in the bit mask `tried`."""
        return any(not tried >> number & 1 for number in self._members)

    def pick(self, servers: Sequence[Server], tried: int) -> int:
        """Return the number of the server to ask next; `tried` is a bit mask of those that were asked before.

        Servers that are up and untried come first, then untried ones, then any: with everything down it is
        better to ask than not to.
        """
        members = self._members
        if len(members) == 1:
            return members[0]
        self._turn += 1
        candidates = (
            [number for number in members if not tried >> number & 1 and not servers[number].down]
            or [number for number in members if not tried >> number & 1]
            or [number for number in members if not servers[number].down]
            or list(members)
        )
        if self._strategy is Strategy.ORDERED:
            return candidates[0]
        if self._strategy is Strategy.ROUND_ROBIN or self._turn % _EXPLORE == 0:
            turn = self._turn if self._strategy is Strategy.ROUND_ROBIN else self._turn // _EXPLORE
            return candidates[turn % len(candidates)]
        return min(candidates, key=lambda number: servers[number].srtt)


class RetryBudget:
    """How many retries may be sent: a share of the new queries, another of the answers, and a burst."""

    def __init__(self) -> None:
        self._left = _RETRY_BURST

    def earn(self) -> None:
        """Note a new query."""
        self._left = min(self._left + _RETRY_SHARE, _RETRY_BURST)

    def answered(self) -> None:
        """Note an answer of use."""
        self._left = min(self._left + _ANSWERED_SHARE, _RETRY_BURST)

    def spend(self) -> bool:
        """Tell whether one more retry may be sent, and count it."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
