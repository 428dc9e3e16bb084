"""One group's policy as the triggers of a response policy zone (draft-vixie-dnsop-dns-rpz), in tree order.

Pure. Asks `policy.decide` and `policy.inspect_address` what happens to each listed name and address, and says so
in RPZ's words; what RPZ has no words for is counted in a Report. Must not know files, serials or the wire.

Servers differ in how a wildcard meets a name that has records below it: to the DNS such a name ends the
wildcard (RFC 4592 §2.2), to others the longest match wins. So below a wildcard every node down to each further
trigger gets both its own record and a wildcard, and all servers give the same verdict.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, summarize_address_range
from typing import Final, NamedTuple

from blocker import names
from blocker.lists import row
from blocker.lists.index import Index
from blocker.names import Name
from blocker.policy import SPECIAL, Action, Policy, decide, inspect_address, inspect_servers, stage_of


class Word(StrEnum):
    """What RPZ can say of a trigger; those with a dot at the end are targets of a CNAME."""

    NXDOMAIN = "."
    NODATA = "*."
    DROP = "rpz-drop."
    PASSTHRU = "rpz-passthru."
    TCP_ONLY = "rpz-tcp-only."
    SINKHOLE = "sinkhole"  # local data
    LOOPBACK = "loopback"  # local data


WORDS: Final = {
    Action.NXDOMAIN: Word.NXDOMAIN,
    Action.NODATA: Word.NODATA,
    Action.DROP: Word.DROP,
    Action.REFUSED: Word.NXDOMAIN,  # RPZ cannot refuse; a name that does not exist is as closed, and as final
    Action.SINKHOLE: Word.SINKHOLE,
    Action.LOOPBACK: Word.LOOPBACK,
    Action.TCP_ONLY: Word.TCP_ONLY,
}

Trigger = tuple[str, Word]  # owner below the zone's name, and what happens

_Network = IPv4Network | IPv6Network
# Some name below, which nobody lists. Three labels: a pattern for one label must not pass for all that is below.
_PROBE: Final = b"\x07rpz-any\x07rpz-any\x07rpz-any"
_PLAIN: Final = re.compile(rb"[a-z0-9_-]+").fullmatch
_SHOWN: Final = 20  # patterns named in a report


@dataclass(slots=True)
class Report:
    """What was said, and what could not be said, in numbers of list entries."""

    triggers: dict[str, int] = field(default_factory=dict)  # by word's name, or by what they are about
    patterns: int = 0  # left out: RPZ has no patterns
    shown: list[str] = field(default_factory=list)  # the first of them
    guarded: int = 0  # said, but a resolver applies them to aliases too
    exceptions: int = 0  # said as passthru, which also spares the aliases and addresses in the answer
    refused: int = 0  # said as NXDOMAIN
    monitored: int = 0  # left out: only noted here, and RPZ has no word for it
    shadow: int = 0  # left out: not enforced yet, for all clients of the group at least
    special: int = 0  # left out: every resolver has its own answers for special-use names
    clients: int = 0  # left out: exceptions for clients, which here reach names of one feed, and there the whole zone
    unsaid: list[str] = field(default_factory=list)  # left out: people's exceptions, one line each (unsaid.py)
    slow_servers: int = 0  # left out: TCP-only for name servers, at which Unbound 1.17 ends (SIGSEGV)
    too_long: int = 0  # left out: with the zone's name behind it, it would be longer than a name may be

    def count(self, word: str) -> None:
        """Note that one more trigger has been said."""
        self.triggers[word] = self.triggers.get(word, 0) + 1


def triggers(index: Index, policy: Policy, zone: Name, report: Report) -> Iterator[Trigger]:
    """Yield the triggers that make a resolver decide as `policy` does, names first; `report` is filled on the way.

    Always in the same order for the same lists, and each owner once.
    """
    ours = replace(policy, apps={app: how for app, how in policy.apps.items() if app != SPECIAL})
    room = names.MAX_NAME - len(zone)
    yield from _Names(index, ours, room, report).triggers()
    _count_floating(index, ours, report)
    report.special = index.apps[SPECIAL].entries if SPECIAL in index.apps and SPECIAL in policy.apps else 0
    yield from _fitting(_addresses(index, ours), "rpz-ip", "address", room, report)
    yield from _fitting(_clients(index, ours, report), "rpz-client-ip", "client", room, report)
    yield from _ServerNames(index, ours, room, report).triggers()
    yield from _fitting(_server_addresses(index, ours, report), "rpz-nsip", "server address", room, report)


def _fitting(
    found: Iterable[tuple[_Network, Word]], kind: str, word_for_it: str, room: int, report: Report
) -> Iterator[Trigger]:
    """Yield the triggers of this `kind`; those that are longer than `room` octets are counted."""
    for network, word in found:
        owner = owner_of(network, kind)
        if len(owner) + 1 > room:
            report.too_long += 1
        else:
            report.count(word_for_it)
            yield owner, word


@dataclass(slots=True)
class _Emitted:
    """A name that has a record in the zone."""

    name: Name
    below: Word | None  # what happens below it; None: nothing, as far as this name is concerned
    enclosed: bool  # a wildcard at or above it: what hangs below must be spelt out


class _Names:
    """The walk over all listed names."""

    _behind = ""  # what follows them in an owner

    def __init__(self, index: Index, policy: Policy, room: int, report: Report) -> None:
        self._index = index
        self._policy = policy
        self._room = room - len(self._behind)  # octets a name may have, its root's zero left out
        self._report = report
        self._emitted: list[_Emitted] = []
        self._listed: list[tuple[Name, int]] = []  # names above the present one, and their chain
        self._chains: dict[tuple[int, tuple[int, ...]], int] = {}
        self._known: dict[int, tuple[Word | None, Word | None]] = {}  # by chain
        named = policy.waivers.all() if policy.waivers is not None else ()
        self._excepted = {
            each.name[::-1] for each in named if each.pattern is None
        }  # what people have excepted, as the index's keys

    def triggers(self) -> Iterator[Trigger]:
        for name, entries in self._named():
            for each in entries:
                self._note(each)
            at, below = self._verdicts(name, entries)
            self._forget(name)
            upper = next((each for each in reversed(self._emitted) if names.is_below(name, each.name)), None)
            enclosed = upper is not None and upper.enclosed
            inherited = upper.below if upper is not None and enclosed else None
            if at is inherited and below is inherited:
                continue  # said already by what lies above, or nothing to say
            if upper is not None and enclosed:
                between = [each for each in list(names.parents(name))[1:-1] if len(each) > len(upper.name)]
                for node in reversed(between):
                    yield from self._emit(node, *self._asked(node), enclosed=True)
            yield from self._emit(name, at, below, enclosed=enclosed)

    def _named(self) -> Iterator[tuple[Name, tuple[int, ...]]]:
        """Yield the listed names and the excepted ones in tree order, each once."""
        excepted = sorted(self._excepted, reverse=True)
        for name, entries in self._index.ordered():
            key = name[::-1]
            while excepted and excepted[-1] < key:
                yield excepted.pop()[::-1], ()
            if excepted and excepted[-1] == key:
                excepted.pop()
            yield name, entries
        while excepted:
            yield excepted.pop()[::-1], ()

    def _emit(self, name: Name, at: Word | None, below: Word | None, *, enclosed: bool) -> Iterator[Trigger]:
        wild = enclosed or below is not None
        self._emitted.append(_Emitted(name, below, wild))
        text = _text(name)
        for owner, word, extra in ((text, at, 0), (f"*.{text}", below, 2)):
            if word is None and not enclosed:
                continue
            if len(name) - 1 + extra > self._room:
                self._report.too_long += 1
                continue
            said = word or Word.PASSTHRU
            self._report.count(said.name.lower().replace("_", "-"))
            yield owner + self._behind, said

    def _forget(self, name: Name) -> None:
        while self._emitted and not name.endswith(self._emitted[-1].name):
            self._emitted.pop()

    def _verdicts(self, name: Name, entries: tuple[int, ...]) -> tuple[Word | None, Word | None]:
        """Return what happens to `name`, and below it.

        Asked once for all names with the same kinds of entries at and above them, and for each name that a
        pattern or an exception of people's might concern.
        """
        while self._listed and not name.endswith(self._listed[-1][0]):
            self._listed.pop()
        above = next((chain for upper, chain in reversed(self._listed) if names.is_below(name, upper)), 0)
        kinds = tuple(sorted({row.kind(each) for each in entries}))
        patterned = above < 0 or name[::-1] in self._excepted or any(each & row.PATTERN for each in kinds)
        chain = self._chains.setdefault((above, kinds), len(self._chains) + 1)
        if patterned:
            chain = -abs(chain)
        self._listed.append((name, chain))
        if patterned or self._index.suspects(name):
            return self._asked(name)
        known = self._known.get(chain)
        if known is None:
            known = self._known[chain] = self._asked(name)
        return known

    def _asked(self, name: Name) -> tuple[Word | None, Word | None]:
        at = decide(self._policy, self._index, name, True).action
        probe = _PROBE + name
        below = (
            decide(self._policy, self._index, probe, True).action if len(probe) <= names.MAX_NAME else Action.PASSTHRU
        )
        return WORDS.get(at), WORDS.get(below)

    def _note(self, each: int) -> None:
        treatment = self._policy.apps.get(self._index.app_of(each))
        if treatment is None:
            return
        report = self._report
        staged = stage_of(self._policy, self._index.app_of(each), self._index.origin_of(each))
        if each & row.PATTERN:
            _count_pattern(report, self._index, each)
        elif each & row.SHADOW or (staged is not None and staged.shadow):
            report.shadow += 1
        elif treatment.monitored:
            report.monitored += 1
        elif each & row.ALLOW:
            report.exceptions += 1
        else:
            report.guarded += bool(each & row.GUARDED)
            report.refused += treatment.action is Action.REFUSED


class _Server(NamedTuple):
    """One name server, as `inspect_servers` must know it."""

    names: tuple[Name, ...]
    addresses: tuple[bytes, ...] = ()


class _Told(NamedTuple):
    """An answer, as `inspect_servers` must know it."""

    aliases: tuple[Name, ...] = ()
    addresses: tuple[bytes, ...] = ()


_NOTHING: Final = _Told()


_WORDS_OF_SERVERS: Final = {action: word for action, word in WORDS.items() if word is not Word.TCP_ONLY}


class _ServerNames(_Names):
    """The walk over the names of name servers."""

    _behind = ".rpz-nsdname"

    def _named(self) -> Iterator[tuple[Name, tuple[int, ...]]]:
        for name, entries in self._index.ordered_servers():
            self._report.slow_servers += sum(row.answer_of(each) is Action.TCP_ONLY for each in entries)
            yield name, entries

    def _asked(self, name: Name) -> tuple[Word | None, Word | None]:
        at, below = (
            inspect_servers(self._policy, self._index, names.ROOT, _NOTHING, _Server((each,)), True).action
            for each in (name, _PROBE + name)
        )
        return _WORDS_OF_SERVERS.get(at), _WORDS_OF_SERVERS.get(below)


def _server_addresses(index: Index, policy: Policy, report: Report) -> Iterator[tuple[_Network, Word]]:
    """Yield disjoint ranges of name servers."""
    for size in (4, 16):
        for start, end in index.server_stretches(size):
            action = inspect_servers(policy, index, names.ROOT, _NOTHING, _Server((), (start,)), True).action
            report.slow_servers += action is Action.TCP_ONLY
            if word := _WORDS_OF_SERVERS.get(action):
                for network in _networks(start, end):
                    yield network, word


def _count_floating(index: Index, policy: Policy, report: Report) -> None:
    for each in index.floating():
        if index.app_of(each) in policy.apps:
            _count_pattern(report, index, each)


def _count_pattern(report: Report, index: Index, each: int) -> None:
    report.patterns += 1
    if len(report.shown) < _SHOWN:
        rule = index.rule(each)
        report.shown.append(f"{rule.value} ({rule.source}{', exception' if rule.allow else ''})")


def _addresses(index: Index, policy: Policy) -> Iterator[tuple[_Network, Word]]:
    """Yield disjoint ranges; those of IPv4 also in the dress in which IPv6 clients reach them."""
    for start, end in index.stretches(4):
        if word := WORDS.get(inspect_address(policy, index, start, names.ROOT, True).action):
            for network in summarize_address_range(IPv4Address(start), IPv4Address(end)):
                yield network, word
                yield _dressed("64:ff9b::", 96, network), word  # NAT64 (RFC 6052 §2.1)
                yield _dressed("2002::", 16, network), word  # 6to4 (RFC 3056 §2)
    for start, end in index.stretches(16):
        if word := WORDS.get(inspect_address(policy, index, start, names.ROOT, True).action):
            for wide in _networks(start, end):
                yield wide, word


def _clients(index: Index, policy: Policy, report: Report) -> Iterator[tuple[_Network, Word]]:
    """Yield disjoint ranges of clients whose every question is answered so."""
    for size in (4, 16):
        for start, end in index.client_stretches(size):
            judged = replace(policy, client_rules=index.find_client(start))
            verdict = decide(judged, index, _PROBE + names.ROOT, True)
            if word := WORDS.get(verdict.action):
                for network in _networks(start, end):
                    yield network, word
            report.clients += any(rule.allow and rule.app in policy.apps for rule in judged.client_rules)


def _networks(start: bytes, end: bytes) -> Iterator[_Network]:
    if len(start) == 4:
        yield from summarize_address_range(IPv4Address(start), IPv4Address(end))
    else:
        yield from summarize_address_range(IPv6Address(start), IPv6Address(end))


def _dressed(prefix: str, length: int, inner: IPv4Network) -> IPv6Network:
    outer = int(IPv6Address(prefix)) | int(inner.network_address) << 128 - length - 32
    return IPv6Network((outer, length + inner.prefixlen))


def owner_of(network: _Network, kind: str) -> str:
    """Return the owner of a trigger about addresses: `24.0.2.0.192.rpz-ip`, `32.zz.db8.2001.rpz-client-ip`.

    The longest run of two or more zero words is written `zz`, which servers insist on.
    """
    packed = network.network_address.packed
    if isinstance(network, IPv4Network):
        words = [str(octet) for octet in packed]
    else:
        numbers = [int.from_bytes(packed[at : at + 2]) for at in range(0, 16, 2)]
        words = [f"{number:x}" for number in numbers]
        runs = [(_zeros(numbers, at), -at) for at in range(8)]
        length, start = max(runs)
        if length >= 2:
            words[-start : -start + length] = ["zz"]
    return ".".join((str(network.prefixlen), *reversed(words), kind))


def _zeros(numbers: list[int], at: int) -> int:
    length = 0
    while at + length < len(numbers) and numbers[at + length] == 0:
        length += 1
    return length


def _text(name: Name) -> str:
    """Return `names.to_text` of `name`, quickly where it is plain."""
    found = list(names.labels(name))
    return ".".join([label.decode() for label in found]) if all(map(_PLAIN, found)) else names.to_text(name)


def told(report: Report) -> Iterator[str]:
    """Yield the report in sentences, first what was said, then what RPZ cannot say."""
    said = ", ".join(f"{count} {word}" for word, count in sorted(report.triggers.items())) or "none"
    yield f"triggers: {said}"
    for count, sentence in (
        (report.patterns, "patterns are left out: RPZ has no patterns"),
        (report.too_long, "triggers are left out: with the zone's name they are longer than a name may be"),
        (report.monitored, "entries are left out: their apps are only monitored for this group"),
        (report.shadow, "entries are left out: they are in shadow, or a rollout has not reached the whole group"),
        (report.clients, "ranges of clients are left out: what excepts them from one feed would lift the whole zone"),
        (report.slow_servers, "rules that leave name servers to TCP are left out: Unbound 1.17 would end at one"),
        (report.special, "special-use names are left out: each resolver has its own answers for those"),
        (report.guarded, "entries at shared parents reach aliases too, which they do not do here"),
        (report.exceptions, "exceptions also spare the aliases and addresses in the answer, which are looked at here"),
        (report.refused, "entries say NXDOMAIN: RPZ cannot say REFUSED"),
    ):
        if count:
            yield f"{count} {sentence}"
    yield from report.unsaid
