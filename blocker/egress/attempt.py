"""How an attempt that was seen outside DNS is recorded: the same log, the same words, the same policy.

Pure. Whoever saw it (a rule in the kernel, the capture, the sinkhole) says what flow it was and what the verdict is;
what is counted or logged of it is for the sinks.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from blocker import events
from blocker.events import ATTEMPT, Basis, Labels, Recorder
from blocker.policy import Action, Index, Policy, Rule, Scope, Trigger, Verdict, inspect_address, stage_of

UNKNOWN: Final = "unresolved"  # the app of connections that nobody can name
BYPASS: Final = "bypass"  # the app of ways around the resolver (domain_lists/bypass.yaml)

_BUILT_IN: Final = "built-in"


class Flow(NamedTuple):
    """The first packet of a connection, as far as it matters."""

    client: bytes  # 4 or 16 octets
    destination: bytes  # as many
    port: int  # of the destination; 0 where the transport has none
    transport: str  # tcp, udp, icmp, other


FOREIGN_DNS: Final = Rule(
    app=BYPASS,
    value="other resolvers",
    scope=Scope.CIDR,
    allow=False,
    source=_BUILT_IN,
    title="Ways around the resolver",
    reason="devices of this network ask its own resolver",
)
UNRESOLVED: Final = Rule(
    app=UNKNOWN,
    value="addresses that no answer told",
    scope=Scope.CIDR,
    allow=False,
    source=_BUILT_IN,
    title="Connection without resolution",
    reason="devices of this network connect to addresses that its resolver has told them",
)


def to_address(policy: Policy, index: Index, address: bytes, app: str = "", reference: str = "") -> Verdict:
    """Return the verdict on a connection to `address` (4 or 16 octets), which `app` was found to use.

    The lists say which entry; where none holds the address, it was learned, and the app is all there is to say, with
    the decision that it is banned by, `reference`.
    """
    verdict = inspect_address(policy, index, address)
    if verdict.rule is None or verdict.rule.allow:
        if not app:
            return verdict
        rule = Rule(app, "learned address", Scope.CIDR, allow=False, source="learned", reference=reference)
        return of_app(policy, Trigger.ADDRESS, rule)
    return as_connection(verdict, Trigger.ADDRESS)


def of_app(policy: Policy, trigger: Trigger, rule: Rule) -> Verdict:
    """Return the verdict on a connection that gave an app away: refused, unless the app is only noted there.

    `rule` stands in no list, so that only a rollout of the whole app can hold it in shadow.
    """
    treatment, staged = policy.apps.get(rule.app), stage_of(policy, rule.app, rule.origin)
    monitored = treatment is not None and treatment.monitored
    if staged is None:
        return refused(trigger, rule, monitored=monitored)
    return refused(trigger, rule, monitored=monitored, shadow=staged.shadow, rollout=staged.rollout)


def refused(
    trigger: Trigger, rule: Rule, *, monitored: bool = False, shadow: bool = False, rollout: str = ""
) -> Verdict:
    """Return the verdict on a connection that was refused for `rule`, or only noted."""
    noted = monitored or shadow
    action = Action.PASSTHRU if noted else Action.REFUSED
    return Verdict(action, trigger, rule, monitored=noted, shadow=shadow, rollout=rollout)


def as_connection(verdict: Verdict, trigger: Trigger) -> Verdict:
    """Return what `verdict`, found by decide() for a name seen on the wire, means for the connection that named it."""
    action = verdict.action if verdict.action is Action.PASSTHRU else Action.REFUSED
    return replace(verdict, action=action, trigger=trigger)


def record(
    to: Recorder, flow: Flow, group: str, verdict: Verdict, basis: Basis, name: str = "", *, logged: bool = True
) -> None:
    """Count an attempt, and journal it if it is to be `logged`; `name` is the one that was seen on the wire, if any.

    Nothing where `verdict` is not about an attempt.
    """
    if not events.is_attempt(verdict):
        return
    outcome = to.outcome(_labels(flow, group, verdict), attempt=True)
    said = tail(flow, group, verdict, basis, name) if logged else b""
    to.record(outcome, flow.client, 0.0, said, ATTEMPT if logged else 0)


def tail(flow: Flow, group: str, verdict: Verdict, basis: Basis, name: str = "") -> bytes:
    """Return what a log line says of an attempt, as the inside of a JSON object; time and client come before it."""
    assert verdict.rule is not None
    return events.json_inside(dict(_said(flow, group, verdict, verdict.rule, name))) + basis.of(verdict.rule)


def _said(flow: Flow, group: str, verdict: Verdict, rule: Rule, name: str) -> Iterator[tuple[str, object]]:
    yield "group", group
    if name:
        yield "qname", name
    yield "destination", events.address_text(flow.destination)
    if flow.port:
        yield "port", flow.port
    yield "transport", flow.transport
    yield "outcome", events.BLOCKED if not verdict.monitored else events.UPSTREAM
    yield "app", rule.app
    yield "entry", rule.source
    yield "value", rule.value
    yield "trigger", str(verdict.trigger)
    yield "action", events.action_word(verdict)
    if verdict.rollout:
        yield "rollout", verdict.rollout
    if verdict.waiver is not None:
        yield "exception", verdict.waiver.id
        if verdict.waiver.ticket:
            yield "ticket", verdict.waiver.ticket
    if rule.reference:
        yield "reference", rule.reference


def _labels(flow: Flow, group: str, verdict: Verdict) -> Labels:
    assert verdict.rule is not None
    return Labels(
        transport=flow.transport,
        qtype="",
        rcode="none",
        ending=events.BLOCKED if not verdict.monitored else events.UPSTREAM,
        group=group,
        app=verdict.rule.app,
        action=str(verdict.action),
        trigger=str(verdict.trigger),
        monitored=events.noted_as(verdict),
        rollout=verdict.rollout,
    )
