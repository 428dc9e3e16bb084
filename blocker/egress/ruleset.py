"""What may the firewall pass? The table `inet blocker`, as the text that nft(8) reads.

Pure, and the same text for the same configuration and lists. Must not know what the kernel holds now (apply.py does)
nor what is learned later: those sets are declared here and filled by others (sets.py).

A packet of a governed device goes, in this order: connections that were found out on the wire (cut, and what the other
side still says over them) and exclusive addresses of banned apps are refused, established or not; then ways around the
resolver; then QUIC, as the group has it; then the gate, which established flows pass. Chains are called
`<what>_<group>_<trigger>_<app>`, and so are their counters and the prefixes of their reports: refuse, note (a monitored
app, or the gate's audit) or redirect.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from blocker.config import Config, Egress, Endpoint, redirected
from blocker.egress import sets
from blocker.egress.facts import BYPASS, Facts, GroupFacts, Interval, Intervals, of_networks
from blocker.policy import Trigger

UNKNOWN: Final = "unresolved"  # the app of connections that nobody can name
QUIC: Final = "quic"  # refused so that the client falls back to TLS: no attempt of anybody, so not reported
LEARNED: Final = "learned"
CUT: Final = "cut"
SHADOW: Final = "shadow"  # in place of an app: addresses that are only noted although their app is enforced

_TRANSLATING: Final = -105  # just before others translate destinations (dstnat is -100)
SNAP: Final = 512  # octets of a packet in a report: its headers, and a question to a resolver
_SAY: Final = {4: "ip", 6: "ip6"}
_BEGINS: Final = "ct state new,untracked"  # others may have taken packets out of the table of connections
_PORTED: Final = f"meta l4proto @{sets.TRANSPORTS}"
_SHORT: Final = "@th,64,1 0"  # a QUIC packet that begins no connection (RFC 9000 §17.3)
_LOCAL: Final = {  # what a gate on the node itself must never refuse: neighbours, and getting an address
    4: "ip daddr { 224.0.0.0/4, 255.255.255.255 }",
    6: "ip6 daddr { fe80::/10, ff00::/8 }",
}


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The table: what there is in it, and the commands that make it."""

    chains: dict[str, str]  # name: hook, or nothing
    static: dict[str, tuple[str, Sequence[Interval]]]  # name: type, elements
    maps: dict[str, tuple[str, Sequence[tuple[Interval, str]]]]  # name: type, elements with what becomes of a packet
    kept: dict[str, str]  # sets whose elements outlive us: name, what stands in its declaration
    scratch: dict[str, str]  # sets that the rules fill themselves, as above; made anew
    counters: tuple[str, ...]
    rules: tuple[tuple[str, str], ...]  # chain, rule

    @property
    def digest(self) -> str:
        """What these rules are known by: 16 hexadecimal digits."""
        return hashlib.blake2b(self.text().encode(), digest_size=8).hexdigest()

    def text(self) -> str:
        """Return the commands that put the table in an empty place."""
        return "".join(f"{line}\n" for line in (f"add table inet {sets.TABLE}", *self.commands()))

    def commands(self) -> Iterator[str]:
        """Yield the commands after the one that makes the table, one a line."""
        where = f"inet {sets.TABLE}"
        for name, (kind, elements) in self.static.items():
            yield f"add set {where} {name} {{ type {kind}; flags interval; }}"
            yield f"add element {where} {name} {{ {', '.join(map(_written, elements))} }}"
        for name, declared in (*self.kept.items(), *self.scratch.items()):
            yield f"add set {where} {name} {{ {declared} }}"
        yield from (f"add counter {where} {name}" for name in self.counters)
        yield from (f"add chain {where} {name}{f' {{ {hook} }}' if hook else ''}" for name, hook in self.chains.items())
        for name, (kind, verdicts) in self.maps.items():
            yield f"add map {where} {name} {{ type {kind} : verdict; flags interval; }}"
            written = ", ".join(f"{_written(interval)} : {verdict}" for interval, verdict in verdicts)
            yield f"add element {where} {name} {{ {written} }}"
        yield from (f"add rule {where} {chain} {rule}" for chain, rule in self.rules)


def render(config: Config, facts: Facts, upstreams: Sequence[Endpoint] = (), own_uid: int | None = None) -> Ruleset:
    """Return the rules for `config` and what `facts` say of the lists.

    `upstreams` are whom we ask ourselves and `own_uid` is our account: on a node only it may ask them.
    """
    return _Draft(config, facts, upstreams, own_uid).done()


@dataclass(slots=True)
class _Draft:
    config: Config
    facts: Facts
    upstreams: Sequence[Endpoint]
    own_uid: int | None
    chains: dict[str, str] = field(default_factory=dict)
    static: dict[str, tuple[str, Sequence[Interval]]] = field(default_factory=dict)
    maps: dict[str, tuple[str, list[tuple[Interval, str]]]] = field(default_factory=dict)
    counters: set[str] = field(default_factory=set)
    rules: list[tuple[str, str]] = field(default_factory=list)

    def done(self) -> Ruleset:
        self._sets()
        self._ends()
        self._entry()
        for group in self.facts.groups:
            self._group(group)
        return Ruleset(
            dict(sorted(self.chains.items())),
            dict(sorted(self.static.items())),
            dict(sorted(self.maps.items())),
            dict(sorted(_kept(self.facts, self.egress))),
            {sets.sized(sets.NOTED, version): _noted(self.egress, version) for version in sets.VERSIONS},
            tuple(sorted(self.counters)),
            tuple(self.rules),
        )

    @property
    def egress(self) -> Egress:
        return self.config.egress

    # Sets.

    def _sets(self) -> None:
        for app, intervals in self.facts.apps.items():
            self._set(f"app_{app}", intervals)
        self._set(sets.DOH, self.facts.doh)
        self._set("exempt", of_networks(self.egress.exempt))
        for group in self.facts.groups:
            self._set(f"pass_{group.name}", group.passing)
            self._set(f"shadow_{group.name}", group.only_noted)
            self._set(f"static_{group.name}", of_networks(group.handling.static))

    def _set(self, name: str, intervals: Intervals) -> None:
        for version in sets.VERSIONS:
            if intervals[version]:
                self.static[sets.sized(name, version)] = sets.ADDRESS[version], intervals[version]

    # Where packets come in.

    def _entry(self) -> None:
        node = self.egress.mode == "node"
        if node:
            bases = {"output": "output", "nat_output": "output"}
        else:
            bases = {"forward": "forward", "prerouting": "prerouting"}
        (filtering, hook), (translating, nat_hook) = bases.items()
        self.chains[filtering] = f"type filter hook {hook} priority filter - 10; policy accept;"
        self.chains[translating] = f"type nat hook {nat_hook} priority {_TRANSLATING}; policy accept;"
        if self._cuts:
            self._returning("input" if node else "forward")
        for base in (filtering, translating):
            self._outsiders(base, "oifname" if node else "iifname")
            self._to_us(base)
        question = f"{_PORTED} th dport 53"
        for group in self.facts.groups:
            chain, asking = f"group_{group.name}", f"asking_{group.name}"
            self.chains |= {chain: "", asking: ""}
            if node:
                self._rule(filtering, f"goto {chain}")
                self._rule(translating, f"{question} goto {asking}")
                continue
            for version in sets.VERSIONS:
                for name, goal in ((sets.GROUPS, chain), (sets.ASKING, asking)):
                    held = self.maps.setdefault(sets.sized(name, version), (sets.ADDRESS[version], []))[1]
                    held += [(interval, f"goto {goal}") for interval in group.devices[version]]
        self.maps = {name: held for name, held in self.maps.items() if held[1]}
        for version, say in _SAY.items():
            for base, name, which in ((filtering, sets.GROUPS, ""), (translating, sets.ASKING, f"{question} ")):
                if (held_in := sets.sized(name, version)) in self.maps:
                    self._rule(base, f"{which}{say} saddr vmap @{held_in}")

    @property
    def _cuts(self) -> bool:
        return self.egress.watch.enforce

    def _returning(self, hook: str) -> None:
        """Refuse what is still said to a device over a connection that was cut: one answer may be all it wants."""
        chain = f"returning_{hook}"
        self.chains[chain] = f"type filter hook {hook} priority filter - 10; policy accept;"
        self._rule(chain, 'iifname "lo" accept')  # our own reset, on its way to who is refused on this machine
        for version, say in _SAY.items():
            back = f"{say} daddr . {say} saddr . meta l4proto . th dport . th sport"
            self._rule(chain, f"{back} @{sets.sized(sets.CUT, version)} goto refuse")

    def _outsiders(self, base: str, direction: str) -> None:
        """Let everything pass that is not governed."""
        if self.egress.interfaces:
            named = ", ".join(map('"{}"'.format, self.egress.interfaces))
            self._rule(base, f"{direction} != {{ {named} }} accept")
        else:
            self._rule(base, f'{direction} "lo" accept')
        for version, say in _SAY.items():
            if (exempt := sets.sized("exempt", version)) in self.static:
                self._rule(base, f"{say} saddr @{exempt} accept")
        if self.egress.mode == "node" and self.own_uid is not None:
            for version, say in _SAY.items():
                ends = sorted({end for end in self.upstreams if end.address.version == version})
                if ends:
                    listed = ", ".join(f"{end.address} . {end.port}" for end in ends)
                    self._rule(
                        base,
                        f"meta skuid {self.own_uid} {_PORTED} {say} daddr . th dport {{ {listed} }} accept",
                    )

    def _to_us(self, base: str) -> None:
        """Let questions through to where they are redirected to."""
        for version, end in self._resolvers().items():
            if not end.address.is_unspecified:
                self._rule(base, f"{_SAY[version]} daddr {end.address} {_PORTED} th dport {end.port} accept")

    def _resolvers(self) -> dict[int, Endpoint]:
        return dict(sorted(redirected(self.egress, self.config.listen).items()))

    # What a group's packets go through.

    def _group(self, group: GroupFacts) -> None:
        chain = f"group_{group.name}"
        if self._cuts:
            self._cut(group, chain)
        self._rule(chain, f"jump addresses_{group.name}")
        self._addresses(group)
        self._asking(group)
        self._hygiene(group, chain)
        self._quic(group, chain)
        self._gate(group, chain)

    def _cut(self, group: GroupFacts, chain: str) -> None:
        """Refuse what was found out on the wire, and no other connection of the device."""
        counted = f"counter name {self._counter(CUT, group.name, CUT, CUT)} goto refuse"
        for version, say in _SAY.items():
            forth = f"{say} saddr . {say} daddr . meta l4proto . th sport . th dport"
            self._rule(chain, f"{forth} @{sets.sized(sets.CUT, version)} {counted}")
            # QUIC goes on from another port if it can (RFC 9000 §9), and says nothing there that could be looked into.
            place = f"{say} saddr . {say} daddr . udp dport @{sets.sized(sets.MOVED, version)}"
            self._rule(chain, f"{_BEGINS} {_SHORT} {place} {counted}")

    def _addresses(self, group: GroupFacts) -> None:
        chain = f"addresses_{group.name}"
        self.chains[chain] = ""
        for version, say in _SAY.items():
            if group.passing[version]:
                self._rule(chain, f"{say} daddr @{sets.passing(group.name, version)} return")
            if group.only_noted[version]:
                note = self._leaf("note", group, Trigger.ADDRESS, SHADOW)
                self._rule(chain, f"{say} daddr @{sets.sized(f'shadow_{group.name}', version)} goto {note}")
        for app in group.enforced:
            self._to_app(chain, app, "goto", self._leaf("refuse", group, Trigger.ADDRESS, app))
        for app in group.noted:
            self._to_app(chain, app, "jump", self._leaf("note", group, Trigger.ADDRESS, app))

    def _to_app(self, chain: str, app: str, verdict: str, leaf: str) -> None:
        for version, say in _SAY.items():
            if self.facts.apps[app][version]:
                self._rule(chain, f"{say} daddr @{sets.app(app, version)} {verdict} {leaf}")
            if self.egress.learned:  # a flow that was there before lives on: its address may have had another owner
                self._rule(chain, f"{_BEGINS} {say} daddr @{sets.learned(app, version)} {verdict} {leaf}")

    def _asking(self, group: GroupFacts) -> None:
        """Redirect questions to other resolvers; the first packet of a connection alone comes here."""
        chain = f"asking_{group.name}"
        resolvers = self._resolvers()
        what = "redirect" if group.hygienic else "note"
        leaf = self._leaf(what, group, Trigger.FOREIGN_DNS, BYPASS)
        for version, end in resolvers.items():
            to_us = f"to_us_{version}"
            if to_us not in self.chains:
                self.chains[to_us] = ""
                self._rule(to_us, _sent(version, end))
            self._rule(chain, f"meta nfproto ipv{version} fib daddr type local goto {to_us}")
            self._rule(chain, f"meta nfproto ipv{version} jump {leaf}")
            if group.hygienic:
                self._rule(chain, f"meta nfproto ipv{version} goto {to_us}")

    def _hygiene(self, group: GroupFacts, chain: str) -> None:
        """Refuse ways around the resolver; questions that were redirected do not come here, unless to their goal."""
        what = "refuse" if group.hygienic else "note"
        verdict = "goto" if group.hygienic else "jump"
        leaf = self._leaf(what, group, Trigger.FOREIGN_DNS, BYPASS)
        if group.hygienic or not self._resolvers():
            self._rule(chain, f"{_PORTED} th dport 53 {verdict} {leaf}")
        if self.egress.dot == "reject":
            self._rule(chain, f"{_PORTED} th dport @{sets.DOT_PORTS} {verdict} {leaf}")
        if self.egress.doh == "reject":
            for version, say in _SAY.items():
                if self.facts.doh[version]:
                    known = f"{say} daddr @{sets.sized(sets.DOH, version)}"
                    self._rule(chain, f"{known} {_PORTED} th dport != @{sets.RESOLVER_PORTS} {verdict} {leaf}")

    def _quic(self, group: GroupFacts, chain: str) -> None:
        if group.handling.quic == "allow":
            return
        counted = f"counter name {self._counter('refuse', group.name, QUIC, QUIC)} goto refuse"
        if group.handling.quic == "reject":
            self._rule(chain, f"udp dport 443 {counted}")
            return
        for version, say in _SAY.items():
            told = f"{say} saddr . {say} daddr != @{sets.sized(sets.GATE, version)}"
            self._rule(chain, f"udp dport 443 {_BEGINS} {told} {counted}")

    def _gate(self, group: GroupFacts, chain: str) -> None:
        if group.handling.gate == "off":
            return
        self._rule(chain, "ct state established,related accept")
        if self.egress.mode == "node":
            self._rule(chain, "meta l4proto icmpv6 icmpv6 type { 133, 134, 135, 136, 143 } accept")
            for local in _LOCAL.values():
                self._rule(chain, f"{local} accept")
        for version, say in _SAY.items():
            if (stated := sets.static(group.name, version)) in self.static:
                self._rule(chain, f"{say} daddr @{stated} accept")
            self._rule(chain, f"{say} saddr . {say} daddr @{sets.sized(sets.GATE, version)} accept")
        what = "refuse" if group.handling.gate == "enforce" else "note"
        self._rule(chain, f"goto {self._leaf(what, group, Trigger.UNRESOLVED, UNKNOWN)}")

    # How it ends.

    def _ends(self) -> None:
        self.chains["refuse"] = ""
        self._rule("refuse", "meta l4proto tcp reject with tcp reset")
        self._rule("refuse", "reject with icmpx type admin-prohibited")

    def _leaf(self, what: str, group: GroupFacts, trigger: str, app: str) -> str:
        """Return the chain that counts and reports such packets, and refuses them if that is `what` it says."""
        name = self._counter(what, group.name, trigger, app)
        if name in self.chains:
            return name
        self.chains[name] = ""
        if what == "note":
            self._rule(name, "ct state established,related,invalid return")
        self._rule(name, f"counter name {name}")
        report = f'log prefix "{name}" group {self.egress.nflog} snaplen {SNAP}'
        for version, say in _SAY.items():
            key = f"{say} saddr . {say} daddr . meta l4proto . th dport"
            noted = sets.sized(sets.NOTED, version)
            self._rule(name, f"{_PORTED} {key} != @{noted} add @{noted} {{ {key} }} {report}")
            # What found no room there is still not in it: who fills it hides nobody's attempts, and floods no log.
            self._rule(name, f"{_PORTED} {key} != @{noted} limit rate 10/second {report}")
        self._rule(name, f"meta l4proto != @{sets.TRANSPORTS} limit rate 10/minute {report}")
        if what == "refuse":
            self._rule(name, "goto refuse")
        return name

    def _counter(self, what: str, group: str, trigger: str, app: str) -> str:
        name = f"{what}_{group}_{trigger}_{app}"
        self.counters.add(name)
        return name

    def _rule(self, chain: str, rule: str) -> None:
        self.rules.append((chain, rule))


def _kept(facts: Facts, egress: Egress) -> Iterator[tuple[str, str]]:
    """Yield the sets whose elements outlive a reload, and those that are always the same.

    Those are no part of the rules that look at them, since the kernel takes its time to find names for such parts.
    """
    yield sets.TRANSPORTS, "type inet_proto; elements = { tcp, udp };"
    yield sets.DOT_PORTS, "type inet_service; elements = { 853, 8853 };"
    yield sets.RESOLVER_PORTS, "type inet_service; elements = { 53, 853, 8853 };"
    for version in sets.VERSIONS:
        for app in facts.apps if egress.learned else ():
            kind = sets.ADDRESS[version]
            yield sets.learned(app, version), f"type {kind}; flags timeout; size {sets.LEARNED_SIZE};"
        yield sets.sized(sets.GATE, version), f"type {sets.PAIR[version]}; flags timeout; size {sets.GATE_SIZE};"
        for name, kind in ((sets.CUT, sets.CONNECTION[version]), (sets.MOVED, sets.PLACE[version])):
            yield sets.sized(name, version), f"type {kind}; flags timeout; size {sets.CUT_SIZE};"


def _noted(egress: Egress, version: int) -> str:
    return f"type {sets.FLOW[version]}; flags dynamic,timeout; timeout {egress.log_interval}s; size {sets.NOTED_SIZE};"


def _sent(version: int, end: Endpoint) -> str:
    """Return the statement that sends a packet to `end`."""
    if end.address.is_unspecified or end.address.is_loopback:
        return f"meta l4proto {{ tcp, udp }} redirect to :{end.port}"
    host = f"[{end.address}]" if version == 6 else str(end.address)
    return f"meta l4proto {{ tcp, udp }} dnat {_SAY[version]} to {host}:{end.port}"


def _written(interval: Interval) -> str:
    first, last = interval
    return str(ip_address(first)) if first == last else f"{ip_address(first)}-{ip_address(last)}"


def parts(name: str) -> tuple[str, str, str, str] | None:
    """Return what, group, trigger and app of a counter or a report; None: it is not one of ours.

    Devices for which an exception holds have chains of their own (facts.py); they are of their group all the same.
    """
    said = name.split("_")
    return (said[0], said[1].partition(".")[0], said[2], said[3]) if len(said) == 4 else None
