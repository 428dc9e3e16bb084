"""A policy zone as text that BIND, Unbound, PowerDNS Recursor and Knot load (RFC 1035 §5).

One record a line, owners relative to $ORIGIN. The first lines are the header, always as many; what follows is
the same text for the same policy, so that two versions can be compared line by line.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from blocker import names
from blocker.answer import LOOPBACK, Wording
from blocker.lists.index import Index
from blocker.names import Name
from blocker.policy import Policy
from blocker.rpz import zone
from blocker.rpz.zone import Report, Trigger, Word

HEADER_LINES: Final = 5

REFRESH: Final = 300  # seconds between looks at the serial: NOTIFY is what makes it quick
RETRY: Final = 60  # seconds
EXPIRE: Final = 2_592_000  # seconds, a month: a resolver that cannot reach us keeps the ban for that long
_PERSON: Final = "hostmaster.blocker.invalid."
_SERVER: Final = "blocker.invalid."  # nobody asks it: whom to transfer from is configured


def header(origin: Name, serial: int, ttl: int) -> str:
    """Return the first HEADER_LINES lines of the zone `origin`; `ttl` seconds on every record."""
    soa = soa_data(serial, ttl)
    return (
        f"; response policy zone, made by blocker\n$ORIGIN {_absolute(origin)}\n$TTL {ttl}\n"
        f"@ SOA {soa}\n@ NS {_SERVER}\n"
    )


def soa_data(serial: int, ttl: int) -> str:
    """Return the rdata of the zone's SOA as text."""
    return f"{_SERVER} {_PERSON} {serial} {REFRESH} {RETRY} {EXPIRE} {ttl}"


def records(index: Index, policy: Policy, wording: Wording, origin: Name, report: Report) -> Iterator[str]:
    """Yield the lines below the header: what `policy` is in RPZ's words; `report` is filled on the way."""
    return _lines(zone.triggers(index, policy, origin, report), wording)


def _lines(triggers: Iterable[Trigger], wording: Wording) -> Iterator[str]:
    ends = {word: [f" CNAME {word}\n"] for word in Word} | {
        Word.SINKHOLE: _local_data(wording),
        Word.LOOPBACK: _local_data(LOOPBACK),
    }
    for owner, word in triggers:
        for end in ends[word]:
            yield owner + end


def _local_data(wording: Wording) -> list[str]:
    """Return the ends of lines that give the sinkhole's addresses; without any: the name has no such records."""
    found = [f" A {IPv4Address(address)}\n" for address in wording.sinkhole_v4]
    found += [f" AAAA {IPv6Address(address)}\n" for address in wording.sinkhole_v6]
    return found or [f" CNAME {Word.NODATA}\n"]


def _absolute(name: Name) -> str:
    return f"{names.to_text(name)}." if name != names.ROOT else "."
