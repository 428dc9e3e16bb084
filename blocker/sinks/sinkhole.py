"""What is counted of the sinkhole's visitors, in its region, and what Prometheus sees of it.

Labels come from closed sets. The attempts themselves are counted as all attempts outside DNS are (companions.py).
"""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric

from blocker.sinkhole.limits import Limit
from blocker.sinkhole.visit import Kind, Outcome
from blocker.sinks.region import Region, Word

PROCESS: Final = "sinkhole"

_VISITS: Final = tuple((kind, outcome) for kind in Kind for outcome in Outcome)
_VISIT_AT: Final = {visit: Word.SINKHOLE + at for at, visit in enumerate(_VISITS)}
_LIMIT_AT: Final = {limit: Word.SINKHOLE + len(_VISITS) + at for at, limit in enumerate(Limit)}


def visited(region: Region, kind: Kind, outcome: Outcome) -> None:
    """Count a visit that is over."""
    region.words[_VISIT_AT[kind, outcome]] += 1


def limited(region: Region, limit: Limit) -> None:
    """Count a visitor who was not let in."""
    region.words[_LIMIT_AT[limit]] += 1


def collect(beside: Mapping[str, Region]) -> Iterator[Metric]:
    """Yield the sinkhole's metrics; nothing where it is off. Kinds that cannot end so are left out."""
    if (region := beside.get(PROCESS)) is None:
        return
    visits = CounterMetricFamily(
        "blocker_sinkhole_connections", "Connections to the sinkhole that were let in.", labels=("kind", "outcome")
    )
    for (kind, outcome), at in _VISIT_AT.items():
        if kind is not Kind.NOTHING or outcome in (Outcome.CLOSED, Outcome.TIMEOUT):
            visits.add_metric((kind, outcome), region.words[at])
    yield visits
    refused = CounterMetricFamily(
        "blocker_sinkhole_limited", "Connections to the sinkhole that a limit refused.", labels=("limit",)
    )
    for limit, at in _LIMIT_AT.items():
        refused.add_metric((limit,), region.words[at])
    yield refused
