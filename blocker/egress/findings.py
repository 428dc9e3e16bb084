"""Says what a connection that was seen on the wire means for the device that made it. Pure.

    Hello, Request -> decide() on its name          sni, quic-sni, http-host
    Query          -> decide(), else bypass         foreign-dns
    Record         -> the app whose protocol it is  mmtls
    Opened         -> the apps' addresses, port 853, never told: address, foreign-dns, unresolved

Names and addresses go through the policy of the DNS half; here is only what DNS has no word for.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from blocker import events
from blocker.addresses import is_private
from blocker.egress import attempt
from blocker.egress.flows import DNS, DOT, Sight
from blocker.egress.hello import mmtls
from blocker.egress.hello.seen import Hello, Record, Request
from blocker.names import Name
from blocker.policy import PASSTHRU, Action, Index, Policy, Rule, Scope, Trigger, Verdict, decide
from blocker.wire.query import Query

MMTLS: Final = Rule(
    app="wechat",
    value="mmtls",
    scope=Scope.CIDR,
    allow=False,
    source="built-in",
    title="WeChat (Weixin)",
    reason="the connection speaks mmtls, WeChat's own protocol",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What findings depend on, besides the policy of a device."""

    index: Index
    resolvers: Collection[bytes]  # addresses, 4 or 16 octets, that devices may ask
    told: Callable[[bytes, bytes], bool] | None = None  # was this device told this address? None: nobody knows
    kernel: bool = False  # rules in the kernel judge connections before they say anything: only what they say is left
    references: Mapping[str, str] = field(default_factory=dict)  # app: the decision that it is banned by


def judge(policy: Policy, setting: Setting, sight: Sight) -> tuple[Verdict, Name | None]:
    """Return the verdict on a connection, and the name that it gave itself away by.

    PASSTHRU without a rule: nothing is wrong with it.
    """
    what = sight.what
    if sight.flow.destination in setting.resolvers:
        return PASSTHRU, None  # what is asked there is decided there, over whatever
    if isinstance(what, Hello):
        trigger = Trigger.SNI if sight.flow.transport == "tcp" else Trigger.QUIC_SNI
        return _named_first(policy, setting, what.name, what.more, trigger)
    if isinstance(what, Request):
        if mmtls.is_carried_by(what) and (verdict := _built_in(policy, setting, MMTLS, Trigger.MMTLS)).rule is not None:
            return verdict, what.host
        return _named_first(policy, setting, what.host, what.more, Trigger.HTTP_HOST)
    if isinstance(what, Record):
        return _built_in(policy, setting, MMTLS, Trigger.MMTLS), None
    if isinstance(what, Query):
        return _asked(policy, setting, what), what.qname
    return _opened(policy, setting, sight), None


def noted(verdict: Verdict) -> Verdict:
    """Return `verdict` for one who only looks: it would have been refused, in whatever rollout."""
    if verdict.action is Action.PASSTHRU:
        return verdict
    return replace(verdict, action=Action.PASSTHRU, monitored=True)


def _named_first(
    policy: Policy, setting: Setting, name: Name | None, more: Iterable[Name], trigger: Trigger
) -> tuple[Verdict, Name | None]:
    """Return the verdict on `name`, or on the first of `more` that there is something to say about; and that name."""
    verdict = _named(policy, setting, name, trigger)
    for other in more:
        if events.is_attempt(verdict):
            break
        verdict, name = _named(policy, setting, other, trigger), other
    return verdict, name


def _named(policy: Policy, setting: Setting, name: Name | None, trigger: Trigger) -> Verdict:
    if name is None:
        return PASSTHRU
    verdict = decide(policy, setting.index, name)
    # A house-keeping name (`localhost`, a router's) is nobody's attempt.
    return attempt.as_connection(verdict, trigger) if events.is_attempt(verdict) else PASSTHRU


def _asked(policy: Policy, setting: Setting, query: Query) -> Verdict:
    if setting.kernel:
        return PASSTHRU
    verdict = _named(policy, setting, query.qname, Trigger.FOREIGN_DNS)
    return verdict if verdict.rule is not None else _built_in(policy, setting, attempt.FOREIGN_DNS, Trigger.FOREIGN_DNS)


def _opened(policy: Policy, setting: Setting, sight: Sight) -> Verdict:
    client, destination, port, _ = sight.flow
    if setting.kernel:
        return PASSTHRU
    verdict = attempt.to_address(policy, setting.index, destination)
    if events.is_attempt(verdict):
        return verdict
    if port in DOT:
        return _built_in(policy, setting, attempt.FOREIGN_DNS, Trigger.FOREIGN_DNS)
    if setting.told is None or port == DNS or is_private(destination) or setting.told(client, destination):
        return PASSTHRU
    return attempt.refused(Trigger.UNRESOLVED, attempt.UNRESOLVED, monitored=True)  # to refuse is the gate's


def _built_in(policy: Policy, setting: Setting, rule: Rule, trigger: Trigger) -> Verdict:
    """Return the verdict on what no list holds but an app does, as the device's group treats that app."""
    if rule.app not in policy.apps:
        return PASSTHRU
    return attempt.of_app(policy, trigger, replace(rule, reference=setting.references.get(rule.app, "")))
