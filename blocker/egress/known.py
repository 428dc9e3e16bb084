"""What learning must know of the lists: whose a name is, what to ask for, and which networks strangers share.

Decides nothing by itself: policy.decide says what is banned. Shadowed entries, feeds and exceptions teach nothing; a
feed's million names would be a million questions.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network

from blocker import names
from blocker.clients import CANARY
from blocker.config import Config, Endpoint
from blocker.egress.attempt import BYPASS
from blocker.lists import row
from blocker.lists.index import Index
from blocker.names import Name
from blocker.policy import SPECIAL, Action, Policy, Treatment, decide

_NOBODY = frozenset({SPECIAL, CANARY, BYPASS})  # no app's; other resolvers' addresses have rules of their own
_UNLIKE = row.FEED | row.ALLOW | row.SHADOW | row.PATTERN | row.GUARDED | row.DISABLED


class Known:
    """One generation's."""

    def __init__(
        self,
        config: Config,
        index: Index,
        servers: Sequence[Endpoint],
        needed: Iterable[Name],
        shared: Iterable[Name],
    ) -> None:
        """`servers` are whom we ask, `needed` names must resolve, at or below `shared` strangers have their hosts."""
        self.apps = frozenset(app for app, about in index.apps.items() if about.loaded) - _NOBODY
        self._index = index
        self._policy = Policy("", {app: Treatment(Action.SINKHOLE) for app in self.apps}, rebinding=False)
        self._needed = frozenset(needed)
        self._shared = frozenset(shared)
        forwards = (end for forward in config.upstream.forward for end in forward.servers)
        ends = (*servers, *forwards, *config.listen, *config.egress.resolver)
        self._ours = frozenset(end.address.packed for end in ends)
        groups = (network for group in config.egress.groups for network in group.static)
        self._networks: list[IPv4Network | IPv6Network] = [*groups, *config.egress.exempt, *config.egress.devices]

    def banned(self, name: Name) -> str | None:
        """Return the app that `name` is banned for; None: it is not."""
        verdict = decide(self._policy, self._index, name)
        rule = verdict.rule
        return rule.app if rule is not None and verdict.action is not Action.PASSTHRU and not rule.feed else None

    def needed(self, name: Name) -> bool:
        """Tell whether `name` must resolve."""
        return name in self._needed

    def wants(self, name: Name) -> bool:
        """Tell whether to go on asking for `name`."""
        return name in self._needed or self.banned(name) is not None

    def names(self) -> Iterator[Name]:
        """Yield what to ask for by ourselves: what must resolve first, so that it is known before what is banned."""
        yield from self._needed
        for name, rows in self._index.ordered():
            if any(self._index.app_of(each) in self.apps and not each & _UNLIKE for each in rows):
                yield name
                if not all(each & row.EXACT for each in rows) and len(name) + 4 <= names.MAX_NAME:
                    yield b"\3www" + name

    def shared_at(self, chain: Iterable[Name]) -> Name | None:
        """Return the shared parent that one of these names lies at or below; None: none does."""
        return next((upper for name in chain for upper in names.parents(name) if upper in self._shared), None)

    def is_own(self, address: bytes) -> bool:
        """Tell whether `address` is ours, or one that the configuration says is to be reached."""
        if address in self._ours:
            return True
        bits, number = len(address) * 8, int.from_bytes(address)
        return any(
            network.max_prefixlen == bits
            and number >> bits - network.prefixlen == int(network.network_address) >> bits - network.prefixlen
            for network in self._networks
        )
