"""Outcomes: the only thing the line tells the world. What is counted or logged of them is for the sinks.

Pure. An Outcome is made once per distinct ending and shared by all queries that end so.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from ipaddress import IPv6Address
from typing import Final, Literal, NamedTuple, Protocol

from blocker import names
from blocker.names import Name
from blocker.policy import PASSTHRU, Action, Rule, Verdict
from blocker.wire.constants import RCODE_NAMES, TC, TYPE_NAMES, type_text

ATTEMPT: Final = 1  # journal flag: belongs into the attempt log
QUERY: Final = 2  # journal flag: belongs into the query log
SEARCH: Final = 4  # journal flag: for the search for candidates, which reads along and may miss it
EVERY: Final = QUERY | SEARCH  # flags that the record of every query has, where somebody wants it
EXCEPTED: Final = "excepted"
OTHER: Final = "other"  # the label of whatever is outside a closed set
_MAX_TOLD: Final = 16  # addresses of one answer that a record names
_REMEMBERED: Final = 4096  # rules; full: forgotten all at once


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
    monitored: str = ""  # for an attempt that was only noted: "1", "shadow" if its entry is in shadow, or EXCEPTED
    rollout: str = ""  # the staged rollout that the entry is part of


@dataclass(frozen=True, slots=True)
class Outcome:
    """One distinct ending, and the cell that counts it."""

    cell: int
    ending: int  # index in ENDINGS
    attempt: bool  # blocked or monitored, and worth a line in the attempt log


def entry_id(rule: Rule) -> str:
    """Return what an entry is known by wherever it stands: its app, and 64 bits of hash over what it means.

    The same entry on another line, in another file or spelling has the same id; another scope, trigger or answer, or
    an exception in place of a block has not.
    """
    value = rule.value if rule.value.isascii() else names.to_text(names.from_text(rule.value))
    meaning = [rule.app, rule.scope, value.lower().rstrip("."), "allow" if rule.allow else "block", rule.answer or ""]
    if rule.trigger is not None:
        meaning.append(rule.trigger)
    return f"{rule.app}-{blake2b(chr(0).join(meaning).encode(), digest_size=8).hexdigest()}"


class Basis:
    """What verdicts rest on, as attempts are recorded: which lists and which policy were in force."""

    def __init__(self, lists: str = "", policy: str = "") -> None:
        """Take the short digests of the lists and of the configuration; without them records do not name them."""
        self.lists = lists
        self.policy = policy
        self._remembered: dict[tuple[str, str, str], bytes] = {}

    def of(self, rule: Rule) -> bytes:
        """Return which entry of which lists under which policy `rule` is: the end of a record's tail."""
        key = (rule.app, rule.source, rule.value)
        known = self._remembered.get(key)
        if known is None:
            line = {"entry_id": entry_id(rule), "list": self.lists, "policy": self.policy}
            known = b"," + json_inside({name: value for name, value in line.items() if value})
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = known
        return known


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
        noted_as(verdict),
        verdict.rollout,
    )


def noted_as(verdict: Verdict) -> str:
    """Return the label `monitored` of an attempt with this verdict."""
    if not verdict.monitored:
        return ""
    return EXCEPTED if verdict.waiver is not None else "shadow" if verdict.shadow else "1"


def action_word(verdict: Verdict) -> str:
    """Return what a record says was done: the action, or why nothing was."""
    if not verdict.monitored:
        return str(verdict.action)
    return "except" if verdict.waiver is not None else "shadow" if verdict.shadow else "monitor"


def is_attempt(verdict: Verdict) -> bool:
    """Tell whether `verdict` is about an attempt that belongs into the attempt log."""
    return (
        verdict.rule is not None
        and not verdict.rule.quiet
        and (verdict.action is not Action.PASSTHRU or verdict.monitored)
    )


def told(answer: bytes | None, addresses: Sequence[bytes]) -> str | list[str]:
    """Return what a client heard, as a record says it: the addresses, or else a word; None: it heard nothing.

    `addresses` (4 or 16 octets) are those that went into `answer`, if it was not cut short.
    """
    if answer is None:
        return "nothing"
    if answer[2] << 8 & TC:
        return "truncated"
    if answer[3] & 0xF:
        return RCODE_NAMES.get(answer[3] & 0xF, str(answer[3] & 0xF)).lower()
    if addresses:
        return [address_text(each) for each in addresses[:_MAX_TOLD]]
    return "records" if answer[6] or answer[7] else "nodata"


def tail(
    group: str,
    qname: Name,
    qtype: int,
    transport: str,
    rcode: int | None,
    ending: Ending,
    verdict: Verdict,
    heard: str | list[str] = "",
    basis: Basis | None = None,
) -> bytes:
    """Return what a log line says of an ending, as the inside of a JSON object; time and client come before it.

    `heard` is what `told` says; `basis` is what the verdict rests on.
    """
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
            "action": action_word(verdict),
        }
        if verdict.rollout:
            line["rollout"] = verdict.rollout
        if verdict.waiver is not None:
            line["exception"] = verdict.waiver.id
            if verdict.waiver.ticket:
                line["ticket"] = verdict.waiver.ticket
        if verdict.via:
            line["via"] = verdict.via
        if rule.reference:
            line["reference"] = rule.reference
        if heard:
            line["answer"] = heard
        if basis is not None:
            return json_inside(line) + basis.of(rule)
    return json_inside(line)


def json_inside(line: dict[str, object] | dict[str, str]) -> bytes:
    """Return `line` as the inside of a JSON object."""
    return json.dumps(line, separators=(",", ":"), ensure_ascii=True)[1:-1].encode()


def address_text(address: bytes) -> str:
    """Return an address of 4 or 16 octets as people write it."""
    if len(address) == 4:
        return ".".join(map(str, address))
    return str(IPv6Address(address))


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
