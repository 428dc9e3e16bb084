"""The only yes/no: may this name be asked, may this answer be told.

Pure. Knows rules, groups and an index to look names up in; must not know sockets, clocks, logs or
how an answer is written on the wire.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Final, Protocol

from blocker import names
from blocker.names import Name


class Action(StrEnum):
    """What happens to a query or an answer; RPZ's words, with SINKHOLE for Local-Data."""

    PASSTHRU = "passthru"
    SINKHOLE = "sinkhole"
    NXDOMAIN = "nxdomain"
    NODATA = "nodata"
    REFUSED = "refused"
    DROP = "drop"
    LOOPBACK = "loopback"  # localhost answers 127.0.0.1 and ::1 (RFC 6761 §6.3)


class Trigger(StrEnum):
    """What matched."""

    NONE = "none"
    QNAME = "qname"  # the name that was asked
    ALIAS = "alias"  # a CNAME, DNAME or SVCB/HTTPS target inside the answer
    RESPONSE_IP = "response-ip"  # an address or an address hint inside the answer
    SNI = "sni"  # the server name in a TLS ClientHello
    QUIC_SNI = "quic-sni"  # the server name in a QUIC Initial
    HTTP_HOST = "http-host"  # the Host of a plain HTTP request
    MMTLS = "mmtls"  # a record or request of WeChat's own protocol
    ADDRESS = "address"  # the destination of a packet
    FOREIGN_DNS = "foreign-dns"  # a question to a resolver that is not ours
    UNRESOLVED = "unresolved"  # a connection to an address that our DNS did not tell that client


class Scope(StrEnum):
    """Which names a rule covers."""

    SUFFIX = "suffix"  # the name and everything below it
    BELOW = "below"  # everything below the name, not itself (RPZ's *.name)
    EXACT = "exact"  # the name alone
    PATTERN = "pattern"  # names that fit a bounded pattern (lists/pattern.py)
    CIDR = "cidr"  # addresses


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of one list, as the index gives it back."""

    app: str
    value: str  # as written in the list
    scope: Scope
    allow: bool  # an exception
    source: str  # file:line, so that a block can be traced to the line that caused it
    reference: str = ""  # id of the legal decision it rests on
    reason: str = ""  # one sentence for the blocked client
    title: str = ""  # the app's name for people
    answer: Action | None = None  # overrides the group's action (canaries)
    guarded: bool = False  # lies at or above a shared CDN parent: never applied to aliases
    quiet: bool = False  # house-keeping (special names): counted, but not an attempt worth a log line
    feed: bool = False  # from somebody else's list: as an exception it reaches that app's names of feeds only
    shadow: bool = False  # its list only tries it out: noted as what it would have done, never enforced
    origin: str = ""  # the feed's name, else the file's without its folder: what a rollout may be about


class Matcher(Protocol):
    """A pattern of names (lists/pattern.py)."""

    def matches(self, name: Name) -> bool:
        """Tell whether `name` fits."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """An exception that people have approved (docs/exceptions.md), as long as it is in force.

    It lifts blocks from names, from an app, or where both are said from an app's blocks of those names. Not to be
    confused with an exception in a list (`Rule.allow`), which has no end and nobody's approval.
    """

    id: str
    ticket: str = ""
    scope: Scope | None = None  # SUFFIX, EXACT or PATTERN; None: whatever the app blocks
    name: Name = b""
    pattern: Matcher | None = None
    app: str = ""  # empty: all apps, but not what is only house-keeping (`Rule.quiet`): that must be named

    def covers(self, name: Name) -> bool:
        """Tell whether `name` is one of its names."""
        if self.scope is Scope.SUFFIX:
            return names.is_below(name, self.name)
        if self.scope is Scope.EXACT:
            return name == self.name
        return self.pattern is not None and self.pattern.matches(name)

    def lifts(self, rule: Rule) -> bool:
        """Tell whether it lifts a block by `rule`, if the name is one of its own."""
        return rule.app == self.app if self.app else not rule.quiet


class Index(Protocol):
    """Looks names and addresses up in the compiled lists; immutable."""

    def find(self, name: Name) -> Iterable[tuple[Rule, ...]]:
        """Return the rules that match `name`: one tuple per listed name, the most specific first."""

    def find_address(self, address: bytes) -> tuple[Rule, ...]:
        """Return the rules whose range holds `address` (4 or 16 octets), the longest prefix first."""


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
    waivers: tuple[Waiver, ...] = ()  # exceptions for names; those for a whole app stand in `apps`
    gate: Gate = UNGATED
    quiet: bool = False  # nobody's attempts: counted, but not worth a log line (our own queries)


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


class Facts(Protocol):
    """What `inspect` must know of an upstream's response."""

    @property
    def aliases(self) -> Sequence[Name]: ...
    @property
    def addresses(self) -> Sequence[bytes]: ...


def decide(policy: Policy, index: Index, qname: Name) -> Verdict:
    """Say whether `qname` may be asked.

    Precedence, here and nowhere else: the most specific listed name wins; at the same name an exception
    (allow) beats a block, and an enforced app beats a monitored one; no match means PASSTHRU. A monitored
    match, block or exception, never shields a name from what is enforced, and an exception in a feed shields
    it only from feeds of the same app: no stranger lifts a ban.

    An entry is in shadow when its list says so or a rollout has not reached this client; it is weaker than a
    monitored one. What is in shadow changes no verdict but the one that would note nothing: a block in shadow
    is noted if nothing enforced or monitored matches, an exception in shadow reaches its app's entries in shadow.
    An exception that people approved (Waiver) stands above all that for what it names, and for nothing else:
    blocks that it lifts count as monitored, so that less specific blocks by what it does not name still hold, and
    each use of it is noted. It never takes an exception of a list away, so it never blocks more.
    """
    found = index.find(qname)
    return _judge(policy, found, qname, Trigger.QNAME, "", qname) if found else PASSTHRU


def inspect(policy: Policy, index: Index, qname: Name, facts: Facts) -> Verdict:
    """Say whether a response to `qname` may be told: every alias and every address in it must pass.

    Aliases go through the rules of `decide`, except that a rule at or above a shared CDN parent does not
    reach them: it would block whoever rents there. Addresses go by longest prefix, then against rebinding.

    What a Waiver lifts from the question it lifts from its answer too, aliases and addresses: a name that may be
    asked but not be told would be no exception. The other way round, an alias that a Waiver names passes, but not
    what lies behind it. Nothing lifts rebinding.
    """
    noted = PASSTHRU
    for alias in facts.aliases:
        if found := index.find(alias):
            verdict = _judge(policy, found, alias, Trigger.ALIAS, names.to_text(alias), qname)
            if verdict.action is not Action.PASSTHRU:
                return verdict
            noted = weightier(noted, verdict)
    for address in facts.addresses:
        verdict = inspect_address(policy, index, address, qname)
        if verdict is not PASSTHRU:
            if verdict.action is not Action.PASSTHRU:
                return verdict
            noted = weightier(noted, verdict)
        if policy.rebinding and is_private(address) and not _within(qname, policy.private_zones):
            return Verdict(Action.NODATA, Trigger.RESPONSE_IP, REBINDING, str(ip_address(address)))
    return noted


def inspect_address(policy: Policy, index: Index, address: bytes, qname: Name = names.ROOT) -> Verdict:
    """Say whether an answer to `qname` may hold `address` (4 or 16 octets), by the apps' exclusive ranges."""
    found = index.find_address(_inner(address))
    if not found:
        return PASSTHRU
    ranges = ((rule,) for rule in found)
    return _judge(policy, ranges, names.ROOT, Trigger.RESPONSE_IP, str(ip_address(address)), qname)


def weightier(first: Verdict, then: Verdict) -> Verdict:
    """Return which of two verdicts that let something pass is to be noted.

    The use of an exception goes before a monitored match, that before one in shadow, any before none; of two alike
    the first stays.
    """
    return then if _weight(then) > _weight(first) else first


def _weight(verdict: Verdict) -> int:
    if not verdict.monitored:
        return 0
    return 3 if verdict.waiver is not None else 1 if verdict.shadow else 2


def _judge(
    policy: Policy, found: Iterable[tuple[Rule, ...]], name: Name, trigger: Trigger, via: str, qname: Name
) -> Verdict:
    waivers = [each for each in policy.waivers if each.covers(name) or each.covers(qname)] if policy.waivers else []
    noted = PASSTHRU
    pardoned: set[tuple[str, bool, bool]] = set()  # see _pardons
    for rules in found:
        chosen: Verdict | None = None
        for rule in sorted(rules, key=_exceptions_first):
            treatment = policy.apps.get(rule.app)
            if treatment is None or (rule.guarded and trigger is Trigger.ALIAS):
                continue
            staged = stage_of(policy, rule.app, rule.origin)
            shadow = rule.shadow or (staged is not None and staged.shadow)
            if (rule.app, rule.feed, shadow) in pardoned or (rule.app == SPECIAL and _within(name, policy.forwarded)):
                continue
            if rule.allow:
                if not (shadow or (treatment.monitored and treatment.waiver is None) or rule.feed):
                    return noted if noted.rule else Verdict(Action.PASSTHRU, trigger, rule, via)
                pardoned |= _pardons(rule, shadow=shadow)
                continue
            rollout = staged.rollout if staged is not None else ""
            waiver = treatment.waiver if treatment.monitored or shadow else _lifting(waivers, rule)
            if not (shadow or treatment.monitored or waiver is not None):
                chosen = Verdict(rule.answer or treatment.action, trigger, rule, via, rollout=rollout)
                break
            would = Verdict(
                Action.PASSTHRU, trigger, rule, via, monitored=True, shadow=shadow, rollout=rollout,
                waiver=None if shadow else waiver,
            )  # fmt: skip
            chosen = would if chosen is None else weightier(chosen, would)
        if chosen is None:
            continue
        if chosen.action is not Action.PASSTHRU:
            return chosen
        noted = weightier(noted, chosen)
    return noted


def stage_of(policy: Policy, app: str, origin: str) -> Staged | None:
    """Return the rollout that an entry is part of for these clients; of two the one that keeps it in shadow."""
    of_list = policy.staged_lists.get(origin)
    of_app = policy.staged_apps.get(app)
    if of_list is None or (of_app is not None and of_app.shadow and not of_list.shadow):
        return of_app
    return of_list


def _pardons(rule: Rule, *, shadow: bool) -> set[tuple[str, bool, bool]]:
    """Return what an exception that shields from nothing enforced shields from: app, of feeds, in shadow.

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
    return not rule.allow


def _within(name: Name, zones: tuple[Name, ...]) -> bool:
    return any(names.is_below(name, zone) for zone in zones)


_NAT64: Final = bytes.fromhex("0064ff9b0000000000000000")  # RFC 6052 §2.1
_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291 §2.5.5.2
_6TO4: Final = b"\x20\x02"  # RFC 3056 §2
_PRIVATE: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network (RFC 1122 §3.2.1.3)
        "10.0.0.0/8",  # private use (RFC 1918)
        "100.64.0.0/10",  # shared by carriers (RFC 6598)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local (RFC 3927)
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "::/96",  # unspecified, loopback, IPv4-compatible (RFC 4291 §2.5)
        "::ffff:0:0/96",  # IPv4-mapped: reaches whatever IPv4 reaches
        "fc00::/7",  # unique local (RFC 4193)
        "fe80::/9",  # link local, and site local as it was (RFC 3879)
    )
)
_PRIVATE_V4: Final = sorted(
    (net.network_address.packed, net.broadcast_address.packed) for net in _PRIVATE if net.version == 4
)
_PRIVATE_V6: Final = sorted(
    (net.network_address.packed, net.broadcast_address.packed) for net in _PRIVATE if net.version == 6
)
_STARTS_V4: Final = [low for low, _ in _PRIVATE_V4]
_STARTS_V6: Final = [low for low, _ in _PRIVATE_V6]


def _inner(address: bytes) -> bytes:
    """Return the IPv4 address inside a translated or tunnelled one, which is where its packets go; else `address`."""
    if len(address) == 4:
        return address
    if address.startswith((_NAT64, _MAPPED)):
        return address[12:]
    return address[2:6] if address.startswith(_6TO4) else address


def is_private(address: bytes) -> bool:
    """Tell whether `address` (4 or 16 octets) belongs to a network that no public name should point at."""
    if not address.startswith(_MAPPED):  # those are never a public host's, whatever is inside
        address = _inner(address)
    if len(address) == 4:
        return address <= _PRIVATE_V4[bisect_right(_STARTS_V4, address) - 1][1]
    return address <= _PRIVATE_V6[bisect_right(_STARTS_V6, address) - 1][1]
