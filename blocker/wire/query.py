"""Decides whether a packet is a query that we answer at all, and takes it apart.

Pure: any bytes become a Query or a WireError. Knows nothing of policy. Our own code because it runs for
every query, where a general library takes many times as long.
"""

import struct
from struct import Struct
from typing import Final

from blocker.errors import WireError
from blocker.names import MAX_LABEL, MAX_NAME, Name
from blocker.wire.constants import (
    CD,
    DO,
    HEADER_SIZE,
    MAX_UDP_PLAIN,
    OPCODE,
    OPT,
    OPTION_KEEPALIVE,
    OPTION_SDE,
    QR,
    Rcode,
)
from blocker.wire.response import behind_name

_HEADER: Final = Struct("!HHHHHH")  # id, flags, question, answer, authority and additional counts
_QUESTION: Final = Struct("!HH")  # type, class
_RECORD: Final = Struct("!HHIH")  # type, class, TTL, rdata length; follows the owner's name
_OPTION: Final = Struct("!HH")  # code, length
_VARIANTS: Final = (b"\0", b"\1", b"\2", b"\3")  # the last octet of a key: 1 for DO, 2 for CD
_MAX_ADDITIONAL: Final = 4  # records: OPT and a signature are all that a query carries
_LEGIBLE: Final = 8  # records that are looked at in a packet that is no query: enough to find OPT


class Query:  # written out: the generated __init__ would stay uncompiled
    """One question of one client."""

    __slots__ = (
        "do", "edns", "flags", "keepalive", "key", "packet", "qclass", "qname", "qtype", "question_end",
        "structured", "udp_size",
    )  # fmt: skip

    def __init__(
        self,
        packet: bytes,
        flags: int,
        qname: Name,
        qtype: int,
        qclass: int,
        question_end: int,
        edns: bool,
        do: bool,
        udp_size: int,
        keepalive: bool,
        key: bytes,
    ) -> None:
        self.packet = packet  # as received
        self.flags = flags  # the header's 16 bits
        self.qname = qname  # lower case
        self.qtype = qtype
        self.qclass = qclass
        self.question_end = question_end  # offset behind the question in `packet`
        self.edns = edns
        self.do = do
        self.udp_size = udp_size  # octets the client takes over UDP, at least 512 (RFC 6891 §6.2.3)
        self.keepalive = keepalive  # asked for edns-tcp-keepalive (RFC 7828)
        self.structured = False  # can read structured DNS errors
        self.key = key  # what makes two questions the same for an upstream: name, type, class, DO and CD


def parse_query(packet: bytes) -> Query:
    """Return the query in `packet`.

    Raises WireError: without rcode for what is not a query (nothing may be answered to it, or two
    servers could talk to each other for ever), else with the rcode to answer (RFC 1035 §4.1.1).
    """
    if len(packet) < HEADER_SIZE:
        raise WireError(None, "short")
    _, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(packet)
    if flags & QR:
        raise WireError(None, "response")
    if flags & OPCODE:
        raise WireError(Rcode.NOTIMP, "opcode")
    if questions != 1 or answers or authorities > 1 or additionals > _MAX_ADDITIONAL:
        raise WireError(Rcode.FORMERR, "counts")
    try:
        at = HEADER_SIZE
        while length := packet[at]:
            if length > MAX_LABEL:  # compressed or reserved: a first name has nothing to point to
                raise WireError(Rcode.FORMERR, "label")
            at += 1 + length
        at += 1
        if at - HEADER_SIZE > MAX_NAME:
            raise WireError(Rcode.FORMERR, "name")
        qtype, qclass = _QUESTION.unpack_from(packet, at)
        # bytes.lower() never alters a length octet: those are at most 63, below "A" (65). The type
        # behind the name must stay out of it: 65 (HTTPS) would become 97.
        qname = packet[HEADER_SIZE:at].lower()
        end = at + 4
        query = Query(packet, flags, qname, qtype, qclass, end, False, False, MAX_UDP_PLAIN, False, b"")
        if additionals or authorities or len(packet) != end:
            _read_rest(query, end, authorities, additionals)
        query.key = qname + packet[at:end] + _VARIANTS[(flags & CD) >> 3 | query.do]
    except (IndexError, struct.error):
        raise WireError(Rcode.FORMERR, "truncated") from None
    return query


def legible(packet: bytes) -> tuple[int, bool]:
    """Return what can be read of a packet of at least 12 octets that is no query that we answer.

    That is the offset behind its question, 12 if it has not exactly one, whole, or is of an opcode whose sections mean
    something else; and whether it carries OPT, though that may be what is wrong with it.
    """
    _, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(packet)
    at = end = HEADER_SIZE
    edns = False
    if questions > 1:
        return end, edns
    try:
        if questions:
            while length := packet[at]:
                if length > MAX_LABEL:
                    return end, edns
                at += 1 + length
            at += 1 + _QUESTION.size
            if at > min(len(packet), HEADER_SIZE + MAX_NAME + _QUESTION.size):
                return end, edns
            if not flags & OPCODE:
                end = at
        first = answers + authorities  # of the additional records
        for number in range(min(first + additionals, _LEGIBLE)):
            owner = packet[at]
            at = behind_name(packet, at, Rcode.FORMERR)
            rtype, _, _, length = _RECORD.unpack_from(packet, at)
            edns = edns or (rtype == OPT and not owner and number >= first)
            at += _RECORD.size + length
    except (IndexError, struct.error, WireError):
        pass  # as far as that
    return end, edns


def _read_rest(query: Query, at: int, authorities: int, additionals: int) -> None:
    """Read what follows the question; only OPT means something to us (RFC 6891 §6.1.1)."""
    packet = query.packet
    for number in range(authorities + additionals):
        owner = packet[at]
        at = behind_name(packet, at, Rcode.FORMERR)
        rtype, rclass, ttl, length = _RECORD.unpack_from(packet, at)
        at += _RECORD.size
        if rtype == OPT:
            if owner or query.edns or number < authorities:
                raise WireError(Rcode.FORMERR, "opt")
            query.edns = True
            query.udp_size = max(rclass, MAX_UDP_PLAIN)
            query.do = bool(ttl & DO)
            if ttl >> 16 & 0xFF:  # before the options, which may mean anything in a later version
                raise WireError(Rcode.BADVERS, "version")
            if length:
                _read_options(query, at, length)
        at += length
    if at != len(packet):
        raise WireError(Rcode.FORMERR, "trailing" if at < len(packet) else "truncated")


def _read_options(query: Query, at: int, length: int) -> None:
    end = at + length
    while at < end:
        code, size = _OPTION.unpack_from(query.packet, at)
        at += _OPTION.size + size
        if code == OPTION_KEEPALIVE:
            query.keepalive = True
        elif code == OPTION_SDE and not size:  # one with content is to be passed over
            query.structured = True
    if at != end:
        raise WireError(Rcode.FORMERR, "option")
