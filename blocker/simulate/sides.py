"""One side of a comparison: a configuration with its lists, asked by the very functions that the server asks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from blocker import config, names, policy
from blocker.bundle import current as bundles
from blocker.clients import Clients
from blocker.config import Config
from blocker.errors import ConfigError, NameFormatError
from blocker.exceptions.entry import Grant
from blocker.lists.feed import FeedFile
from blocker.lists.index import Index
from blocker.lists.opened import opened
from blocker.names import Name
from blocker.policy import Action, Policy, Verdict
from blocker.rollout import state as rollouts


@dataclass(frozen=True, slots=True)
class Via:
    """What a log knows of the answer."""

    aliases: tuple[Name, ...]
    addresses: tuple[bytes, ...]


NOTHING = Via((), ())


@dataclass(frozen=True, slots=True)
class Side:
    """What would serve."""

    index: Index
    clients: Clients

    @classmethod
    def open(
        cls, found: Config, scratch: Path, feeds: Sequence[FeedFile] = (), granted: Sequence[Grant] = ()
    ) -> "Side":
        """Return the side of the configuration `found` with the copies of its `feeds`, as schedules have it now.

        Of people's exceptions, `granted`, those count that are in force now.

        Raises ConfigError, ListError, BundleError, ArtifactError.
        """
        index = opened(bundles.in_force(found).lists, config.state_dir(found), scratch, feeds)
        if problems := config.check_apps(found, index.apps):
            raise ConfigError(problems)  # the server would not serve this either
        found = rollouts.in_force(found, config.state_dir(found))
        return cls(index, Clients(found, index, time.time(), granted))

    def policy_for(self, client: str, group: str) -> Policy:
        """Return the policy of a client as a log has it; of `group` if its address was shortened or hashed."""
        try:
            return self.clients.policy_for(ip_address(client).packed)
        except ValueError:
            return self.clients.policies.get(group, self.clients.unlisted)

    def verdict(self, who: Policy, qname: Name, via: Via = NOTHING) -> Verdict:
        """Return what a client of `who` would hear: the question is decided, then what is known of the answer.

        Both weigh as they do in the line of a query (line.py).
        """
        verdict = policy.decide(who, self.index, qname)
        if verdict.action is not Action.PASSTHRU or via is NOTHING:
            return verdict
        found = policy.inspect(who, self.index, qname, via)
        return found if found.action is not Action.PASSTHRU else policy.weightier(verdict, found)


def read_via(text: str) -> Via:
    """Return the aliases and addresses in a log's `via`; what is neither is passed over."""
    if not text:
        return NOTHING
    aliases: list[Name] = []
    addresses: list[bytes] = []
    for word in text.split(" "):
        try:
            addresses.append(ip_address(word).packed)
        except ValueError:
            try:
                aliases.append(names.from_text(word))
            except NameFormatError:
                continue
    return Via(tuple(aliases), tuple(addresses))


def state(verdict: Verdict) -> str:
    """Return `blocked`, `limited` (to TCP), `excepted`, `monitored`, `shadow` or `allowed`."""
    if verdict.action is Action.TCP_ONLY:
        return "limited"
    if verdict.action is not Action.PASSTHRU:
        return "blocked"
    if verdict.waiver is not None:
        return "excepted"
    return "shadow" if verdict.shadow else "monitored" if verdict.monitored else "allowed"
