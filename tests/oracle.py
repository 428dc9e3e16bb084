"""What the tests share: packets made and read by other people's code, lists as plain tables, a recorder that remembers.

dnspython and dnslib are the oracles: what we build, both must read; what they build, we must read.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dnslib

from blocker import events, names
from blocker.lists.pattern import Pattern
from blocker.policy import Action, Rule, Scope, Trigger, Verdict
from blocker.wire.query import parse_query
from blocker.wire.response import scan

ID = 0xBEEF
STALE, CACHED_ERROR, BLOCKED, STALE_NXDOMAIN, NOT_AUTHORITATIVE, NO_REACHABLE = 3, 13, 15, 19, 20, 22


def ask(name, qtype="A", *, flags="RD", edns=True, do=False, size=1232, options=(), qclass="IN", ident=ID, version=0):
    """Return a query as dnspython writes it; `flags` are words: "RD CD AD"."""
    message = dns.message.make_query(name, qtype, qclass, id=ident)
    message.flags = dns.flags.from_text(flags)
    if edns:
        message.use_edns(version, dns.flags.DO if do else 0, size, options=list(options))
    return message.to_wire()


KEEPALIVE = dns.edns.GenericOption(11, b"")
COOKIE = dns.edns.GenericOption(10, bytes(range(8)))


def said(query, answer="", *, authority="", additional="", rcode="NOERROR", flags="RD RA", ede=(), edns=True):
    """Return what an upstream says to `query` (a packet): records are text, one a line, `name ttl type rdata`."""
    message = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
    message.flags = dns.flags.from_text(flags + " QR")
    message.set_rcode(dns.rcode.from_text(rcode))
    for section, text in ((message.answer, answer), (message.authority, authority), (message.additional, additional)):
        section.extend(records(text))
    options = [dns.edns.EDEOption(code, text) for code, text in ede]
    message.use_edns(0 if edns else -1, 0, 1232, options=options)
    message.set_rcode(dns.rcode.from_text(rcode))
    return message.to_wire(max_size=65535)


def records(text):
    """Return the records written in `text`, one a line."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        owner, ttl, rtype, rdata = line.split(None, 3)
        data = dns.rdata.from_text("IN", rtype, rdata, origin=dns.name.root, relativize=False)
        found.append(dns.rrset.from_rdata(dns.name.from_text(owner), int(ttl), data))
    return found


def response(answer="", *, name="www.example.com", qtype="A", **more):
    """Return a scanned response to a question for `name`."""
    packet = ask(name, qtype)
    return scan(said(packet, answer, **more), parse_query(packet).question_end, dns.rdatatype.from_text(qtype))


def read(wire):
    """Return `wire` as dnspython reads it, having made sure that it is whole and that dnslib reads the same."""
    message = dns.message.from_wire(wire)
    other = dnslib.DNSRecord.parse(wire)
    assert (other.header.id, other.header.bitmap & 0x0F) == (message.id, message.rcode() & 0x0F)
    assert len(other.rr) == sum(map(len, message.answer))
    assert len(other.auth) == sum(map(len, message.authority))
    assert len(other.ar) == sum(map(len, message.additional)) + (message.edns >= 0)
    return message


def heard(wire):
    """Return what a client reads in `wire`: rcode, flags, records as text, extended errors."""
    if wire is None:
        return Heard("silence")
    message = read(wire)
    return Heard(
        dns.rcode.to_text(message.rcode()),
        {word for word in dns.flags.to_text(message.flags).split() if word != "QR"},
        *(sorted(_lines(section)) for section in (message.answer, message.authority, message.additional)),
        [int(option.code) for option in message.options if isinstance(option, dns.edns.EDEOption)],
        " ".join(option.text or "" for option in message.options if isinstance(option, dns.edns.EDEOption)),
        [int(option.otype) for option in message.options],
        message.edns >= 0,
        bool(message.ednsflags & dns.flags.DO) and message.edns >= 0,
    )


@dataclass
class Heard:
    """One answer, as a client would print it."""

    rcode: str
    flags: set[str] = field(default_factory=set)
    answer: list[str] = field(default_factory=list)
    authority: list[str] = field(default_factory=list)
    additional: list[str] = field(default_factory=list)
    ede: list[int] = field(default_factory=list)
    text: str = ""
    options: list[int] = field(default_factory=list)
    edns: bool = False
    do: bool = False


def _lines(section):
    for rrset in section:
        for rdata in rrset:
            owner = rrset.name.to_text(omit_final_dot=len(rrset.name) > 1)
            yield f"{owner} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {rdata.to_text()}"


def lines(text):
    """Return records written as text in the form of `Heard.answer`."""
    return sorted(_lines(records(text)))


class Loaded:
    """The lists that are loaded, as `clients.Clients` must know them: the ids of their apps, rules about clients."""

    def __init__(self, apps, *rules):
        self.apps = dict.fromkeys(apps, 1)
        self.judges_clients = bool(rules)
        self._rules = rules

    def find_client(self, address):
        """Return the rules about the client, the longest prefix first."""
        found = [(ip_network(rule.value), rule) for rule in self._rules]
        return tuple(
            rule for network, rule in sorted(found, key=lambda pair: -pair[0].prefixlen)
            if ip_address(address) in network
        )  # fmt: skip


class Table:
    """The reference index: every rule in a plain table. What `lists.index.Index` must say, slowly and surely."""

    def __init__(self, *rules):
        self._rules = [rule for rule in rules if rule.trigger is None]
        self._ranges = [(ip_network(rule.value), rule) for rule in self._rules if rule.scope is Scope.CIDR]
        self._server_names = [rule for rule in rules if rule.trigger is Trigger.NSDNAME]
        self._server_ranges = [(ip_network(rule.value), rule) for rule in rules if rule.trigger is Trigger.NSIP]
        self.judges_server_addresses = bool(self._server_ranges)
        self.judges_servers = bool(self._server_names or self._server_ranges)

    def find(self, name):
        """Return the rules that match: listed names from the most specific up, then the patterns."""
        levels = [tuple(_listed(self._rules, upper, name)) for upper in names.parents(name)]
        patterns = (rule for rule in self._rules if rule.scope is Scope.PATTERN)
        levels.append(tuple(rule for rule in patterns if Pattern.parse(rule.value).matches(name)))
        return tuple(level for level in levels if level)

    def find_address(self, address):
        """Return the rules whose range holds the address, the longest prefix first."""
        return _holding(self._ranges, address)

    def find_server(self, name):
        """Return the rules about a name server of this name, the most specific first."""
        levels = [tuple(_listed(self._server_names, upper, name)) for upper in names.parents(name)]
        return tuple(level for level in levels if level)

    def find_server_address(self, address):
        """Return the rules about a name server at the address, the longest prefix first."""
        return _holding(self._server_ranges, address)


def _holding(ranges, address):
    found = [pair for pair in ranges if ip_address(address) in pair[0]]
    return tuple(rule for _, rule in sorted(found, key=lambda pair: -pair[0].prefixlen))


def _listed(rules, upper, name):
    for rule in rules:
        exact = rule.scope is Scope.EXACT and upper == name
        if (exact or rule.scope is Scope.SUFFIX) and names.from_text(rule.value) == upper:
            yield rule


def rule(value, app="tiktok", *, allow=False, line=1, **more):
    """Return a rule by the short form of its value: `=name` exact, `a.**` or `*` a pattern, a prefix, else a suffix."""
    scope, value = _scope(value)
    return Rule(app, value, scope, allow, f"{app}.yaml:{line}", **{"origin": f"{app}.yaml"} | more)


def _scope(value):
    if value.startswith("="):
        return Scope.EXACT, value[1:]
    if "*" in value:
        return Scope.PATTERN, value
    if "/" in value:
        return Scope.CIDR, value
    return Scope.SUFFIX, value


class Journal:
    """A recorder that remembers everything."""

    def __init__(self):
        self.endings = []  # labels of each query
        self.lines = []  # (flags, tail) of each journaled one
        self.reasons = []
        self.bugs = []
        self._made = {}

    def outcome(self, labels, *, attempt):
        """Return the outcome with these labels."""
        key = labels, attempt
        if key not in self._made:
            self._made[key] = events.Outcome(len(self._made), events.ENDINGS.index(labels.ending), attempt), labels
        return self._made[key][0]

    def record(self, outcome, client, duration, tail, flags):
        """Remember one query."""
        self.endings.append(next(labels for made, labels in self._made.values() if made is outcome))
        if flags:
            self.lines.append((flags, tail))

    def give(self, given):
        """Remember one query that the drain answered."""
        self.endings.append(next(labels for made, labels in self._made.values() if made.cell == given.cell))
        if given.flags:
            self.lines.append((given.flags, given.tail))

    def malformed(self, reason):
        """Remember a packet that was no query."""
        self.reasons.append(reason)

    def bug(self, error):
        """Remember a bug."""
        self.bugs.append(error)


def verdict(action, listed=None, trigger=Trigger.QNAME, **more):
    """Return a verdict with a rule that says a little of everything."""
    if listed is None:
        listed = rule("tiktok.com", title="TikTok", reason="banned on government devices", reference="ca-1")
    return Verdict(Action(action), trigger, listed, **more)


def taken(region, limit=10_000):
    """Return the next journal records of a region, and give their room back."""
    records = region.read(limit)
    region.release()
    return records
