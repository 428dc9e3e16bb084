"""Every answer that we compose: blocked, failed, local, told.

Pure: a query and a decision go in, bytes come out. It decides nothing but the wording. No answer is ever
bigger than the client may be sent, and the client's id and spelling come back exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from blocker import names, structured
from blocker.policy import Action, Rule, Verdict
from blocker.structured import NOBODY, Operator
from blocker.wire.constants import (
    AAAA,
    AD,
    ANY,
    CD,
    CLASS_CHAOS,
    DO,
    HEADER_SIZE,
    HINFO,
    MAX_TCP,
    OPCODE,
    OPT,
    OPTION_EDE,
    OPTION_KEEPALIVE,
    OUR_UDP_SIZE,
    QR,
    RA,
    RD,
    SOA,
    TC,
    TXT,
    A,
    Ede,
    Rcode,
)
from blocker.wire.query import Query, legible
from blocker.wire.response import Response

_HEADER: Final = Struct("!HHHHHH")
_RECORD: Final = Struct("!HHHIH")  # owner as a pointer, type, class, TTL, rdata length
_OPT: Final = Struct("!BHHIH")
_OPTION: Final = Struct("!HH")
_LONG: Final = Struct("!L")
_QNAME: Final = 0xC000 | HEADER_SIZE  # a pointer to the question's name
_MAX_TEXT: Final = 200  # octets of an extended error's text: it must never cost a truncation

BLOCK_EDE: Final = {
    "blocked": Ede.BLOCKED,
    "censored": Ede.CENSORED,
    "filtered": Ede.FILTERED,
    "prohibited": Ede.PROHIBITED,
}


@dataclass(frozen=True, slots=True)
class Wording:
    """What the operator chose for the answers to blocked clients."""

    sinkhole_v4: tuple[bytes, ...] = (bytes(4),)
    sinkhole_v6: tuple[bytes, ...] = (bytes(16),)
    ttl: int = 60  # seconds
    stale_ttl: int = 30  # seconds
    ede: Ede = Ede.BLOCKED
    contact: str = ""
    version: str = ""  # for CHAOS version.bind; empty: refused
    keepalive: int = 100  # units of 100 ms a TCP connection may idle (RFC 7828 §3.1)
    operator: Operator = NOBODY  # for structured errors


LOOPBACK: Final = Wording(sinkhole_v4=(bytes((127, 0, 0, 1)),), sinkhole_v6=(bytes(15) + b"\1",))


def addresses(query: Query, verdict: Verdict, wording: Wording) -> Sequence[bytes]:
    """Return the addresses that the answer to a blocked query holds (4 or 16 octets); none: it is negative.

    Who can read a structured error is not led to a sinkhole: the error says it better, and a client does not show
    it beside an answer that looks like one.
    """
    action = verdict.action
    if action is not Action.SINKHOLE and action is not Action.LOOPBACK:
        return ()
    if query.structured and _is_structured(query, verdict, wording):
        return ()
    chosen = LOOPBACK if action is Action.LOOPBACK else wording
    return chosen.sinkhole_v4 if query.qtype == A else chosen.sinkhole_v6 if query.qtype == AAAA else ()


def blocked(query: Query, verdict: Verdict, wording: Wording, limit: int) -> bytes:
    """Return the answer to a query that was blocked; the verdict's action is not PASSTHRU or DROP.

    Negative answers carry an SOA, so that they are kept for `wording.ttl` seconds (RFC 2308 §5). TCP_ONLY is an
    answer over UDP: empty and cut short, so that the client asks over TCP.
    """
    action = verdict.action
    rule = verdict.rule
    # Special names and canaries are no ban: saying that they are blocked would send people to the wrong office.
    options = b""
    ttl = wording.ttl
    if query.structured and _is_structured(query, verdict, wording):
        ttl = min(ttl, structured.MAX_TTL)
        options = _structured_error(query, verdict, wording, limit)
    elif rule is not None and not rule.quiet:
        options = extended_error(wording.ede, _why(rule, wording.contact))
    if action is Action.TCP_ONLY:
        options = b"" if rule is None else extended_error(Ede.OTHER, f"{rule.title or rule.app}: ask over TCP")
        return _assemble(query, RA | TC, (0, 0, 0), b"", options, limit, wording)
    if action is Action.REFUSED:
        return _assemble(query, RA | Rcode.REFUSED, (0, 0, 0), b"", options, limit, wording)
    if given := addresses(query, verdict, wording):
        records = b"".join(
            _RECORD.pack(_QNAME, query.qtype, query.qclass, ttl, len(address)) + address for address in given
        )
        return _assemble(query, RA, (len(given), 0, 0), records, options, limit, wording)
    rcode = Rcode.NXDOMAIN if action is Action.NXDOMAIN else Rcode.NOERROR
    return _assemble(query, RA | rcode, (0, 1, 0), _soa(query.qclass, ttl), options, limit, wording)


def failed(query: Query, rcode: int, limit: int, wording: Wording, options: bytes = b"") -> bytes:
    """Return an answer without records; `options` are EDNS options on the wire, extended errors most often."""
    return _assemble(query, RA | rcode, (0, 0, 0), b"", options, limit, wording)


def malformed(packet: bytes, rcode: int) -> bytes:
    """Return the answer to a packet of at least 12 octets that could not be read as a query; it is no bigger.

    The header comes back (RFC 1035 §4.1.1), and the question where it is whole: some clients take no answer without.
    So does an OPT record where there was one (RFC 6891 §6.1.1), with the rcode's upper bits and our version, 0
    (§6.1.3): without it, FORMERR says that we know no EDNS at all.
    """
    end, edns = legible(packet)
    flags = QR | (int.from_bytes(packet[2:4]) & (OPCODE | RD)) | (rcode & 0xF)
    opt = _OPT.pack(0, OPT, OUR_UDP_SIZE, rcode >> 4 << 24, 0) if edns else b""
    header = _HEADER.pack(0, flags, 1 if end > HEADER_SIZE else 0, 0, 0, 1 if opt else 0)
    return packet[:2] + header[2:] + packet[HEADER_SIZE:end] + opt


def minimal_any(query: Query, limit: int, wording: Wording) -> bytes:
    """Return the answer to an ANY query: one HINFO record that says so (RFC 8482 §4.2)."""
    rdata = b"\7RFC8482\0"
    record = _RECORD.pack(_QNAME, HINFO, query.qclass, 3600, len(rdata)) + rdata
    return _assemble(query, RA, (1, 0, 0), record, b"", limit, wording)


def version(query: Query, limit: int, wording: Wording) -> bytes:
    """Return our version as the operator words it (CHAOS TXT `version.bind`), or REFUSED."""
    if not wording.version or query.qtype not in (TXT, ANY):
        return failed(query, Rcode.REFUSED, limit, wording)
    text = wording.version.encode()[:255]
    rdata = bytes((len(text),)) + text
    record = _RECORD.pack(_QNAME, TXT, CLASS_CHAOS, 0, len(rdata)) + rdata
    return _assemble(query, 0, (1, 0, 0), record, b"", limit, wording)


def told(query: Query, response: Response, age: int, limit: int, wording: Wording, *, stale: bool = False) -> bytes:
    """Return an upstream's `response` as the answer to `query`, its TTLs lowered by `age` seconds.

    A `stale` response is past its end: every TTL becomes `wording.stale_ttl`, and the extended error says
    so (RFC 8767 §4). AD comes through only for a client that showed it understands it (RFC 6840 §5.8).
    """
    flags = RA | response.rcode & 0xF
    if response.flags & AD and (query.do or query.flags & AD):
        flags |= AD
    sections = response.sections
    options = response.ede
    if stale:
        sections = aged(sections, response.ttl_offsets, 0, ceiling=wording.stale_ttl)
        options += extended_error(Ede.STALE_NXDOMAIN if response.rcode == Rcode.NXDOMAIN else Ede.STALE_ANSWER, "")
    elif age:
        sections = aged(sections, response.ttl_offsets, age)
    return _assemble(query, flags, response.counts, sections, options, limit, wording)


def aged(sections: bytes, offsets: Sequence[int], age: int, ceiling: int | None = None) -> bytes:
    """Return `sections` with the TTL at each offset lowered by `age` seconds, or set to `ceiling`."""
    copy = bytearray(sections)
    for offset in offsets:
        ttl = ceiling if ceiling is not None else max(0, _LONG.unpack_from(copy, offset)[0] - age)
        _LONG.pack_into(copy, offset, ttl)
    return bytes(copy)


def extended_error(code: Ede, text: str) -> bytes:
    """Return an extended DNS error as an EDNS option on the wire (RFC 8914 §2); the text is cut to 200 octets."""
    said = text.encode()[:_MAX_TEXT].decode(errors="ignore").encode()
    return _OPTION.pack(OPTION_EDE, 2 + len(said)) + code.to_bytes(2) + said


def _is_structured(query: Query, verdict: Verdict, wording: Wording) -> bool:
    """Tell whether the answer to a blocked query carries a structured error."""
    rule = verdict.rule
    return query.structured and rule is not None and not rule.quiet and structured.applies(wording.ede)


def _structured_error(query: Query, verdict: Verdict, wording: Wording, limit: int) -> bytes:
    """Return the extended error, its text no longer than what leaves the answer whole."""
    assert verdict.rule is not None
    taken = query.question_end + len(_soa(query.qclass, 0)) + _OPT.size + 2 * _OPTION.size + 4  # keepalive, code
    said = structured.text(wording.operator, wording.ede, _why(verdict.rule, ""), limit - taken)
    return _OPTION.pack(OPTION_EDE, 2 + len(said)) + wording.ede.to_bytes(2) + said


def _why(rule: Rule, contact: str) -> str:
    parts = [f"{rule.title or rule.app}: {rule.reason or 'blocked on this network'}"]
    if rule.reference:
        parts.append(f"[{rule.reference}]")
    if contact:
        parts.append(contact)
    return " ".join(parts)


def _assemble(
    query: Query,
    flags: int,
    counts: tuple[int, int, int],
    sections: bytes,
    options: bytes,
    limit: int,
    wording: Wording,
) -> bytes:
    """Put an answer together within `limit` octets.

    What does not fit is cut off: extended errors if that is enough, else all records, with TC (RFC 2181 §9).
    """
    packet = query.packet
    answers, authorities, additionals = counts
    flags |= QR | query.flags & (RD | CD)
    opt = b""
    if query.edns:
        if query.keepalive and limit == MAX_TCP:
            options += _OPTION.pack(OPTION_KEEPALIVE, 2) + wording.keepalive.to_bytes(2)
        opt = _OPT.pack(0, OPT, OUR_UDP_SIZE, DO if query.do else 0, len(options)) + options
        additionals += 1
    question = packet[HEADER_SIZE : query.question_end]
    room = limit - HEADER_SIZE - len(question)
    if len(sections) + len(opt) > room:
        bare = _OPT.pack(0, OPT, OUR_UDP_SIZE, DO if query.do else 0, 0) if opt else b""
        if len(sections) + len(bare) <= room:  # extended errors must not cost the answer
            opt = bare
        else:
            flags = flags & ~AD | TC  # nothing is said that could be authentic
            sections = b""
            answers = authorities = 0
            additionals = 1 if opt else 0
            if len(opt) > room:
                opt = bare
    header = _HEADER.pack(0, flags, 1, answers, authorities, additionals)
    return b"".join((packet[:2], header[2:], question, sections, opt))


_SOA_DATA: Final = b"".join(
    (
        names.from_text("blocker.invalid"),
        names.from_text("hostmaster.blocker.invalid"),
        Struct("!LLLL").pack(1, 3600, 600, 86400),  # serial, refresh, retry, expire: nobody transfers this zone
    )
)


def _soa(qclass: int, ttl: int) -> bytes:
    return _RECORD.pack(_QNAME, SOA, qclass, ttl, len(_SOA_DATA) + 4) + _SOA_DATA + _LONG.pack(ttl)
