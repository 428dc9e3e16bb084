"""Whose query is it? Maps a client's address to the Policy of its group at a moment, the longest prefix first.

Pure. A client in no group gets the strictest policy: every app, enforced. What changes with time, schedules and
exceptions, is settled here, once for each moment at which it does; nothing that a query passes knows a clock.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Protocol

from blocker import names, schedule
from blocker.config import SELFTEST, UNLISTED, Config, Group
from blocker.config import Treatment as Answering
from blocker.exceptions.entry import Grant
from blocker.policy import SPECIAL, Gate, Policy, Rule, Treatment, Waiver
from blocker.rollout.stages import Stages
from blocker.waivers import Waivers

CANARY = "canary"  # the list of names that ask devices not to go around the resolver
_Network = IPv4Network | IPv6Network
_REMEMBERED: Final = 4096  # policies of clients that lists speak of; full: forgotten all at once


class Lists(Protocol):
    """What is loaded: the ids of apps, and what entries say of clients themselves."""

    @property
    def apps(self) -> Mapping[str, object]: ...
    @property
    def judges_clients(self) -> bool: ...
    def find_client(self, address: bytes) -> tuple[Rule, ...]:
        """Return the rules about the client at `address` (4 or 16 octets), the longest prefix first."""


class Clients:
    """The policies of one configuration at one moment, found by address; immutable."""

    def __init__(self, config: Config, lists: Lists, moment: float, granted: Sequence[Grant] = ()) -> None:
        """Take the groups of `config` as they are at `moment`, unix time, and what `lists` are loaded.

        Of `granted` exceptions those count that hold then. `turns` is when any of this changes by itself; `members` are
        the networks with a policy of their own, of which the longest prefix wins.
        """
        apps = lists.apps
        self._lists = lists
        self._judged = lists.judges_clients
        self._made: dict[tuple[int, tuple[str, ...]], Policy] = {}  # by the policy that it was made of, and the rules
        self._stages = Stages(config.rollout)
        holding = [(each, each.waiver()) for each in granted if each.holds(moment)]
        self.turns = _turns(config, moment, granted)
        by_group: dict[str, list[Waiver]] = {"": []}  # for all of its clients; those for all groups under no name
        for grant, waiver in holding:
            if grant.network is None:
                by_group.setdefault(grant.group, []).append(waiver)
        apps_for_all = [each for each in by_group[""] if each.scope is None]
        names_for_all = Waivers.of(each for each in by_group[""] if each.scope is not None)

        def of_group(name: str, answering: Answering, wanted: Mapping[str, bool]) -> Policy:
            own = by_group.get(name, ())
            return _waived(_policy(config, name, answering, wanted), [*apps_for_all, *own], names_for_all)

        self.unlisted = of_group(UNLISTED, config.unlisted, dict.fromkeys(apps, False))
        self.policies: dict[str, Policy] = {UNLISTED: self.unlisted}
        groups: dict[_Network, Policy] = {}
        for group in config.groups:
            policy = of_group(group.name, group, _looked_at(group, apps, moment))
            self.policies[group.name] = policy
            groups |= dict.fromkeys(group.clients, policy)
        self.members = groups | _set_apart(groups, self.unlisted, holding)
        members = dict(self.members)
        for network in _own(config):
            members[network] = self.policies[SELFTEST] = replace(
                self.unlisted,
                group=SELFTEST,
                gate=Gate.OFF,
                quiet=True,  # no device is behind them
            )
        self._prefixes: dict[int, list[tuple[int, dict[int, Policy]]]] = {4: [], 16: []}
        found: dict[tuple[int, int], dict[int, Policy]] = {}
        for network, policy in members.items():
            found.setdefault(_shift(network), {})[int(network.network_address) >> _shift(network)[1]] = policy
        for (size, shift), each in sorted(found.items(), key=lambda item: item[0][1]):
            self._prefixes[size].append((shift, each))

    def policy_for(self, address: bytes) -> Policy:
        """Return the policy of the client at `address`, 4 or 16 octets; IPv4-mapped IPv6 counts as IPv4."""
        address = _plain(address)
        number = int.from_bytes(address)
        for shift, members in self._prefixes[len(address)]:
            if (policy := members.get(number >> shift)) is not None:
                return self._reached(policy, address)
        return self._reached(self.unlisted, address)

    def bucket(self, address: bytes) -> int:
        """Return the number by which percentages of rollouts choose, 0 to 99, of the client at `address`."""
        return self._stages.bucket(_plain(address))

    def _reached(self, policy: Policy, address: bytes) -> Policy:
        """Return `policy` as rollouts have reached the client at `address`, with what lists say of it."""
        reached = self._stages.of_client(policy, address) if self._stages.by_client else policy
        return self._listed(reached, address) if self._judged else reached

    def _listed(self, policy: Policy, address: bytes) -> Policy:
        """Return `policy` with the rules about the client at `address`; one for all clients with the same rules."""
        rules = tuple(rule for rule in self._lists.find_client(address) if rule.app in policy.apps)
        if not rules:
            return policy
        sources = tuple(rule.source for rule in rules)
        made = self._made.get((id(policy), sources))
        if made is None:
            if len(self._made) >= _REMEMBERED:
                self._made.clear()
            variant = " ".join((policy.variant, *sources)).strip()
            made = self._made[id(policy), sources] = replace(policy, client_rules=rules, variant=variant)
        return made


def _plain(address: bytes) -> bytes:
    if len(address) == 16 and address.startswith(b"\0\0\0\0\0\0\0\0\0\0\xff\xff"):
        return address[12:]
    return address


def _own(config: Config) -> Iterator[_Network]:
    """Yield the addresses that our own queries come from."""
    wanted = config.selftest
    if wanted.interval:
        yield from (ip_network(each) for each in (wanted.source_v4, wanted.source_v6) if each is not None)


def _shift(network: _Network) -> tuple[int, int]:
    """Return an address's size in octets and the bits of it that do not matter in `network`."""
    return network.max_prefixlen // 8, network.max_prefixlen - network.prefixlen


def _turns(config: Config, moment: float, granted: Sequence[Grant]) -> float | None:
    """Return the first moment later than `moment` at which a schedule or an exception changes something."""
    scheduled = schedule.next_change((each for group in config.groups for each in group.schedules), moment)
    edges: list[float] = [edge for each in granted for edge in (each.starts, each.ends) if edge > moment]
    if scheduled is not None:
        edges.append(scheduled)
    return min(edges, default=None)


def _set_apart(
    groups: Mapping[_Network, Policy], unlisted: Policy, holding: Sequence[tuple[Grant, Waiver]]
) -> dict[_Network, Policy]:
    """Return the policies of clients that exceptions are for, by prefix: those of their groups, and what is lifted.

    A prefix within such a prefix gets a policy of its own too, since the longest one is what counts.
    """
    own: dict[_Network, list[tuple[Grant, Waiver]]] = {}
    for pair in holding:
        if (network := pair[0].network) is not None:
            own.setdefault(network, []).append(pair)
    around_own, around_groups = _Around(own), _Around(groups)
    found: dict[_Network, Policy] = {}
    for network in {*own, *groups} if own else ():
        base = next((groups[outer] for outer in around_groups.of(network)), unlisted)
        outers = [pair for outer in around_own.of(network) for pair in own[outer]]
        if lifted := [waiver for grant, waiver in outers if grant.group in ("", base.group)]:
            variant = f"{base.variant} {network}".strip()
            found[network] = replace(_waived(base, lifted, base.waivers), variant=variant)
    return found


class _Around:
    """Finds the networks that others lie in, whatever their number."""

    def __init__(self, networks: Iterable[_Network]) -> None:
        self._shifts: dict[int, list[int]] = {4: [], 16: []}  # by octets of an address; the longest prefix first
        self._found: dict[tuple[int, int], dict[int, _Network]] = {}
        for network in networks:
            key = _shift(network)
            self._found.setdefault(key, {})[int(network.network_address) >> key[1]] = network
        for size, shift in sorted(self._found):
            self._shifts[size].append(shift)

    def of(self, network: _Network) -> Iterator[_Network]:
        """Yield those that hold `network`, itself among them, the longest prefix first."""
        size, least = _shift(network)
        number = int(network.network_address)
        for shift in self._shifts[size]:
            if shift >= least and (outer := self._found[size, shift].get(number >> shift)) is not None:
                yield outer


def _waived(policy: Policy, waivers: Iterable[Waiver], others: Waivers | None) -> Policy:
    """Return `policy` with what `waivers` lift, and the `others` for names."""
    apps = dict(policy.apps)
    named = []
    for each in waivers:
        if each.scope is not None:
            named.append(each)
        elif (treatment := apps.get(each.app)) is not None and not treatment.monitored and each.app != SPECIAL:
            apps[each.app] = Treatment(treatment.action, monitored=True, waiver=each)
    return replace(policy, apps=apps, waivers=Waivers.of(named, others))


def _looked_at(group: Group, apps: Mapping[str, object], moment: float) -> dict[str, bool]:
    """Return the apps that matter to `group` at `moment`, and whether each is only monitored."""
    wanted = dict.fromkeys(apps if group.block is None else group.block, False)
    wanted |= dict.fromkeys((app for app in (SPECIAL, CANARY) if app in apps), False)
    wanted |= dict.fromkeys(group.monitor, True)
    for app, schedules in group.scheduled.items():
        doing = schedule.doing(schedules, moment)
        if doing == "allow":
            wanted.pop(app, None)
        elif app in wanted:
            wanted[app] = doing == "monitor"
    return wanted


def _policy(config: Config, name: str, answering: Answering, apps: Mapping[str, bool]) -> Policy:
    protection = config.protection
    off = {SPECIAL: not protection.special_names, CANARY: not protection.canaries}
    zones = (names.from_text(zone) for forward in config.upstream.forward for zone in forward.zones)
    # Who forwards the root chose other upstreams for the Internet, and did not mean to trust all of it.
    forwarded = tuple(zone for zone in zones if zone != names.ROOT)
    policy = Policy(
        group=name,
        apps={
            app: Treatment(answering.actions.get(app, answering.action), monitored)
            for app, monitored in apps.items()
            if not off.get(app, False)
        },
        strip_ech=answering.strip_ech,
        rebinding=protection.rebinding,
        private_zones=forwarded + tuple(names.from_text(zone) for zone in protection.rebinding_exceptions),
        forwarded=forwarded,
        gate=_gate(config, name),
    )
    return Stages(config.rollout).common(policy)


def _gate(config: Config, name: str) -> Gate:
    """Return whether answers to a group wait for the rules that let its devices through."""
    egress = config.egress
    treatment = egress.group(UNLISTED if egress.mode == "node" else name)
    if not egress.enabled or not treatment.wants_answers:
        return Gate.OFF
    return Gate.ENFORCE if treatment.gate == "enforce" else Gate.AUDIT
