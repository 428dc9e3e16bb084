"""Packets in, findings out: everything between a capture and a log. Pure, but for the cost.

packet -> whose? -> fragments: is it whole? -> answers: who was told what
                                            -> flows: what is it? -> findings: what does the policy say? -> Finding
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Final, NamedTuple

from blocker import events, names
from blocker.egress import findings
from blocker.egress.answers import Answers
from blocker.egress.findings import Setting
from blocker.egress.flows import DNS, Flows, Sight
from blocker.egress.fragments import Fragments
from blocker.egress.packets import TCP, Fragment, Packet
from blocker.policy import Action, Policy, Verdict

_REMEMBERED: Final = 65_536  # devices


class Finding(NamedTuple):
    """A connection that the policy of its device's group has something to say about."""

    sight: Sight
    group: str
    verdict: Verdict
    name: str  # that gave it away; empty where none did

    @property
    def refused(self) -> bool:
        """Whether it is to be cut, and not only noted."""
        return self.verdict.action is not Action.PASSTHRU


class Observer:
    """What one capture shows of a network."""

    def __init__(
        self,
        setting: Setting,
        policy_for: Callable[[bytes], Policy],
        devices: Sequence[IPv4Network | IPv6Network] = (),
        exempt: Sequence[IPv4Network | IPv6Network] = (),
        *,
        enforce: bool = False,
        answers: Answers | None = None,
    ) -> None:
        """Judge the connections of `devices` (none given: of everybody) but those `exempt`, by their groups' policies.

        Without `enforce` everything is only noted. `answers` are filled from what resolvers of ours are seen to say.
        """
        self.flows = Flows()
        self.fragments = Fragments()
        self.adopt(setting, policy_for, devices, exempt, enforce=enforce, answers=answers)

    def adopt(
        self,
        setting: Setting,
        policy_for: Callable[[bytes], Policy],
        devices: Sequence[IPv4Network | IPv6Network] = (),
        exempt: Sequence[IPv4Network | IPv6Network] = (),
        *,
        enforce: bool = False,
        answers: Answers | None = None,
    ) -> None:
        """Go on with other lists and policies; connections under way are not forgotten."""
        self._setting = setting
        self._policy_for = policy_for
        self._devices, self._exempt = _bounds(devices), _bounds(exempt)
        self._enforce = enforce
        self._answers = answers
        self._policies: dict[bytes, Policy | None] = {}

    def take(self, packet: Packet | Fragment, now: float) -> list[Finding]:
        """Take the next packet at monotonic time `now`, seconds; return what it shows."""
        client = packet.source
        policy = self._policies.get(client)
        if policy is None:
            if client not in self._policies:
                policy = self._remember(client)
            if policy is None and client not in self._setting.resolvers:
                return []
        if isinstance(packet, Fragment):
            return [found for whole in self.fragments.take(packet, now) for found in self.take(whole, now)]
        if packet.source_port == DNS and packet.protocol != TCP and client in self._setting.resolvers:
            if self._answers is not None:
                self._answers.hear(packet.destination, packet.payload, now)
            return []
        if policy is None:
            return []
        return [found for sight in self.flows.see(packet, now) if (found := self._judged(policy, sight)) is not None]

    def _judged(self, policy: Policy, sight: Sight) -> Finding | None:
        verdict, name = findings.judge(policy, self._setting, sight)
        if not events.is_attempt(verdict):
            return None
        if not self._enforce:
            verdict = findings.noted(verdict)
        return Finding(sight, policy.group, verdict, names.to_text(name) if name is not None else "")

    def _remember(self, client: bytes) -> Policy | None:
        """Return the policy of a device; None for whoever is none, and for our own resolvers."""
        if len(self._policies) >= _REMEMBERED:
            self._policies.clear()
        governed = (not self._devices or _within(client, self._devices)) and not _within(client, self._exempt)
        policy = self._policies[client] = self._policy_for(client) if governed else None
        return policy


def _bounds(networks: Sequence[IPv4Network | IPv6Network]) -> list[tuple[bytes, bytes]]:
    return [(network.network_address.packed, network.broadcast_address.packed) for network in networks]


def _within(address: bytes, bounds: list[tuple[bytes, bytes]]) -> bool:
    # Addresses of one size compare as numbers do.
    return any(low <= address <= high for low, high in bounds if len(low) == len(address))
