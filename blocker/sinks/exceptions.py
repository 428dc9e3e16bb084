"""What Prometheus and `blocker status` see of exceptions and of what time changes, from the supervisor's words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


@dataclass(frozen=True, slots=True)
class Excepted:
    """The exceptions in force, and when anything changes by itself."""

    granted: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # start and end, unix time
    counts: Mapping[str, int] | None = None  # exceptions in each state; None: they could not be read
    problems: tuple[str, ...] = ()  # of the last time that they were read
    turns: float | None = None  # unix time of the next change, of schedules too

    def active(self, now: float) -> int:
        """Return how many hold at `now`."""
        return sum(starts <= now < ends for starts, ends in self.granted.values())


def excepted(event: Mapping[str, Any]) -> Excepted:
    """Return what a generation event says. Raises KeyError, TypeError, ValueError or AttributeError."""
    said, ends, turns = event["exceptions"], event["standing"]["ends"], event["turns"]
    return Excepted(
        {
            str(each): (float(starts), min(float(end), float(ends.get(each, end))))
            for each, (starts, end) in said["granted"].items()
        },
        None if said["counts"] is None else {str(state): int(count) for state, count in said["counts"].items()},
        tuple(map(str, event["unamended"])),
        None if turns is None else float(turns),
    )


def collect(said: Excepted, now: float, *, kept: bool) -> Iterator[Metric]:
    """Yield the metrics at `now`, unix seconds; `kept`: the control process can use the store."""
    counts = said.counts or {}
    states = GaugeMetricFamily("blocker_exceptions", "Exceptions that are open, by state.", labels=("state",))
    active = said.active(now)
    states.add_metric(("active",), active)
    states.add_metric(("scheduled",), sum(starts > now for starts, _ in said.granted.values()))
    states.add_metric(("requested",), counts.get("requested", 0))
    yield states
    closed = CounterMetricFamily("blocker_exceptions_closed", "Exceptions that are over.", labels=("how",))
    for how in ("ended", "revoked"):
        closed.add_metric((how,), counts.get(how, 0))
    yield closed
    yield GaugeMetricFamily(
        "blocker_exceptions_readable", "1 while the store of exceptions can be read and kept.",
        value=said.counts is not None and not said.problems and kept,
    )  # fmt: skip
    yield GaugeMetricFamily(
        "blocker_policy_turn_timestamp_seconds",
        "When a schedule or an exception changes the policy next; 0: nothing does.",
        value=said.turns or 0,
    )


def status(said: Excepted, now: float, trouble: str) -> Mapping[str, object]:
    """Return this for `blocker status`; `trouble` is why the store cannot be used."""
    turns = None if said.turns is None else f"{datetime.fromtimestamp(said.turns, UTC):%Y-%m-%dT%H:%M:%SZ}"
    problems = [*said.problems, *([trouble] if trouble else [])]
    found: dict[str, object] = {
        "active": said.active(now), "requested": (said.counts or {}).get("requested", 0), "next_change": turns,
    }  # fmt: skip
    return found | ({"problems": problems} if problems else {})
