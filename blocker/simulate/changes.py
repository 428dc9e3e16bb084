"""What makes a difference: two verdicts on one question become a change, and changes become a report. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from blocker.policy import Rule, Verdict
from blocker.simulate.logs.record import Tally
from blocker.simulate.sides import state


class Kind(StrEnum):
    """What happens to a name, the gravest first."""

    BLOCKED = "newly blocked"
    ALLOWED = "newly allowed"
    EXCEPTED = "newly excepted"  # passes, and only because of an exception that people approved
    MONITORED = "newly monitored"
    SHADOW = "newly in shadow"
    ANSWERED = "answered otherwise"  # as before, but for another app or with another action


class Status(IntEnum):
    """What the report means to a script: its exit status."""

    SAME = 0
    CHANGES = 1
    VIOLATIONS = 3  # 2 is kept for what could not be said


class Difference(NamedTuple):
    """How two verdicts on one question differ."""

    kind: Kind
    app: str  # whose entry makes the difference


@dataclass(frozen=True, slots=True)
class Change:
    """One name that clients asked for and that would be treated otherwise."""

    kind: Kind
    qname: str
    via: str  # what in the answer decides, where it is not the name itself
    app: str
    group: str  # of the clients; `old -> new` where the configuration moves them
    before: str  # in words, with the entry's file:line
    after: str
    queries: int
    clients: int
    first: str  # time of the first query
    last: str
    must_resolve: str = ""  # why it must not be blocked, if so


@dataclass(frozen=True, slots=True)
class Total:
    """All changes of one kind, app and group."""

    kind: Kind
    app: str
    group: str
    names: int
    queries: int
    clients: int


@dataclass(frozen=True, slots=True)
class Report:
    """What would change."""

    old_digest: str
    new_digest: str
    queries: int
    names: int  # distinct
    clients: int  # distinct
    bad: int  # lines that could not be read
    logs: Sequence[Tally]
    totals: Sequence[Total]
    violations: Sequence[Change]
    changes: Sequence[Change]  # the most asked first, violations left out
    more: int  # changes beyond those shown

    @property
    def status(self) -> Status:
        """Return what a script should hear."""
        if self.violations:
            return Status.VIOLATIONS
        return Status.CHANGES if self.totals else Status.SAME

    def as_data(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {"status": self.status.name.lower(), **asdict(self)}


def difference(old: Verdict, new: Verdict) -> Difference | None:
    """Return how two verdicts differ for the client, None if they do not: another line of a list is no difference."""
    if (after := state(new)) != (before := state(old)):
        kinds = {
            "blocked": Kind.BLOCKED,
            "excepted": Kind.EXCEPTED,
            "monitored": Kind.MONITORED,
            "shadow": Kind.SHADOW,
            "allowed": Kind.ALLOWED,
        }
        deciding = (old.rule if before != "allowed" else new.rule) if after == "allowed" else new.rule
        return Difference(kinds[after], _app(deciding))
    if after != "allowed" and (old.action, _app(old.rule)) != (new.action, _app(new.rule)):
        return Difference(Kind.ANSWERED, _app(new.rule))
    return None


def worded(verdict: Verdict) -> str:
    """Return a verdict in words, with the entry that it comes from."""
    said = state(verdict)
    if said == "blocked":
        said = f"blocked ({verdict.action})"
    if verdict.waiver is not None:
        said = f"excepted by {verdict.waiver.id}"
    rule = verdict.rule
    if rule is None:
        return said
    exception = "exception " if rule.allow else ""
    return f"{said}: {rule.app}, {exception}{rule.value} ({rule.scope}), {rule.source}"


def _app(rule: Rule | None) -> str:
    return rule.app if rule is not None else ""
