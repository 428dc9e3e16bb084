"""Takes Encrypted Client Hello out of a response, so that a managed device's TLS names stay readable.

Pure. Only the `ech` parameter goes (RFC 9460 §14.3.2, key 5); the rest of the record stays. What is altered
can no longer be authentic, so AD is cleared and the signatures over the altered sets are left out.
"""

from struct import Struct
from typing import Final

from blocker.wire.constants import AD, HTTPS, RRSIG, SVC_ECH, SVC_MANDATORY, SVCB
from blocker.wire.response import Response, behind_name, records, scan, service_parameters

_HEADER: Final = Struct("!HHHHHH")
_RECORD: Final = Struct("!HHIH")
_PAIR: Final = Struct("!HH")


def without_ech(response: Response, question: bytes, qtype: int) -> Response:
    """Return `response` to `question` (qname, type and class on the wire) without any `ech`."""
    wire = _HEADER.pack(0, response.flags & ~AD, 1, *response.counts) + question + response.sections
    base = _HEADER.size + len(question)
    parts = []
    counts = [0, 0, 0]
    kept = records(wire, base, sum(response.counts))
    for section, count in enumerate(response.counts):
        for _ in range(count):
            owner, rtype, rclass, ttl, rdata = next(kept)
            if rtype == RRSIG and int.from_bytes(rdata[:2]) in (SVCB, HTTPS):
                continue
            if rtype in (SVCB, HTTPS):
                rdata = _plain(rdata)
            parts.append(owner + _RECORD.pack(rtype, rclass, ttl, len(rdata)) + rdata)
            counts[section] += 1
    head = _HEADER.pack(0, response.flags & ~AD, 1, *counts)
    stripped = scan(head + question + b"".join(parts), base, qtype)
    stripped.ede, stripped.rcode = response.ede, response.rcode
    return stripped


def _plain(rdata: bytes) -> bytes:
    """Return SVCB rdata without `ech`, which also leaves the list of mandatory keys (RFC 9460 §8)."""
    start = behind_name(rdata, 2)
    kept = []
    for key, value in service_parameters(rdata, start, len(rdata)):
        if key == SVC_MANDATORY:
            keys = [value[at : at + 2] for at in range(0, len(value), 2)]
            value = b"".join(name for name in keys if int.from_bytes(name) != SVC_ECH)
            if not value:
                continue
        if key != SVC_ECH:
            kept.append(_PAIR.pack(key, len(value)) + value)
    return rdata[:start] + b"".join(kept)
