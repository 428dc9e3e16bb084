"""Whose query is it? Maps a client's address to the Policy of its group, the longest prefix first.

Pure. A client in no group gets the strictest policy: every app, enforced.
"""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network

from blocker import names
from blocker.config import UNLISTED, Config, Group
from blocker.config import Treatment as Answering
from blocker.policy import SPECIAL, Gate, Policy, Treatment
from blocker.rollout.stages import Stages

CANARY = "canary"  # the list of names that ask devices not to go around the resolver


class Clients:
    """The policies of one configuration, found by address; immutable."""

    def __init__(self, config: Config, apps: Mapping[str, object]) -> None:
        """Take the groups of `config`; `apps` are the ids of all lists that are loaded."""
        self._stages = Stages(config.rollout)
        self.unlisted = _policy(config, UNLISTED, config.unlisted, dict.fromkeys(apps, False))
        self.policies: dict[str, Policy] = {UNLISTED: self.unlisted}
        self._prefixes: dict[int, list[tuple[int, dict[int, Policy]]]] = {4: [], 16: []}
        found: dict[tuple[int, int], dict[int, Policy]] = {}
        for group in config.groups:
            policy = _policy(config, group.name, group, _looked_at(group, apps))
            self.policies[group.name] = policy
            for network in group.clients:
                found.setdefault(_shift(network), {})[int(network.network_address) >> _shift(network)[1]] = policy
        for (size, shift), members in sorted(found.items(), key=lambda item: item[0][1]):
            self._prefixes[size].append((shift, members))

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
        """Return `policy` as rollouts have reached the client at `address`."""
        return self._stages.of_client(policy, address) if self._stages.by_client else policy


def _plain(address: bytes) -> bytes:
    if len(address) == 16 and address.startswith(b"\0\0\0\0\0\0\0\0\0\0\xff\xff"):
        return address[12:]
    return address


def _shift(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    """Return an address's size in octets and the bits of it that do not matter in `network`."""
    return network.max_prefixlen // 8, network.max_prefixlen - network.prefixlen


def _looked_at(group: Group, apps: Mapping[str, object]) -> dict[str, bool]:
    """Return the apps that matter to `group`, and whether each is only monitored."""
    wanted = dict.fromkeys(apps if group.block is None else group.block, False)
    wanted |= dict.fromkeys((app for app in (SPECIAL, CANARY) if app in apps), False)
    return wanted | dict.fromkeys(group.monitor, True)


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
