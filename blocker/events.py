"""Outcomes: the only thing the line tells the world. What is counted or logged of them is for the sinks.

Pure. An Outcome is made once per distinct ending and shared by all queries that end so.
"""

import json
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

from blocker import names
from blocker.names import Name
from blocker.policy import PASSTHRU, Action, Verdict
from blocker.wire.constants import RCODE_NAMES, TYPE_NAMES, type_text

ATTEMPT: Final = 1  # journal flag: belongs into the attempt log
QUERY: Final = 2  # journal flag: belongs into the query log
OTHER: Final = "other"  # the label of whatever is outside a closed set


# How a query ended: where its answer came from. Plain strings, since an Enum's hash runs Python code for every query.
Ending = Literal["blocked", "cache", "upstream", "stale", "failure", "local"]
BLOCKED: Final = "blocked"
CACHE: Final = "cache"
UPSTREAM: Final = "upstream"
STALE: Final = "stale"
FAILURE: Final = "failure"
LOCAL: Final = "local"  # answered from the protocol's own rules: ANY, CHAOS, zone transfers
ENDINGS: Final[tuple[Ending, ...]] = (BLOCKED, CACHE, UPSTREAM, STALE, FAILURE, LOCAL)


class Labels(NamedTuple):
    """What outcomes are counted by; every field comes from a closed set or from the configuration."""

    transport: str
    qtype: str
    rcode: str  # "none": nothing was answered
    ending: Ending
    group: str = ""
    app: str = ""
    action: str = ""
    trigger: str = ""
    monitored: str = ""  # "1" for an attempt that was only noted


@dataclass(frozen=True, slots=True)
class Outcome:
    """One distinct ending, and the cell that counts it."""

    cell: int
    ending: int  # index in ENDINGS
    attempt: bool  # blocked or monitored, and worth a line in the attempt log


def labels(transport: str, qtype: int, rcode: int | None, ending: Ending, group: str, verdict: Verdict) -> Labels:
    """Return the labels of an ending."""
    base = (
        transport,
        TYPE_NAMES.get(qtype, OTHER),
        "none" if rcode is None else RCODE_NAMES.get(rcode, OTHER),
        ending,
    )
    if verdict.rule is None or (verdict.action is Action.PASSTHRU and not verdict.monitored):
        return Labels(*base)
    return Labels(
        *base,
        group,
        verdict.rule.app,
        str(verdict.action),
        str(verdict.trigger),
        "1" if verdict.monitored else "",
    )


def is_attempt(verdict: Verdict) -> bool:
    """Tell whether `verdict` is about an attempt that belongs into the attempt log."""
    return (
        verdict.rule is not None
        and not verdict.rule.quiet
        and (verdict.action is not Action.PASSTHRU or verdict.monitored)
    )


def tail(
    group: str, qname: Name, qtype: int, transport: str, rcode: int | None, ending: Ending, verdict: Verdict
) -> bytes:
    """Return what a log line says of an ending, as the inside of a JSON object; time and client come before it."""
    line: dict[str, object] = {
        "group": group,
        "qname": names.to_text(qname),
        "qtype": type_text(qtype),
        "transport": transport,
        "rcode": "none" if rcode is None else RCODE_NAMES.get(rcode, str(rcode)),
        "outcome": ending,
    }
    if verdict is not PASSTHRU and verdict.rule is not None:
        rule = verdict.rule
        line |= {
            "app": rule.app,
            "entry": rule.source,
            "value": rule.value,
            "trigger": str(verdict.trigger),
            "action": "monitor" if verdict.monitored else str(verdict.action),
        }
        if verdict.via:
            line["via"] = verdict.via
        if rule.reference:
            line["reference"] = rule.reference
    return json.dumps(line, separators=(",", ":"), ensure_ascii=True)[1:-1].encode()


class Recorder(Protocol):
    """Takes outcomes in; never raises, never waits, and says nothing back."""

    def outcome(self, labels: Labels, *, attempt: bool) -> Outcome:
        """Return the outcome with these labels, making it the first time."""

    def record(self, outcome: Outcome, client: bytes, duration: float, tail: bytes, flags: int) -> None:
        """Count one query that ended so after `duration` seconds, and journal it if `flags` say so."""

    def malformed(self, reason: str) -> None:
        """Count a packet that was not a query we answer."""

    def bug(self, error: Exception) -> None:
        """Count and show an exception that nobody expected."""
