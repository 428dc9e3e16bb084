"""Zone text as records on the wire, and messages that carry them, signed where the query was (RFC 5936, RFC 8945).

Knows bytes only. Owners end with a pointer to the question's name, which every message repeats: so a record is the
same octets in every message.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.tsig

from blocker import names
from blocker.rpz import export
from blocker.wire.constants import HEADER_SIZE, QR, A, Rcode

CNAME: Final = 5
NS: Final = 2
SOA: Final = 6
AAAA: Final = 28
TSIG: Final = 250
IN: Final = 1
AA: Final = 0x0400
SIZE: Final = 60_000  # octets of records in one message, so that a signature fits beside them

_HEADER: Final = Struct("!HHHHHH")
_FIXED: Final = Struct("!HHIH")  # type, class, TTL, rdata length
_ORIGIN: Final = (0xC000 | HEADER_SIZE).to_bytes(2)  # a pointer to the question's name
_FUDGE: Final = 300  # seconds that clocks may differ (RFC 8945 §10)
_MEMO: Final = 4096


class Reply:
    """The messages of one answer; each is signed with the key and onto the signature of the one before it."""

    def __init__(self, query: dns.message.Message) -> None:
        """Answer `query`, which has one question; its signature, if any, has been verified."""
        asked = query.question[0]  # not as it lies in the packet, where the name may be a pointer
        name = asked.name.to_wire()
        assert name is not None
        self._question = name + asked.rdtype.to_bytes(2) + asked.rdclass.to_bytes(2)
        self._id = query.id
        self._opcode = query.flags & 0x7800
        self._key = query.keyring if isinstance(query.keyring, dns.tsig.Key) else None
        self._mac = query.mac if query.had_tsig else b""
        self._context: dns.tsig.HMACTSig | dns.tsig.GSSTSig | None = None

    def message(
        self, records: bytes = b"", count: int = 0, rcode: int = Rcode.NOERROR, *, multi: bool = False
    ) -> bytes:
        """Return the next message; `multi`: there are, or were, others of the same answer."""
        flags = QR | (AA if rcode == Rcode.NOERROR else 0) | self._opcode | rcode
        wire = _HEADER.pack(self._id, flags, 1, count, 0, 0) + self._question + records
        if self._key is None:
            return wire
        blank = dns.rdtypes.ANY.TSIG.TSIG(  # type: ignore[no-untyped-call]
            dns.rdataclass.ANY, dns.rdatatype.TSIG, self._key.algorithm, 0, _FUDGE, b"", self._id, 0, b""
        )
        signed, self._context = dns.tsig.sign(  # type: ignore[no-untyped-call]
            wire, self._key, blank, int(time.time()), self._mac, self._context, multi
        )
        owner, rdata = self._key.name.to_wire(), signed.to_wire()
        assert owner is not None
        record: bytes = owner + _FIXED.pack(TSIG, dns.rdataclass.ANY, 0, len(rdata)) + rdata
        return wire[:10] + (1).to_bytes(2) + wire[HEADER_SIZE:] + record

    def messages(self, records: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the messages that carry `records` over a stream, each as full as it may be."""
        held: list[bytes] = []
        size = 0
        for record in records:
            if size + len(record) > SIZE:
                yield self.message(b"".join(held), len(held), multi=True)
                held, size = [], 0
            held.append(record)
            size += len(record)
        yield self.message(b"".join(held), len(held), multi=True)


def soa(serial: int, ttl: int) -> bytes:
    """Return the zone's SOA record; the same as in the text of export.py."""
    server, person, *numbers = export.soa_data(serial, ttl).split()
    rdata = names.from_text(server) + names.from_text(person) + b"".join(int(each).to_bytes(4) for each in numbers)
    return _ORIGIN + _FIXED.pack(SOA, IN, ttl, len(rdata)) + rdata


def ns(ttl: int) -> bytes:
    """Return the zone's NS record."""
    rdata = names.from_text(export.soa_data(0, 0).split()[0])
    return _ORIGIN + _FIXED.pack(NS, IN, ttl, len(rdata)) + rdata


def encoder(ttl: int) -> Callable[[str], bytes]:
    """Return a function that makes a record of a line of zone text, as export.py writes it."""
    known: dict[str, bytes] = {}  # what stands behind the owner: a handful in a whole zone

    def encode(line: str) -> bytes:
        owner, _, rest = line.partition(" ")
        end = known.get(rest)
        if end is None:
            end = _ORIGIN + _data(rest.rstrip("\n"), ttl)
            if len(known) < _MEMO:
                known[rest] = end
        if "\\" in owner:
            return names.from_text(owner)[:-1] + end
        labels = owner.encode("ascii").split(b".")
        return b"".join([_LENGTHS[len(label)] + label for label in labels]) + end

    return encode


_LENGTHS: Final = [bytes((length,)) for length in range(names.MAX_LABEL + 1)]


def _data(text: str, ttl: int) -> bytes:
    kind, _, value = text.partition(" ")
    if kind == "CNAME":
        number, rdata = CNAME, names.from_text(value)
    elif kind == "A":
        number, rdata = int(A), IPv4Address(value).packed
    else:
        number, rdata = AAAA, IPv6Address(value).packed
    return _FIXED.pack(number, IN, ttl, len(rdata)) + rdata
