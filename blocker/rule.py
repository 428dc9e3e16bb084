"""What a line of a list says, in RPZ's words: which names or addresses, and what happens to them. Decides nothing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from blocker import names
from blocker.names import Name


class Action(StrEnum):
    """What happens to a query or an answer; RPZ's words, with SINKHOLE for Local-Data."""

    PASSTHRU = "passthru"
    SINKHOLE = "sinkhole"
    NXDOMAIN = "nxdomain"
    NODATA = "nodata"
    REFUSED = "refused"
    DROP = "drop"
    LOOPBACK = "loopback"  # localhost answers 127.0.0.1 and ::1 (RFC 6761 §6.3)
    TCP_ONLY = "tcp-only"  # nothing over UDP but the word to ask over TCP, where it is as an exception


class Trigger(StrEnum):
    """What matched."""

    NONE = "none"
    CLIENT_IP = "client-ip"  # the address of who asks
    NSDNAME = "nsdname"  # the name of a name server of the zone that an answer is from, or of one above it
    NSIP = "nsip"  # the address of such a server
    QNAME = "qname"  # the name that was asked
    ALIAS = "alias"  # a CNAME, DNAME or SVCB/HTTPS target inside the answer
    RESPONSE_IP = "response-ip"  # an address or an address hint inside the answer
    SNI = "sni"  # the server name in a TLS ClientHello
    QUIC_SNI = "quic-sni"  # the server name in a QUIC Initial
    HTTP_HOST = "http-host"  # the Host of a plain HTTP request
    MMTLS = "mmtls"  # a record or request of WeChat's own protocol
    ADDRESS = "address"  # the destination of a packet
    FOREIGN_DNS = "foreign-dns"  # a question to a resolver that is not ours
    UNRESOLVED = "unresolved"  # a connection to an address that our DNS did not tell that client


class Scope(StrEnum):
    """Which names a rule covers."""

    SUFFIX = "suffix"  # the name and everything below it
    BELOW = "below"  # everything below the name, not itself (RPZ's *.name)
    EXACT = "exact"  # the name alone
    PATTERN = "pattern"  # names that fit a bounded pattern (lists/pattern.py)
    CIDR = "cidr"  # addresses


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of one list, as the index gives it back."""

    app: str
    value: str  # as written in the list
    scope: Scope
    allow: bool  # an exception
    source: str  # file:line, so that a block can be traced to the line that caused it
    reference: str = ""  # id of the legal decision it rests on
    reason: str = ""  # one sentence for the blocked client
    title: str = ""  # the app's name for people
    answer: Action | None = None  # overrides the group's action (canaries)
    guarded: bool = False  # lies at or above a shared CDN parent: never applied to aliases
    quiet: bool = False  # house-keeping (special names): counted, but not an attempt worth a log line
    feed: bool = False  # from somebody else's list: as an exception it reaches that app's names of feeds only
    shadow: bool = False  # its list only tries it out: noted as what it would have done, never enforced
    origin: str = ""  # the feed's name, else the file's without its folder: what a rollout may be about
    trigger: Trigger | None = None  # what it is about, where that is neither a name nor an address in an answer


class Matcher(Protocol):
    """A pattern of names (lists/pattern.py)."""

    def matches(self, name: Name) -> bool:
        """Tell whether `name` fits."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """An exception that people have approved (docs/exceptions.md), as long as it is in force.

    It lifts blocks from names, from an app, or where both are said from an app's blocks of those names. Not to be
    confused with an exception in a list (`Rule.allow`), which has no end and nobody's approval.
    """

    id: str
    ticket: str = ""
    scope: Scope | None = None  # SUFFIX, EXACT or PATTERN; None: whatever the app blocks
    name: Name = b""
    pattern: Matcher | None = None
    app: str = ""  # empty: all apps, but not what is only house-keeping (`Rule.quiet`): that must be named

    def covers(self, name: Name) -> bool:
        """Tell whether `name` is one of its names."""
        if self.scope is Scope.SUFFIX:
            return names.is_below(name, self.name)
        if self.scope is Scope.EXACT:
            return name == self.name
        return self.pattern is not None and self.pattern.matches(name)

    def lifts(self, rule: Rule) -> bool:
        """Tell whether it lifts a block by `rule`, if the name is one of its own."""
        return rule.app == self.app if self.app else not rule.quiet
