"""Which name servers is a name from? Learned through our own upstreams, since a forwarder meets none itself.

Pure. Walks from a name up to the zones above it, the top-level domain left out (as BIND does: `min-ns-dots 1`), by
what upstreams have said, and says what is still to be asked. The servers that an answer came from are those of its
zone as the zone itself names them (RFC 1034 §4.2.2), which is all that a forwarder can see.
"""

from collections.abc import Callable, Iterable
from typing import Final

from blocker import names
from blocker.errors import WireError
from blocker.names import Name
from blocker.wire.constants import AAAA, NOERROR, NS, NXDOMAIN, SOA, YXDOMAIN, A
from blocker.wire.query import Query, parse_query
from blocker.wire.response import Response, records

MAX_ZONES: Final = 16  # look-ups on the way up; a name that needs more is not told
MAX_SERVERS: Final = 64  # over all zones; more are not told
_HEAD: Final = b"\0\0\1\0\0\1\0\0\0\0\0\0"  # RD, one question

Say = Callable[[bytes], Response | None]  # what upstreams have said to a question (Query.key); None: not asked yet


class Servers:  # written out: the generated __init__ would stay uncompiled
    """What is known of the name servers of a name."""

    __slots__ = ("addresses", "failed", "names", "wanted")

    def __init__(self) -> None:
        self.names: list[Name] = []
        self.addresses: list[bytes] = []
        self.wanted: list[Query] = []  # what must be asked before more is known; the first at least
        self.failed: bool = False  # it cannot be learned


def look(say: Say, of: Iterable[Name], *, addresses: bool) -> Servers:
    """Return the name servers of the zones of all names and of those above them, with `addresses` if those matter."""
    found = Servers()
    seen: set[Name] = set()
    for zone in of:
        while names.depth(zone) > 1 and zone not in seen:
            seen.add(zone)
            query = question(zone, NS)
            response = say(query.key) if query is not None else None
            if query is None or len(seen) > MAX_ZONES or (response is not None and not _is_usable(response)):
                found.failed = True
                return found
            if response is None:
                found.wanted.append(query)
                return found
            zone = _read(query, response, found)
    if len(found.names) > MAX_SERVERS:
        found.failed = True
    elif addresses:
        _look_up(say, found)
    return found


def question(name: Name, qtype: int) -> Query | None:
    """Return a question of our own; None for an odd name that nobody can ask for."""
    try:
        return parse_query(_HEAD + name + qtype.to_bytes(2) + b"\0\1")
    except WireError:
        return None


def _is_usable(response: Response) -> bool:
    return response.rcode in (NOERROR, NXDOMAIN, YXDOMAIN)


def _read(query: Query, response: Response, found: Servers) -> Name:
    """Add the servers that `response` names, and return where to go on: the next name that may be a zone's.

    The SOA of a denial says which zone the name is in, so that the names between are none. Behind an alias it is
    somebody else's zone.
    """
    zone = query.qname
    above = zone[1 + zone[0] :]
    answers, authorities, additionals = response.counts
    wire = query.packet[: query.question_end] + response.sections
    parts = records(wire, query.question_end, answers + authorities + additionals)
    for number, (owner, rtype, _, _, rdata) in enumerate(parts):
        if number < answers and rtype == NS and owner.lower() == zone:
            name = rdata.lower()
            if name not in found.names:
                found.names.append(name)
        elif rtype == SOA and answers <= number < answers + authorities and not answers and not response.aliases:
            apex = owner.lower()
            if names.is_below(above, apex):
                return apex
    return above


def _look_up(say: Say, found: Servers) -> None:
    """Add the addresses of the servers; a name of which upstream fails to tell any might be the one that is listed."""
    for name in found.names:
        for qtype in (A, AAAA):
            query = question(name, qtype)
            response = say(query.key) if query is not None else None
            if query is None or (response is not None and not _is_usable(response)):
                found.failed = True
            elif response is None:
                found.wanted.append(query)
            else:
                found.addresses += response.addresses
    if found.names and not found.addresses and not found.wanted:
        found.failed = True  # whoever answered has one
