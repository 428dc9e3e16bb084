"""Takes an upstream's response apart into what the cache and the policy must know.

Pure: any bytes become a Response or a WireError. It decides nothing about what the response says.
Whether the packet is the reply we await was settled before (upstream/exchange.py).
"""

import struct
from collections.abc import Iterator
from struct import Struct
from typing import Final

from blocker.errors import WireError
from blocker.names import MAX_LABEL, MAX_NAME, Name
from blocker.wire.constants import (
    AAAA,
    CNAME,
    DNAME,
    HEADER_SIZE,
    HTTPS,
    OPT,
    OPTION_EDE,
    RCODE,
    SOA,
    SVC_ECH,
    SVC_IPV4HINT,
    SVC_IPV6HINT,
    SVCB,
    A,
    Rcode,
)

_COUNTS: Final = Struct("!HHHH")
_RECORD: Final = Struct("!HHIH")
_PAIR: Final = Struct("!HH")
_LONG: Final = Struct("!L")
_NAMES_IN_RDATA: Final = {  # type: (octets before the names, number of names)
    **dict.fromkeys((2, 3, 4, CNAME, 7, 8, 9, 12, DNAME), (0, 1)),
    **dict.fromkeys((SOA, 14, 17), (0, 2)),
    **dict.fromkeys((15, 18, 21, 36), (2, 1)),
    33: (6, 1),
}
_QNAME: Final = 0xC000 | HEADER_SIZE  # an owner written as a pointer to the question's name
_TELLING: Final = frozenset((A, AAAA, SVCB, HTTPS))  # types that tell a client where to connect
_MAX_POINTERS: Final = 126  # a name of 255 octets has at most 127 labels
MAX_TTL: Final = 0x7FFFFFFF  # seconds; with the top bit set a TTL counts as 0 (RFC 2181 §8)


class Response:  # written out: the generated __init__ would stay uncompiled
    """What an upstream said about one question, without the hop-by-hop parts (id, OPT)."""

    __slots__ = (
        "addresses", "aliases", "answered", "counts", "ede", "flags", "greatest_ttl", "has_ech", "least_ttl",
        "negative_ttl", "rcode", "sections", "ttl_offsets",
    )  # fmt: skip

    def __init__(
        self,
        flags: int,
        rcode: int,
        counts: tuple[int, int, int],
        sections: bytes,
        ttl_offsets: tuple[int, ...],
        least_ttl: int | None,
        greatest_ttl: int,
        negative_ttl: int | None,
        answered: bool,
        aliases: tuple[Name, ...],
        addresses: tuple[bytes, ...],
        has_ech: bool,
        ede: bytes,
    ) -> None:
        self.flags = flags  # the header's 16 bits
        self.rcode = rcode  # with the OPT record's upper bits (RFC 6891 §6.1.3)
        self.counts: tuple[int, int, int] = counts  # answer, authority, additional; OPT not counted
        self.sections = (
            sections  # all records, as on the wire; compression offsets hold while the question's length does
        )
        self.ttl_offsets: tuple[int, ...] = ttl_offsets  # of each TTL in `sections`
        self.least_ttl: int | None = least_ttl  # seconds; None without records
        self.greatest_ttl = greatest_ttl  # seconds
        self.negative_ttl: int | None = (
            negative_ttl  # seconds: the lesser of the SOA's TTL and its minimum (RFC 2308 §5); None without SOA
        )
        self.answered = answered  # the answer section holds a record of the type that was asked
        self.aliases: tuple[Name, ...] = (
            aliases  # targets of CNAME, DNAME, SVCB and HTTPS; owners of addresses other than the qname
        )
        self.addresses: tuple[bytes, ...] = addresses  # A, AAAA, and the hints of SVCB and HTTPS (RFC 9460 §7.3)
        self.has_ech = has_ech
        self.ede = ede  # the extended errors, as EDNS options on the wire; often empty


def scan(wire: bytes, question_end: int, qtype: int) -> Response:
    """Return what `wire` says; its question, of type `qtype`, ends at offset `question_end`.

    Raises WireError (rcode SERVFAIL) when a record is malformed: nothing of such a message may be told.
    """
    try:
        return _scan(wire, question_end, qtype)
    except (IndexError, struct.error):
        raise WireError(Rcode.SERVFAIL, "truncated") from None


def _scan(wire: bytes, base: int, qtype: int) -> Response:
    flags = wire[2] << 8 | wire[3]
    _, answers, authorities, additionals = _COUNTS.unpack_from(wire, 4)
    rcode = flags & RCODE
    offsets: list[int] = []
    aliases: list[Name] = []
    addresses: list[bytes] = []
    least = MAX_TTL
    greatest = 0
    negative: int | None = None
    answered = has_ech = False
    ede = b""
    opt_start = opt_end = 0
    at = base
    unpack = _RECORD.unpack_from
    # What is in the additional section nobody asked for, but for HTTPS and SVCB, where it saves a round trip: it
    # would be addresses of names that nobody has decided on.
    keeps_additional = qtype == SVCB or qtype == HTTPS
    additional_start = 0
    owners = {_QNAME}
    for number in range(answers + authorities + additionals):
        start = at
        if number == answers + authorities:
            additional_start = at
        length = wire[at]
        at = at + 2 if length >= 0xC0 else at + 1 if length == 0 else behind_name(wire, at)
        rtype, _, ttl, size = unpack(wire, at)
        rdata = at + 10
        end = rdata + size
        if end > len(wire):
            raise WireError(Rcode.SERVFAIL, "truncated")
        if rtype == OPT:
            if opt_end or number < answers + authorities:
                raise WireError(Rcode.SERVFAIL, "opt")
            opt_start, opt_end = start, end
            rcode |= ttl >> 24 << 4
            ede = _extended_errors(wire, rdata, end)
            at = end
            continue
        if number < answers:
            if rtype == qtype:
                answered = True
        elif number >= answers + authorities and not keeps_additional:
            at = end
            continue
        offsets.append(at + 4 - base)
        if ttl > MAX_TTL:
            ttl = 0
        if ttl < least:
            least = ttl
        if ttl > greatest:
            greatest = ttl
        pointer = length << 8 | wire[start + 1] if length >= 0xC0 else 0
        if pointer not in owners and rtype in _TELLING:  # it may answer for another name than the one that was asked
            if pointer:
                owners.add(pointer)
            owner = read_name(wire, start).lower()
            # Against the last alone: against all of them a message full of owners would take a tenth of a second.
            if (not aliases or owner != aliases[-1]) and owner != wire[HEADER_SIZE : base - 4].lower():
                aliases.append(owner)
        if rtype == A or rtype == AAAA:
            if size != (4 if rtype == A else 16):
                raise WireError(Rcode.SERVFAIL, "address")
            addresses.append(wire[rdata:end])
        elif rtype == CNAME or rtype == DNAME:
            aliases.append(_whole_name(wire, rdata, end))
        elif rtype == SVCB or rtype == HTTPS:
            has_ech |= _service(wire, rdata, end, aliases, addresses)
        elif rtype == SOA and answers <= number < answers + authorities:
            behind = behind_name(wire, behind_name(wire, rdata))
            if behind + 20 != end:
                raise WireError(Rcode.SERVFAIL, "soa")
            negative = min(ttl, _LONG.unpack_from(wire, behind + 16)[0], MAX_TTL)
        at = end
    if at != len(wire):
        raise WireError(Rcode.SERVFAIL, "trailing")
    sections = wire[base:]
    if additionals and not keeps_additional:
        sections = wire[base:additional_start]
        additionals = 0
    elif opt_end:
        additionals -= 1
        sections = wire[base:opt_start]
        if opt_end != len(wire):  # records behind OPT: cutting it out would break their compression
            return _scan(reordered(wire, base, answers + authorities + additionals + 1), base, qtype)
    if has_ech:  # `without_ech` writes the message anew, and no name in it may be in the way then
        for _ in records(wire, base, answers + authorities + additionals):
            pass
    return Response(
        flags,
        rcode,
        (answers, authorities, additionals),
        sections,
        tuple(offsets),
        least if offsets else None,
        greatest,
        negative,
        answered,
        tuple(aliases),
        tuple(addresses),
        has_ech,
        ede,
    )


def behind_name(wire: bytes, at: int, rcode: Rcode = Rcode.SERVFAIL) -> int:
    """Return the offset behind the name at `at`; pointers are not followed.

    Raises WireError with `rcode`, what the sender of a malformed message should hear, or IndexError.
    """
    while length := wire[at]:
        if length >= 0xC0:
            return at + 2
        if length > MAX_LABEL:
            raise WireError(rcode, "label")
        at += 1 + length
    return at + 1


def read_name(wire: bytes, at: int) -> bytes:
    """Return the name at `at`, spelled as there, pointers followed (RFC 1035 §4.1.4).

    A pointer must lead backwards, so that no chain is endless. Raises WireError or IndexError.
    """
    parts = []
    size = 1
    pointers = 0
    limit = at
    while length := wire[at]:
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | wire[at + 1]
            pointers += 1
            if target >= limit or target < HEADER_SIZE or pointers > _MAX_POINTERS:
                raise WireError(Rcode.SERVFAIL, "pointer")
            at = limit = target
            continue
        if length > MAX_LABEL:
            raise WireError(Rcode.SERVFAIL, "label")
        size += 1 + length
        if size > MAX_NAME or at + 1 + length > len(wire):
            raise WireError(Rcode.SERVFAIL, "name")
        parts.append(wire[at : at + 1 + length])
        at += 1 + length
    parts.append(b"\0")
    return b"".join(parts)


def service_parameters(wire: bytes, at: int, end: int) -> list[tuple[int, bytes]]:
    """Return the keys and values of an SVCB record's parameters (RFC 9460 §2.2). Raises WireError, struct.error."""
    found = []
    while at < end:
        key, size = _PAIR.unpack_from(wire, at)
        at += _PAIR.size
        if at + size > end:
            raise WireError(Rcode.SERVFAIL, "svcb")
        found.append((key, wire[at : at + size]))
        at += size
    return found


def records(wire: bytes, at: int, total: int) -> Iterator[tuple[bytes, int, int, int, bytes]]:
    """Yield owner, type, class, TTL and rdata of `total` records from offset `at`, all names uncompressed.

    The slow way round, for messages that must be written anew. Raises WireError, IndexError, struct.error.
    """
    for _ in range(total):
        owner = read_name(wire, at)
        at = behind_name(wire, at)
        rtype, rclass, ttl, size = _RECORD.unpack_from(wire, at)
        rdata, at = at + 10, at + 10 + size
        if at > len(wire):
            raise WireError(Rcode.SERVFAIL, "truncated")
        yield owner, rtype, rclass, ttl, _expanded(wire, rtype, rdata, at)


def reordered(wire: bytes, base: int, total: int) -> bytes:
    """Return `wire` with its OPT record last and all names uncompressed."""
    parts = sorted(records(wire, base, total), key=lambda record: record[1] == OPT)
    return wire[:base] + b"".join(
        owner + _RECORD.pack(rtype, rclass, ttl, len(rdata)) + rdata for owner, rtype, rclass, ttl, rdata in parts
    )


def _expanded(wire: bytes, rtype: int, at: int, end: int) -> bytes:
    """Return rdata with its names written out; only old types may compress theirs (RFC 3597 §4)."""
    prefix, named = _NAMES_IN_RDATA.get(rtype, (0, 0))
    parts = [wire[at : at + prefix]]
    at += prefix
    for _ in range(named):
        parts.append(read_name(wire, at))
        at = behind_name(wire, at)
    if at > end:
        raise WireError(Rcode.SERVFAIL, "rdata")
    return b"".join(parts) + wire[at:end]


def _whole_name(wire: bytes, at: int, end: int) -> Name:
    if behind_name(wire, at) != end:
        raise WireError(Rcode.SERVFAIL, "rdata")
    return read_name(wire, at).lower()


def _service(wire: bytes, rdata: int, end: int, aliases: list[Name], addresses: list[bytes]) -> bool:
    """Collect an SVCB record's target and hints; tell whether it carries ech."""
    target_end = behind_name(wire, rdata + 2)
    if target_end > end:
        raise WireError(Rcode.SERVFAIL, "svcb")
    target = read_name(wire, rdata + 2).lower()
    if len(target) != target_end - rdata - 2:  # compressed, which it must not be (RFC 9460 §2.2)
        raise WireError(Rcode.SERVFAIL, "svcb")
    if target != b"\0":  # "." is the owner itself (RFC 9460 §2.5), which was looked at already
        aliases.append(target)
    has_ech = False
    for key, value in service_parameters(wire, target_end, end):
        if key == SVC_ECH:
            has_ech = True
        elif key == SVC_IPV4HINT or key == SVC_IPV6HINT:
            step = 4 if key == SVC_IPV4HINT else 16
            if not value or len(value) % step:
                raise WireError(Rcode.SERVFAIL, "svcb")
            addresses.extend(value[at : at + step] for at in range(0, len(value), step))
    return has_ech


def _extended_errors(wire: bytes, at: int, end: int) -> bytes:
    found = b""
    while at < end:
        code, size = _PAIR.unpack_from(wire, at)
        behind = at + _PAIR.size + size
        if behind > end:
            raise WireError(Rcode.SERVFAIL, "option")
        if code == OPTION_EDE and size >= 2 and len(found) + size <= 256:
            found += wire[at:behind]
        at = behind
    return found
