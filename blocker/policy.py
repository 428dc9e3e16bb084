"""The only yes/no: may this name be asked, may this answer be told.

Pure. Knows rules, groups and an index to look names up in; must not know sockets, clocks, logs or
how an answer is written on the wire.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import Final, Protocol

from blocker import addresses, names
from blocker.names import Name
from blocker.rule import Action, Matcher, Rule, Scope, Trigger, Waiver
from blocker.waivers import Waivers

__all__ = [
    "PASSTHRU",
    "REBINDING",
    "SPECIAL",
    "UNGATED",
    "Action",
    "Facts",
    "Gate",
    "Index",
    "Listed",
    "Matcher",
    "Policy",
    "Rule",
    "Scope",
    "Servers",
    "Staged",
    "Treatment",
    "Trigger",
    "Verdict",
    "Waiver",
    "decide",
    "inspect",
    "inspect_address",
    "inspect_servers",
    "is_judged_by_servers",
    "stage_of",
    "weightier",
]  # fmt: skip


class Listed(Protocol):
    """Looks names and addresses up; immutable."""

    def find(self, name: Name) -> Iterable[tuple[Rule, ...]]:
        """Return the rules that match `name`: one tuple per listed name, the most specific first."""

    def find_address(self, address: bytes) -> tuple[Rule, ...]:
        """Return the rules whose range holds `address` (4 or 16 octets), the longest prefix first."""


class Index(Listed, Protocol):
    """The compiled lists, which also know of the name servers of zones."""

    def find_server(self, name: Name) -> Iterable[tuple[Rule, ...]]:
        """Return the rules about a name server of this `name`, as `find` does."""

    def find_server_address(self, address: bytes) -> tuple[Rule, ...]:
        """Return the rules about a name server at `address`, as `find_address` does."""

    @property
    def judges_servers(self) -> bool: ...
    @property
    def judges_server_addresses(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `decide` or `inspect` says; `action` PASSTHRU with a `rule` means allowed, or only monitored."""

    action: Action
    trigger: Trigger = Trigger.NONE
    rule: Rule | None = None
    via: str = ""  # the alias or address inside the answer that matched, as text
    monitored: bool = False  # would have been blocked, were the app enforced for this group
    shadow: bool = False  # monitored, and only because the entry is in shadow for this client
    rollout: str = ""  # the staged rollout that the entry is part of
    waiver: Waiver | None = None  # the exception but for which it would have been blocked; it is `monitored` then


PASSTHRU: Final = Verdict(Action.PASSTHRU)


@dataclass(frozen=True, slots=True)
class Treatment:
    """What one group does with one app."""

    action: Action
    monitored: bool = False  # answer truthfully, but say what would have happened
    waiver: Waiver | None = None  # monitored only because of this exception


class Gate(StrEnum):
    """Whether answers to a group's devices wait until the kernel lets the devices where they point."""

    OFF = "off"
    AUDIT = "audit"  # they wait, and go out whatever the kernel said
    ENFORCE = "enforce"  # without the kernel's word the client hears a failure: it could not connect anyway


UNGATED: Final = Gate.OFF  # a member of an Enum is a slow look-up on Python 3.11


@dataclass(frozen=True, slots=True)
class Staged:
    """How far a rollout has come for some clients."""

    rollout: str
    shadow: bool  # what it is about is not enforced for them yet


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one group of clients; made once per load, shared by all its clients."""

    group: str
    apps: Mapping[str, Treatment]  # apps that are not in it are not looked at for this group
    strip_ech: bool = True
    rebinding: bool = True  # refuse private addresses for public names
    private_zones: tuple[Name, ...] = ()  # may point at private addresses
    forwarded: tuple[Name, ...] = ()  # have upstreams of their own: special-use rules do not apply
    staged_apps: Mapping[str, Staged] = field(default_factory=dict)  # apps that are being rolled out
    staged_lists: Mapping[str, Staged] = field(default_factory=dict)  # feeds and files (Rule.origin) that are
    variant: str = ""  # tells the policies of one group apart, whose clients are in different stages or have exceptions
    waivers: Waivers | None = None  # exceptions for names; those for a whole app stand in `apps`
    gate: Gate = UNGATED
    quiet: bool = False  # nobody's attempts: counted, but not worth a log line (our own queries)
    client_rules: tuple[Rule, ...] = ()  # what lists say of these clients' own addresses, the longest prefix first


SPECIAL: Final = "special"  # the list of special-use names (RFC 6761, RFC 6303)
REBINDING: Final = Rule(
    app="rebinding",
    value="private addresses",
    scope=Scope.CIDR,
    allow=False,
    source="built-in",
    title="Rebinding protection",
    reason="a public name must not point at a private address",
)


_Pardon = tuple[str, bool, bool]  # what is shielded: the app, in feeds only, in shadow


class Facts(Protocol):
    """What `inspect` must know of an upstream's response."""

    @property
    def aliases(self) -> Sequence[Name]: ...
    @property
    def addresses(self) -> Sequence[bytes]: ...


class Servers(Protocol):
    """What `inspect_servers` must know of the name servers of the zones that a response came from."""

    @property
    def names(self) -> Sequence[Name]: ...
    @property
    def addresses(self) -> Sequence[bytes]: ...


def decide(policy: Policy, index: Index, qname: Name, udp: bool = False) -> Verdict:
    """Say whether `qname` may be asked; `udp`: asked over UDP, the only place where TCP_ONLY is an answer.

    Precedence, here and nowhere else: what is listed of the client itself goes first, the longest prefix before
    others, then the most specific listed name wins; at the same name an exception (allow) beats a block, and an
    enforced app beats a monitored one; no match means PASSTHRU. A monitored match, block or exception, never
    shields a name from what is enforced, and an exception in a feed, for a client or a name, shields it only from
    feeds of the same app: no stranger lifts a ban. TCP_ONLY is such an exception over TCP; over UDP too, and is
    the verdict if nothing else blocks.

    An entry is in shadow when its list says so or a rollout has not reached this client; it is weaker than a
    monitored one. What is in shadow changes no verdict but the one that would note nothing: a block in shadow
    is noted if nothing enforced or monitored matches, an exception in shadow reaches its app's entries in shadow.
    An exception that people approved (Waiver) stands above all that for what it names, and for nothing else:
    blocks that it lifts count as monitored, so that less specific blocks by what it does not name still hold, and
    each use of it is noted. It never takes an exception of a list away, so it never blocks more.
    """
    found = index.find(qname)
    if policy.client_rules:
        found = (*((rule,) for rule in policy.client_rules), *found)
    return _judge(policy, found, qname, Trigger.QNAME, "", qname, udp, set()) if found else PASSTHRU


def inspect(policy: Policy, index: Index, qname: Name, facts: Facts, udp: bool = False) -> Verdict:
    """Say whether a response to `qname` may be told: every alias and every address in it must pass.

    Aliases go through the rules of `decide`, except that a rule at or above a shared CDN parent does not
    reach them: it would block whoever rents there. Addresses go by longest prefix, then against rebinding.
    What a feed excepts, the client or the question, it excepts from its own rules for the answer too: RPZ's PASSTHRU.

    What a Waiver lifts from the question it lifts from its answer too, aliases and addresses: a name that may be
    asked but not be told would be no exception. The other way round, an alias that a Waiver names passes, but not
    what lies behind it. Nothing lifts rebinding.
    """
    noted = PASSTHRU
    for alias in facts.aliases:
        if found := index.find(alias):
            spared = _spared(policy, index, qname)
            verdict = _judge(policy, found, alias, Trigger.ALIAS, names.to_text(alias), qname, udp, spared)
            if ends(verdict):
                return verdict
            noted = weightier(noted, verdict)
    for address in facts.addresses:
        verdict = inspect_address(policy, index, address, qname, udp)
        if verdict is not PASSTHRU:
            if ends(verdict):
                return verdict
            noted = weightier(noted, verdict)
        if policy.rebinding and addresses.is_private(address) and not _within(qname, policy.private_zones):
            return Verdict(Action.NODATA, Trigger.RESPONSE_IP, REBINDING, str(ip_address(address)))
    return noted


def inspect_address(
    policy: Policy,
    index: Listed,
    address: bytes,
    qname: Name = names.ROOT,
    udp: bool = False,
) -> Verdict:
    """Say whether an answer to `qname` may hold `address` (4 or 16 octets), by the apps' exclusive ranges."""
    found = index.find_address(addresses.inner(address))
    if not found:
        return PASSTHRU
    ranges = ((rule,) for rule in found)
    spared = _spared(policy, index, qname)
    return _judge(policy, ranges, names.ROOT, Trigger.RESPONSE_IP, str(ip_address(address)), qname, udp, spared)


def is_judged_by_servers(policy: Policy, index: Index, name: Name) -> bool:
    """Tell whether the name servers of `name` matter: there are rules about such, and its zone is nobody's own."""
    return index.judges_servers and not _within(name, policy.forwarded)


def inspect_servers(
    policy: Policy, index: Index, qname: Name, facts: Facts, servers: Servers, udp: bool = False
) -> Verdict:
    """Say whether a response to `qname`, which has passed `inspect`, may be told as it came from zones of `servers`.

    RPZ's last triggers: what a feed says of the client, the question or the addresses in the answer goes first. Every
    server must pass; one that a feed excepts lifts nothing from another.
    """
    found: list[tuple[Iterable[tuple[Rule, ...]], Trigger, str]] = []
    found += [
        (held, Trigger.NSDNAME, names.to_text(name)) for name in servers.names if (held := index.find_server(name))
    ]
    found += [
        ([(rule,) for rule in at], Trigger.NSIP, str(ip_address(address)))
        for address in servers.addresses
        if (at := index.find_server_address(address))
    ]
    noted = PASSTHRU
    for rules, trigger, via in found:
        spared = _spared(policy, index, qname) | _spared_by_addresses(policy, index, facts.addresses)
        verdict = _judge(policy, rules, names.ROOT, trigger, via, qname, udp, spared)
        if ends(verdict):
            return verdict
        noted = weightier(noted, verdict)
    return noted


def weightier(first: Verdict, then: Verdict) -> Verdict:
    """Return which of two verdicts is to be told or noted.

    A block goes before TCP_ONLY, that before all that let something pass, the use of an exception before a monitored
    match, that before one in shadow, any before none; of two alike the first stays.
    """
    return then if _weight(then) > _weight(first) else first


def _weight(verdict: Verdict) -> int:
    if verdict.action is not Action.PASSTHRU:
        return 5 if ends(verdict) else 4
    if not verdict.monitored:
        return 0
    return 3 if verdict.waiver is not None else 1 if verdict.shadow else 2


def ends(verdict: Verdict) -> bool:
    """Tell whether no further look could make `verdict` stricter."""
    return verdict.action is not Action.PASSTHRU and verdict.action is not Action.TCP_ONLY


def _judge(
    policy: Policy,
    found: Iterable[tuple[Rule, ...]],
    name: Name,
    trigger: Trigger,
    via: str,
    qname: Name,
    udp: bool,
    spared: set[_Pardon],
) -> Verdict:
    """Weigh the rules that were `found` for `name`; `spared` is what exceptions elsewhere shield from."""
    waivers = policy.waivers.covering(name, qname) if policy.waivers is not None else []
    noted = PASSTHRU  # the weightiest of what does not end the matter
    for rules in found:
        for rule in sorted(rules, key=_exceptions_first):
            treatment = policy.apps.get(rule.app)
            if treatment is None or (rule.guarded and trigger is Trigger.ALIAS):
                continue
            staged = stage_of(policy, rule.app, rule.origin)
            shadow = _is_shadow(rule, staged)
            if (rule.app, rule.feed, shadow) in spared or (rule.app == SPECIAL and _within(name, policy.forwarded)):
                continue
            matched = trigger if rule.trigger is None else rule.trigger
            if rule.allow:
                if not (shadow or (treatment.monitored and treatment.waiver is None) or rule.feed):
                    return noted if noted.rule else Verdict(Action.PASSTHRU, matched, rule, via)
                spared |= _pardons(rule, shadow=shadow)
                continue
            action = rule.answer or treatment.action
            if action is Action.TCP_ONLY:
                spared |= _pardons(rule, shadow=shadow)
                if not udp:
                    continue
            rollout = staged.rollout if staged is not None else ""
            waiver = treatment.waiver if treatment.monitored or shadow else _lifting(waivers, rule)
            if shadow or treatment.monitored or waiver is not None:
                verdict = Verdict(
                    Action.PASSTHRU, matched, rule, via, monitored=True, shadow=shadow, rollout=rollout,
                    waiver=None if shadow else waiver,
                )  # fmt: skip
            else:
                verdict = Verdict(action, matched, rule, via, rollout=rollout)
                if ends(verdict):
                    return verdict
            noted = weightier(noted, verdict)
    return noted


def _spared(policy: Policy, index: Listed, qname: Name) -> set[_Pardon]:
    """Return what exceptions in feeds, for the client and for the question, shield its answer from."""
    return _pardoned(policy, (policy.client_rules, *index.find(qname)))


def _spared_by_addresses(policy: Policy, index: Listed, told: Sequence[bytes]) -> set[_Pardon]:
    """Return what exceptions in feeds for all of the addresses of an answer shield it from."""
    each = [_pardoned(policy, (index.find_address(addresses.inner(address)),)) for address in told]
    return each[0].intersection(*each[1:]) if each else set()


def _pardoned(policy: Policy, found: Iterable[tuple[Rule, ...]]) -> set[_Pardon]:
    return {
        pardon
        for rules in found
        for rule in rules
        if rule.feed and rule.app in policy.apps and (rule.allow or rule.answer is Action.TCP_ONLY)
        for pardon in _pardons(rule, shadow=_is_shadow(rule, stage_of(policy, rule.app, rule.origin)))
    }


def _is_shadow(rule: Rule, staged: Staged | None) -> bool:
    return rule.shadow or (staged is not None and staged.shadow)


def stage_of(policy: Policy, app: str, origin: str) -> Staged | None:
    """Return the rollout that an entry is part of for these clients; of two the one that keeps it in shadow."""
    of_list = policy.staged_lists.get(origin)
    of_app = policy.staged_apps.get(app)
    if of_list is None or (of_app is not None and of_app.shadow and not of_list.shadow):
        return of_app
    return of_list


def _pardons(rule: Rule, *, shadow: bool) -> set[_Pardon]:
    """Return what an exception that shields from nothing enforced shields from.

    A feed's reaches feeds alone, one in shadow only what is in shadow too.
    """
    return {
        (rule.app, feed, still)
        for feed in ((True,) if rule.feed else (True, False))
        for still in ((True,) if shadow else (True, False))
    }


def _lifting(waivers: Sequence[Waiver], rule: Rule) -> Waiver | None:
    """Return the first of the exceptions that cover a name which lifts a block by `rule`."""
    return next((each for each in waivers if each.lifts(rule)), None)


def _exceptions_first(rule: Rule) -> bool:
    return not (rule.allow or rule.answer is Action.TCP_ONLY)


def _within(name: Name, zones: tuple[Name, ...]) -> bool:
    return any(names.is_below(name, zone) for zone in zones)
