"""What a visit means: which app, by the policy of the visitor, and how it is recorded. Pure.

What is said is judged as it would be on the wire (egress/findings.py), a name as a query for it would be. A visit
that shows nothing blocked (its alias was, or it is allowed since a moment ago) was led here by a blocked answer.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from blocker import events, names
from blocker.clients import Clients
from blocker.egress import attempt, findings
from blocker.egress.attempt import Flow
from blocker.egress.findings import Setting
from blocker.egress.flows import OPENED, Sight
from blocker.egress.repeats import Repeats
from blocker.events import Basis, Recorder
from blocker.lists.index import Index
from blocker.policy import Action, Rule, Scope, Trigger, Verdict
from blocker.sinkhole.page import Blocked
from blocker.sinkhole.visit import Visit

APP: Final = "sinkhole"  # the app of visits that show no blocked name
_LED_HERE: Final = Rule(
    app=APP,
    value="sinkhole address",
    scope=Scope.CIDR,
    allow=False,
    source="built-in",
    title="Sinkhole",
    reason="a blocked name was answered with this address",
)


@dataclass(frozen=True, slots=True)
class Force:
    """What is in force: whose policy, which lists."""

    clients: Clients
    index: Index
    basis: Basis


class Judged(NamedTuple):
    """What is known of a visit."""

    blocked: bool  # it names, or speaks, what is blocked or monitored
    shown: Blocked | None  # what a page may say of it: a name that the policy blocks


class Attempts:
    """Judges visits and records them: each is counted, and those that repeat themselves have one line in the log."""

    def __init__(self, recorder: Recorder, every: float) -> None:
        """Write a line at most `every` seconds for the same client, name and port."""
        self.lines = Repeats(every)
        self._recorder = recorder

    def record(self, force: Force, flow: Flow, visit: Visit, now: float) -> Judged:
        """Record `visit` at monotonic time `now`, and return what is known of it."""
        policy = force.clients.policy_for(flow.client)
        setting = Setting(force.index, resolvers=(), references=force.index.references)
        verdict, name = findings.judge(policy, setting, Sight(flow, 0, visit.said or OPENED))
        known = events.is_attempt(verdict)
        seen = verdict if known else attempt.refused(Trigger.ADDRESS, _LED_HERE)
        text = "" if name is None else names.to_text(name)
        logged = self.lines.is_new((flow.client, name, flow.port), now)
        attempt.record(self._recorder, flow, policy.group, seen, force.basis, text, logged=logged)
        return Judged(known, _shown(verdict, text, force.index) if known else None)


def _shown(verdict: Verdict, name: str, index: Index) -> Blocked | None:
    rule = verdict.rule
    if rule is None or verdict.action is Action.PASSTHRU or verdict.trigger is not Trigger.HTTP_HOST:
        return None  # only noted, or not for its name: then the name may be anything
    return Blocked(
        name=name,
        app=rule.title or rule.app,
        reason=rule.reason,
        reference=rule.reference,
        decision=index.apps[rule.app].decision,
        entry=events.entry_id(rule),
    )
