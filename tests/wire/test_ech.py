"""ECH taken out: the rest of the answer stays, its signatures and AD do not."""

import dns.message
import pytest
from hypothesis import given

from blocker.wire.constants import AD
from blocker.wire.ech import without_ech
from blocker.wire.response import scan
from tests.oracle import lines, response
from tests.wire.test_response import END, QUERY, REPLIES

SIG = "www.example.com 300 RRSIG {} 13 3 300 20300101000000 20250101000000 1 example.com. AAAA"


def shown(found, question):
    head = (
        b"\0\1" + (found.flags | 0x8000).to_bytes(2) + b"\0\1" + b"".join(count.to_bytes(2) for count in found.counts)
    )
    message = dns.message.from_wire(head + question + found.sections)
    return [
        f"{rrset.name.to_text(omit_final_dot=True)} {rrset.ttl} {rdata.rdtype.name} {rdata}"
        for section in (message.answer, message.authority, message.additional) for rrset in section for rdata in rrset
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("www.example.com 300 HTTPS 1 . alpn=h2 ech=AAT+DQAA", "www.example.com 300 HTTPS 1 . alpn=h2"),
        ("www.example.com 300 SVCB 1 a.example ech=AAT+DQAA port=8443",
         "www.example.com 300 SVCB 1 a.example port=8443"),
        ("www.example.com 300 HTTPS 1 . mandatory=alpn,ech alpn=h2 ech=AAT+DQAA",
         "www.example.com 300 HTTPS 1 . mandatory=alpn alpn=h2"),
        ("www.example.com 300 HTTPS 1 . mandatory=ech ech=AAT+DQAA", "www.example.com 300 HTTPS 1 ."),
        ("www.example.com 300 CNAME a.example\na.example 300 HTTPS 1 . ech=AAT+DQAA ipv4hint=192.0.2.1",
         "www.example.com 300 CNAME a.example\na.example 300 HTTPS 1 . ipv4hint=192.0.2.1"),
        (f"www.example.com 300 HTTPS 1 . ech=AAT+DQAA\n{SIG.format('HTTPS')}", "www.example.com 300 HTTPS 1 ."),
        (f"www.example.com 300 HTTPS 1 . ech=AAT+DQAA\n{SIG.format('A')}",
         f"www.example.com 300 HTTPS 1 .\n{SIG.format('A')}"),
        ("www.example.com 300 HTTPS 1 . alpn=h2", "www.example.com 300 HTTPS 1 . alpn=h2"),
    ],
)  # fmt: skip
def test_without_ech(before, after):
    found = response(before, qtype="HTTPS", flags="RD RA AD")
    stripped = without_ech(found, QUERY[12:END], 65)
    assert sorted(shown(stripped, QUERY[12:END])) == lines(after)
    assert not stripped.flags & AD
    assert not stripped.has_ech
    assert found.flags & AD  # the one in the cache is as it was


def test_extended_errors_stay():
    found = response("www.example.com 300 HTTPS 1 . ech=AAT+DQAA", qtype="HTTPS", ede=[(10, "x")])
    assert without_ech(found, QUERY[12:END], 65).ede == found.ede != b""


@given(REPLIES)
def test_nothing_else_goes(wire):
    found = scan(wire, END, 65)
    stripped = without_ech(found, QUERY[12:END], 65)
    assert not stripped.has_ech
    assert set(stripped.aliases) == set(found.aliases)  # what was inspected is what is told
    assert sorted(stripped.addresses) == sorted(found.addresses)
    kept = [line for line in shown(found, QUERY[12:END]) if " RRSIG " not in line]
    assert sorted(line.replace(' ech="AAT+DQAA"', "") for line in kept) == sorted(shown(stripped, QUERY[12:END]))
