"""What clients have asked lately, in bounded memory: sittings by client, and what is known of each owner's name.

Pure: queries and the time go in, findings come out. Clients and names that were not heard of for longest make room
for new ones, and a name's history fades: `fade` halves it. One client that asks for names without end neither drives
out what others ask for, nor fills the report: what is taken in of a sitting has an end, and so have the names with a
word of an app in them that one client alone has asked for.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from blocker import names
from blocker.candidates import company
from blocker.candidates.brand import Brands, Match
from blocker.candidates.company import Tally
from blocker.candidates.finding import Evidence, Finding, Kind
from blocker.candidates.seen import How, Seen
from blocker.names import Name

_PER_SITTING: Final = 64  # owners' names of one sitting
_WORDED: Final = 100  # names with an app's word that one client may be the only one to ask for, in a day or so
_LEADING: Final = 16  # names of one owner that led to an app
_OTHERS: Final = 32  # names of one owner that did not
_EXAMPLES: Final = 5
_LEADS: Final = {How.ALIAS: (Kind.ALIAS, "is an alias of"), How.ADDRESS: (Kind.ADDRESS, "answers from")}
_LEAD_WEIGHT: Final = 0.9
_FORGET: Final = 0.25  # sittings: less is left of a client after many fadings, and it goes


@dataclass(slots=True)
class _Sitting:
    began: float
    asked: dict[Name, int] = field(default_factory=dict)  # owner's name -> position
    blocked: dict[str, int] = field(default_factory=dict)  # app -> position of its first blocked name


@dataclass(slots=True)
class _Client:
    sitting: _Sitting | None = None
    sittings: float = 0.0
    near: dict[str, float] = field(default_factory=dict)  # app -> sittings with a blocked name of it
    worded: float = 0.0  # names with an app's word that nobody else had asked for


@dataclass(slots=True)
class _Known:
    """All that is known of one owner's name."""

    sittings: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=dict)
    clients: dict[str, set[bytes]] = field(default_factory=dict)  # app -> clients that asked near it
    brands: dict[str, Match] = field(default_factory=dict)
    leading: dict[str, dict[Name, tuple[How, str]]] = field(default_factory=dict)  # app -> name -> how, via
    others: set[Name] = field(default_factory=set)  # names that led nowhere
    askers: set[bytes] = field(default_factory=set)
    new: bool = True  # something changed since it was last told


class Memory:
    """Sees every query, and tells what looks like an app's."""

    def __init__(
        self,
        owner: Callable[[Name], Name | None],
        brands: Brands,
        apps: frozenset[str],
        *,
        window: float,
        clients: int,
        most: int,
    ) -> None:
        """Look for relatives of `apps`; a sitting is `window` seconds, at most so many `clients` and names are kept."""
        self._owner = owner
        self._apps = apps
        self._brands = brands
        self._window = window
        self._max_clients = clients
        self._max_names = most
        self._clients: OrderedDict[bytes, _Client] = OrderedDict()
        self._names: OrderedDict[Name, _Known] = OrderedDict()
        self._everywhere: dict[str, float] = {}  # app -> sittings with a blocked name of it
        self._sittings = 0.0

    def __len__(self) -> int:
        """Return how many owners' names are kept."""
        return len(self._names)

    def see(self, seen: Seen) -> None:
        """Take one query in; they come in the order of time, or nearly."""
        client = self._client(seen)
        sitting = client.sitting
        assert sitting is not None
        place = len(sitting.asked) + len(sitting.blocked)
        if seen.how is How.KNOWN or (seen.app and seen.app not in self._apps):
            return
        if seen.app:
            sitting.blocked.setdefault(seen.app, place)
        if seen.how is How.LISTED:
            return
        owned = self._owner(seen.qname)
        if owned is None:
            return
        has_room = seen.how is not How.NOTHING or len(sitting.asked) < _PER_SITTING or owned in sitting.asked
        if not has_room and not self._brands.suspects(seen.qname):
            return
        known = self._known(owned)
        if len(known.askers) < company.COUNTED:
            known.askers.add(seen.client)
        if seen.how is How.NOTHING:
            self._note(known, client, seen.qname, owned)
            if has_room:
                sitting.asked.setdefault(owned, place)
        else:
            leading = known.leading.setdefault(seen.app, {})
            if seen.qname not in leading and len(leading) < _LEADING:
                leading[seen.qname] = (seen.how, seen.via)
                known.new = True

    def settle(self, now: float) -> None:
        """End the sittings that are over at `now`, unix time."""
        for address, client in list(self._clients.items()):
            if client.sitting is not None and now - client.sitting.began > self._window:
                self._end(address, client)

    def fade(self) -> None:
        """Let what was count half."""
        self._sittings /= 2
        self._everywhere = {app: count / 2 for app, count in self._everywhere.items()}
        for address, client in list(self._clients.items()):
            client.sittings /= 2
            client.worded /= 2
            client.near = {app: count / 2 for app, count in client.near.items()}
            if client.sitting is None and client.sittings < _FORGET:
                del self._clients[address]
        for known in self._names.values():
            known.sittings /= 2
            for tally in known.tallies.values():
                tally.near, tally.expected, tally.before = tally.near / 2, tally.expected / 2, tally.before / 2

    def findings(self, least: float) -> Iterator[Finding]:
        """Yield what weighs at least `least`, of the names that something was learnt of since they were last told."""
        for owned, known in self._names.items():
            if known.new:
                known.new = False
                yield from (each for each in _findings(owned, known) if each.score >= least)

    def _client(self, seen: Seen) -> _Client:
        """Return who asks, in a sitting."""
        client = self._clients.get(seen.client)
        if client is None:
            if len(self._clients) >= self._max_clients:
                oldest, former = self._clients.popitem(last=False)
                self._end(oldest, former)
            client = self._clients[seen.client] = _Client()
        else:
            self._clients.move_to_end(seen.client)
        if client.sitting is not None and not 0 <= seen.when - client.sitting.began <= self._window:
            self._end(seen.client, client)
        if client.sitting is None:
            client.sitting = _Sitting(seen.when)
        return client

    def _known(self, owned: Name) -> _Known:
        known = self._names.get(owned)
        if known is None:
            if len(self._names) >= self._max_names:
                self._names.popitem(last=False)
            known = self._names[owned] = _Known()
        else:
            self._names.move_to_end(owned)
        return known

    def _note(self, known: _Known, client: _Client, qname: Name, owned: Name) -> None:
        """Take note of a name that led nowhere, and of the words in it."""
        if qname in known.others or len(known.others) >= _OTHERS:
            return
        matches = self._brands.find(qname, owned) if self._brands.suspects(qname) else ()
        if matches and len(known.askers) < 2 and not known.brands:
            if client.worded >= _WORDED:
                return
            client.worded += 1
        known.others.add(qname)
        known.new = known.new or bool(known.leading)
        for match in matches:
            former = known.brands.get(match.app)
            if former is None or match.weight > former.weight:
                known.brands[match.app] = match
                known.new = True

    def _end(self, address: bytes, client: _Client) -> None:
        """Count a sitting that is over."""
        sitting, client.sitting = client.sitting, None
        if sitting is None:
            return
        for owned, place in sitting.asked.items():
            if (known := self._names.get(owned)) is not None:
                known.sittings += 1
                self._count(known, address, client, sitting, place)
        client.sittings += 1
        self._sittings += 1
        for app in sitting.blocked:
            client.near[app] = client.near.get(app, 0.0) + 1
            self._everywhere[app] = self._everywhere.get(app, 0.0) + 1

    def _count(self, known: _Known, address: bytes, client: _Client, sitting: _Sitting, place: int) -> None:
        # Apps that this client never asks for have nothing to be near to, but for the first time.
        for app in {*client.near, *sitting.blocked}:
            everywhere = self._everywhere.get(app, 0.0) / self._sittings if self._sittings else 0.0
            tally = known.tallies.setdefault(app, Tally())
            tally.expected += company.expected(client.near.get(app, 0.0), client.sittings, everywhere)
            if app not in sitting.blocked:
                continue
            tally.near += 1
            tally.before += place < sitting.blocked[app]
            known.new = True
            near = known.clients.setdefault(app, set())
            if len(near) < company.COUNTED:
                near.add(address)


def _findings(owned: Name, known: _Known) -> Iterator[Finding]:
    apps = {*known.tallies, *known.brands, *known.leading}
    for app in sorted(apps):
        evidence: list[Evidence] = []
        if (match := known.brands.get(app)) is not None:
            evidence.append(Evidence(Kind.BRAND, match.weight, match.says))
        if (tally := known.tallies.get(app)) is not None:
            found = company.judge(tally, known.sittings, len(known.clients.get(app, ())))
            evidence += [found] if found is not None else []
        leading = known.leading.get(app, {})
        if leading and len(leading) >= len(known.others):
            evidence += _leads(leading, len(known.others))
        else:  # the owner has much else: only these names lead to the app
            for qname, lead in leading.items():
                yield _finding(qname, app, _leads({qname: lead}, 0), (qname,), len(known.askers))
        if evidence:
            yield _finding(owned, app, evidence, (*leading, *sorted(known.others)), len(known.askers))


def _leads(leading: dict[Name, tuple[How, str]], others: int) -> Iterator[Evidence]:
    """Yield what is to be said of names that lead to the app, once for each way."""
    for how, (kind, verb) in _LEADS.items():
        some = [(qname, via) for qname, (each, via) in leading.items() if each is how]
        if some:
            qname, via = some[0]
            more = f", as {len(some) - 1} more names below it do" if len(some) > 1 else ""
            but = f"; {others} others do not" if others else ""
            weight = round(_LEAD_WEIGHT * len(leading) / (len(leading) + others), 3)
            yield Evidence(kind, weight, f"{names.to_text(qname)} {verb} {via}{more}{but}")


def _finding(
    name: Name, app: str, evidence: Iterator[Evidence] | list[Evidence], some: tuple[Name, ...], clients: int
) -> Finding:
    ordered = tuple(sorted(evidence, key=lambda each: -each.weight))
    return Finding(names.to_text(name), app, ordered, tuple(map(names.to_text, some[:_EXAMPLES])), clients)
