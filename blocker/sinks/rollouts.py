"""What Prometheus and people see of rollouts: where each stands, what it did, and whether it hit what must resolve."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from blocker.config import Stage
from blocker.events import Labels

MAX_CLIENTS: Final = 10_000  # counted one by one, per rollout


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where a rollout stands, as the supervisor says."""

    name: str
    about: str
    stage: str
    words: str  # the stage with what belongs to it
    since: float  # unix time; 0: as configured
    by: str
    why: str
    returned: bool  # by itself


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted of it."""

    must_resolve: int = 0  # hits on names that must resolve
    clients: int = 0  # distinct, MAX_CLIENTS at the most, since the control process started
    examples: Mapping[str, str] = field(default_factory=dict)  # such names, and the entries


def collect(
    rollouts: Sequence[Rollout], outcomes: Iterable[tuple[Labels, int]], counts: Mapping[str, Counts]
) -> Iterator[Metric]:
    """Yield the metrics; nothing where there are no rollouts."""
    if not rollouts:
        return
    stage = GaugeMetricFamily(
        "blocker_rollout_stage", "1 for the stage that the rollout is in.", labels=("rollout", "stage")
    )
    attempts = CounterMetricFamily(
        "blocker_rollout_attempts",
        "Attempts by entries of the rollout: blocked, or noted for who is not reached yet.",
        labels=("rollout", "result"),
    )
    hits = CounterMetricFamily(
        "blocker_rollout_must_resolve_hits", "Attempts that would keep a must-resolve name away.", labels=("rollout",)
    )
    returned = GaugeMetricFamily(
        "blocker_rollout_returned_timestamp_seconds",
        "When it went back to shadow by itself; 0: it did not, or a person has moved it since.",
        labels=("rollout",),
    )
    did = attempts_of(outcomes)
    for each in rollouts:
        for known in Stage:
            stage.add_metric((each.name, known.value), each.stage == known.value)
        for result in ("blocked", "noted"):
            attempts.add_metric((each.name, result), did[each.name, result])
        hits.add_metric((each.name,), counts.get(each.name, Counts()).must_resolve)
        returned.add_metric((each.name,), each.since if each.returned else 0)
    yield from (stage, attempts, hits, returned)


def attempts_of(outcomes: Iterable[tuple[Labels, int]]) -> Counter[tuple[str, str]]:
    """Return how many attempts each rollout's entries blocked or only noted, by rollout and result."""
    found: Counter[tuple[str, str]] = Counter()
    for labels, count in outcomes:
        if labels.rollout:
            found[labels.rollout, "noted" if labels.monitored else "blocked"] += count
    return found


def told(
    rollouts: Sequence[Rollout], outcomes: Iterable[tuple[Labels, int]], counts: Mapping[str, Counts]
) -> list[dict[str, Any]]:
    """Return what commands show."""
    did = attempts_of(outcomes)
    return [
        {
            "rollout": each.name,
            "about": each.about,
            "stage": each.words,
            "since": each.since,
            "by": each.by,
            "why": each.why,
            "returned": each.returned,
            "blocked": did[each.name, "blocked"],
            "noted": did[each.name, "noted"],
            "clients": counted.clients,
            "must_resolve_hits": counted.must_resolve,
            "must_resolve_examples": dict(counted.examples),
        }
        for each in rollouts
        for counted in (counts.get(each.name, Counts()),)
    ]
