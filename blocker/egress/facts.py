"""What the rules are made of: whose addresses are whose, for which devices, by the verdicts of the one policy.

Pure. Asks policy.inspect_address about every stretch of addresses that the lists know; must not know how rules are
written. Neighbouring stretches are joined, since each costs the kernel memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, NamedTuple

from blocker.addresses import dressed
from blocker.clients import CANARY, Clients
from blocker.config import UNLISTED, Config, EgressGroup, governed
from blocker.lists.index import Index
from blocker.lists.ranges import flatten
from blocker.names import Name
from blocker.policy import SPECIAL, Action, Policy, Rule, Treatment, Verdict, inspect_address

Interval = tuple[bytes, bytes]  # the first and the last address, 4 or 16 octets
Intervals = Mapping[int, Sequence[Interval]]  # by IP version
BYPASS: Final = "bypass"  # the app of ways around the resolver

_SIZES: Final = {4: 4, 6: 16}  # IP version: octets
_ANY: Final = bytes(4)  # an address, for a verdict that depends on entries alone
_NOBODY: Final = frozenset({SPECIAL, CANARY})  # lists of names that no app has
_RESOLVERS: Final = frozenset({"doh", "dot", "doq"})  # roles of ranges where resolvers answer and nobody else


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One group's devices, and what becomes of their packets."""

    name: str
    devices: Intervals  # of no other group
    enforced: tuple[str, ...]  # apps
    noted: tuple[str, ...]  # apps that are only monitored
    passing: Intervals  # addresses of enforced or monitored apps that an exception opens
    only_noted: Intervals  # addresses of enforced apps that are only noted all the same
    hygienic: bool  # other resolvers are refused, not only noted
    handling: EgressGroup = field(default_factory=EgressGroup)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the rules depend on beside the egress section itself."""

    groups: tuple[GroupFacts, ...]
    apps: Mapping[str, Intervals]  # exclusive addresses, of apps that any group looks at
    doh: Intervals  # known resolvers of others


def gather(config: Config, clients: Clients, index: Index) -> Facts:
    """Return the facts of `config`, of the policies of its devices and of the lists in `index`."""
    policies = _labelled(clients)
    stretches = _owned(policies.values(), index)
    devices = _devices(config, clients, policies)
    groups = tuple(
        _group(name, devices[name], policies[name], config.egress.group(policies[name].group), stretches)
        for name in sorted(devices)
    )
    looked_at = {app for group in groups for app in (*group.enforced, *group.noted)}
    known = ((entry.rule.value, entry.role) for entry in index.shared() if entry.rule.app == BYPASS)
    resolvers = [_interval(ip_network(value)) for value, role in known if role in _RESOLVERS]
    apps = {app: _worn(each.interval for each in stretches if app in each.owners) for app in sorted(looked_at)}
    return Facts(groups, apps, _worn(resolvers))


class _Stretch(NamedTuple):
    """Neighbouring addresses that the same entries hold."""

    interval: Interval
    held: "_Held"
    owners: frozenset[str]  # apps whose alone they are: a group which bans just that app would be refused there


class _Held:
    """Entries that hold an address, as an index that knows nothing else.

    Made once for all stretches whose entries differ in nothing that a verdict depends on: lists have tens of thousands
    of ranges, and few kinds of them.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._verdicts: dict[int, tuple[Policy, Verdict]] = {}  # by identity, which the policy beside it keeps alive

    def find(self, _name: Name) -> tuple[tuple[Rule, ...], ...]:
        return ()

    def find_address(self, _address: bytes) -> tuple[Rule, ...]:
        return self.rules

    def verdict(self, policy: Policy) -> Verdict:
        """Return what `policy` says of an address that these hold."""
        if id(policy) not in self._verdicts:
            self._verdicts[id(policy)] = policy, inspect_address(policy, self, _ANY)
        return self._verdicts[id(policy)][1]


def _owned(policies: Iterable[Policy], index: Index) -> list[_Stretch]:
    """Return the stretches that are any app's alone, of the apps that `policies` speak of."""
    alone = {app: Policy("", {app: Treatment(Action.SINKHOLE)}) for policy in policies for app in policy.apps}
    kinds: dict[tuple[Rule, ...], tuple[_Held, frozenset[str]]] = {}
    found = []
    for size in _SIZES.values():
        for first, last in index.stretches(size):
            rules = index.find_address(first)
            kind = tuple(replace(rule, value="", source="") for rule in rules)
            if kind not in kinds:
                held = _Held(rules)
                apps = {rule.app for rule in rules if not rule.allow and rule.app in alone}
                owners = {app for app in apps if held.verdict(alone[app]).action is not Action.PASSTHRU}
                kinds[kind] = held, frozenset(owners)
            held, owning = kinds[kind]
            if owning:
                found.append(_Stretch((first, last), held, owning))
    return found


def _group(
    name: str,
    devices: Intervals,
    policy: Policy,
    handling: EgressGroup,
    stretches: Iterable[_Stretch],
) -> GroupFacts:
    looked_at = {app for app in policy.apps if app not in _NOBODY}
    enforced = tuple(sorted(app for app in looked_at if not _is_noted(policy, app)))
    passing, only_noted = [], []
    for interval, held, owners in stretches:
        if not owners & looked_at:
            continue
        verdict = held.verdict(policy)
        if verdict.action is Action.PASSTHRU and not verdict.monitored:
            passing.append(interval)
        elif verdict.action is Action.PASSTHRU and owners & set(enforced):
            only_noted.append(interval)
    return GroupFacts(
        name,
        devices,
        enforced,
        tuple(sorted(looked_at - set(enforced))),
        _worn(passing),
        _worn(only_noted),
        BYPASS in enforced if BYPASS in looked_at else bool(enforced),
        handling,
    )


def _is_noted(policy: Policy, app: str) -> bool:
    """Tell whether `app` is only noted for these clients: monitored, or a rollout of all of it has not reached them."""
    treatment, staged = policy.apps.get(app), policy.staged_apps.get(app)
    return treatment is None or treatment.monitored or (staged is not None and staged.shadow)


def _labelled(clients: Clients) -> dict[str, Policy]:
    """Return the policies that devices have, by the group's name; those for which an exception holds get a number."""
    distinct: dict[tuple[str, str], Policy] = {
        (each.group, each.variant): each for each in (clients.unlisted, *clients.members.values())
    }
    found: dict[str, Policy] = {}
    for (group, _), policy in sorted(distinct.items()):
        number = sum(other.group == group for other in found.values())
        found[f"{group}.{number}" if number else group] = policy
    return found


def _devices(config: Config, clients: Clients, policies: Mapping[str, Policy]) -> dict[str, Intervals]:
    """Return the devices of each policy that has any: the longest prefix wins, as in clients.Clients."""
    if config.egress.mode == "node":
        return {UNLISTED: _sorted(())}
    labels = list(policies)
    number_of = {(policy.group, policy.variant): number for number, policy in enumerate(policies.values())}
    owned = [(network, number_of[policy.group, policy.variant]) for network, policy in clients.members.items()]
    wanted = governed(config.egress, tuple(network for group in config.groups for network in group.clients))
    found: dict[str, list[Interval]] = {}
    for size in _SIZES.values():
        for first, last, owners in _stretches(owned, wanted, size):
            found.setdefault(labels[owners[0]] if owners else UNLISTED, []).append((first, last))
    return {name: _sorted(intervals) for name, intervals in found.items()}


def _stretches(
    owned: Sequence[tuple[IPv4Network | IPv6Network, int]], wanted: Iterable[IPv4Network | IPv6Network], size: int
) -> Iterator[tuple[bytes, bytes, list[int]]]:
    """Yield the stretches of `wanted` networks with their owners, the one with the longest prefix first."""
    marked = [(network, -1) for network in wanted]
    flat = flatten([*owned, *marked], size)
    for at, (first, held) in enumerate(flat):
        if -1 in held:
            last = int.from_bytes(flat[at + 1][0]) - 1 if at + 1 < len(flat) else (1 << size * 8) - 1
            yield first, last.to_bytes(size), [each for each in held if each != -1]


def of_networks(networks: Iterable[IPv4Network | IPv6Network]) -> Intervals:
    """Return the addresses of `networks`."""
    return _sorted(map(_interval, networks))


def _interval(network: IPv4Network | IPv6Network) -> Interval:
    return network.network_address.packed, network.broadcast_address.packed


def _worn(intervals: Iterable[Interval]) -> Intervals:
    """Return `intervals`, those of IPv4 also in the dress in which IPv6 packets go there."""
    said = list(intervals)
    return _sorted([*said, *(each for interval in said if len(interval[0]) == 4 for each in dressed(*interval))])


def _sorted(intervals: Iterable[Interval]) -> Intervals:
    """Return `intervals` by IP version, in order, those that touch joined."""
    found: dict[int, list[Interval]] = {version: [] for version in _SIZES}
    for first, last in sorted(intervals):
        some = found[4 if len(first) == 4 else 6]
        if some and int.from_bytes(first) <= int.from_bytes(some[-1][1]) + 1:
            some[-1] = some[-1][0], max(some[-1][1], last)
        else:
            some.append((first, last))
    return found
