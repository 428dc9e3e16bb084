"""What an upstream said: any bytes become a Response or a WireError, and dnspython finds the same in them."""

import dns.exception
import dns.message
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.errors import WireError
from blocker.wire import constants
from blocker.wire.query import parse_query
from blocker.wire.response import MAX_TTL, read_name, scan
from tests.oracle import ask, response, said
from tests.wire.test_query import damaged

QUERY = ask("www.example.com", "HTTPS")
END = parse_query(QUERY).question_end
SOA = "example.com {} SOA ns.example.com. h.example.com. 1 2 3 4 {}"


@pytest.mark.parametrize(
    ("records", "aliases", "addresses", "ech"),
    [
        ("", [], [], False),
        ("q.example 1 A 192.0.2.1\nq.example 1 A 192.0.2.2", [], ["c0000201", "c0000202"], False),
        ("q.example 1 AAAA 2001:db8::1", [], ["20010db8" + "0" * 23 + "1"], False),
        ("q.example 1 CNAME A.Example.\na.example 1 CNAME b.example", ["a.example", "b.example"], [], False),
        ("example 1 DNAME other.example", ["other.example"], [], False),
        ("q.example 1 HTTPS 0 svc.example", ["svc.example"], [], False),
        ("q.example 1 HTTPS 1 . alpn=h2", [], [], False),  # "." is the owner itself
        ("q.example 1 HTTPS 1 . ipv4hint=192.0.2.1,192.0.2.2 ech=AAT+DQAA", [], ["c0000201", "c0000202"], True),
        ("q.example 1 SVCB 2 a.example ipv6hint=2001:db8::1", ["a.example"], ["20010db8" + "0" * 23 + "1"], False),
        ("q.example 1 MX 5 mail.example\nq.example 1 TYPE65280 \\# 2 abcd", [], [], False),
    ],
)
def test_what_policy_must_know(records, aliases, addresses, ech):
    found = response(records, name="q.example")
    assert [names.to_text(alias) for alias in found.aliases] == aliases
    assert [address.hex() for address in found.addresses] == addresses
    assert found.has_ech is ech


def test_additional_and_authority_are_looked_into():
    parts = {"authority": "q.example 1 CNAME a.example", "additional": "x.example 1 A 192.0.2.1"}
    found = response("", qtype="HTTPS", **parts)
    assert (found.aliases, found.addresses) == ((b"\1a\7example\0", b"\1x\7example\0"), (b"\xc0\0\2\1",))
    found = response("", **parts)  # elsewhere the additional section is left out: nobody asked for it
    assert (found.counts, found.aliases, found.addresses) == ((0, 1, 0), (b"\1a\7example\0",), ())


@pytest.mark.parametrize(
    ("answer", "aliases"),
    [
        ("www.example.com 1 A 192.0.2.1", set()),
        ("www.example.com 1 CNAME a.example\na.example 1 A 192.0.2.1", {b"\1a\7example\0"}),
        ("tiktok.com 1 A 192.0.2.1", {b"\6tiktok\3com\0"}),  # a record of another name than the one that was asked
    ],
)
def test_whose_address_it_is_is_looked_into(answer, aliases):
    assert set(response(answer).aliases) == aliases


@pytest.mark.parametrize(
    ("parts", "least", "negative", "answered"),
    [
        ({}, None, None, False),
        ({"answer": "www.example.com 300 A 192.0.2.1\nwww.example.com 300 A 192.0.2.2"}, 300, None, True),
        ({"answer": "www.example.com 300 CNAME a.example\na.example 60 A 192.0.2.1"}, 60, None, True),
        ({"answer": "www.example.com 300 CNAME a.example"}, 300, None, False),
        ({"authority": SOA.format(3600, 300)}, 3600, 300, False),
        ({"authority": SOA.format(60, 300)}, 60, 60, False),  # the lesser of the two (RFC 2308 §5)
        ({"authority": SOA.format(60, 2**31 + 5)}, 60, 60, False),
        ({"answer": SOA.format(60, 300)}, 60, None, False),  # an SOA as answer is not a denial
        ({"answer": "www.example.com 2147483647 A 192.0.2.1"}, MAX_TTL, None, True),
    ],
)
def test_lifetimes(parts, least, negative, answered):
    found = response(**parts)
    assert (found.least_ttl, found.negative_ttl, found.answered) == (least, negative, answered)


def test_a_ttl_with_the_top_bit_counts_as_nothing():
    packet = ask("www.example.com")
    wire = said(packet, "www.example.com 1 A 192.0.2.1", edns=False)
    assert scan(wire[:-10] + b"\x80\0\0\1" + wire[-6:], len(packet) - 11, 1).least_ttl == 0  # RFC 2181 §8


def test_the_opt_record_stays_behind():
    packet = ask("www.example.com")
    wire = said(
        packet, "www.example.com 300 A 192.0.2.1", additional="x.example 1 A 192.0.2.2", ede=[(22, "no"), (3, "")]
    )
    found = scan(wire, parse_query(packet).question_end, 1)
    assert found.counts == (1, 0, 0)
    assert found.ede == b"\0\x0f\0\4\0\x16no\0\x0f\0\2\0\3"
    assert b"\0\0\x29" not in found.sections
    assert [found.sections[at : at + 4] for at in found.ttl_offsets] == [b"\0\0\1\x2c"]


def test_records_behind_opt_are_kept_and_stay_readable():
    packet = ask("www.example.com")
    end = parse_query(packet).question_end
    wire = said(packet, "www.example.com 300 A 192.0.2.1", edns=False)
    opt = b"\0\0\x29\4\xd0\0\0\0\0\0\0"
    behind = b"\3ext" + b"\xc0\x10" + b"\0\5\0\1\0\0\0\x3c\0\2\xc0\x0c"  # ext.example.com CNAME www.example.com
    moved = scan(wire[:10] + b"\0\2" + wire[12:] + opt + behind, end, 65)
    assert moved.counts == (1, 0, 1)
    message = dns.message.from_wire(wire[:10] + b"\0\1" + wire[12:end] + moved.sections)
    assert [str(rrset) for rrset in message.additional] == ["ext.example.com. 60 IN CNAME www.example.com."]


def test_the_extended_rcode_counts():
    packet = ask("www.example.com")
    assert scan(said(packet, rcode="BADVERS"), parse_query(packet).question_end, 1).rcode == 16


def record(rtype, rdata, owner=b"\xc0\x0c"):
    """Return a reply to QUERY with one answer, written by hand."""
    head = b"\xbe\xef\x81\x80\0\1\0\1\0\0\0\0" + QUERY[12:END]
    return head + owner + rtype.to_bytes(2) + b"\0\1\0\0\0\1" + len(rdata).to_bytes(2) + rdata


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        QUERY[:11],
        record(1, b"\xc0\0\2\1")[:-1],
        record(1, b"\xc0\0\2\1") + b"\0",  # more than was announced
        record(1, b"\xc0\0\2"),  # an address of three octets
        record(28, bytes(4)),
        record(5, b"\1a"),  # a name without an end
        record(5, b"\1a\0x"),  # and one with something behind it
        record(5, b"\xc0\xff"),  # points forward
        record(5, b"\xc0\x0b"),  # points into the header
        record(5, b"\xc0" + bytes((END + 12,))),  # points to itself
        record(5, b"\x41a\0"),
        record(1, bytes(4), owner=b"\x80a\0"),
        record(65, b"\0\1\0\0\4\0\3abc"),  # a hint of three octets
        record(65, b"\0\1\0\0\4\0\0"),  # an empty hint
        record(65, b"\0\1\0\0\4\0\x40" + bytes(4)),  # a parameter longer than the record
        record(65, b"\0\1\0\0\4"),
        record(65, b"\0"),
        record(41, b"", owner=b"\0"),  # OPT as an answer
        record(6, b"")[:6] + b"\0\0\0\1" + record(6, b"\0\0" + bytes(19))[10:],  # an SOA that is too short
    ],
)
def test_refused(wire):
    with pytest.raises(WireError) as caught:
        scan(wire, END, 65)
    assert caught.value.rcode == constants.SERVFAIL


@pytest.mark.parametrize(
    "beside",
    [
        b"\xff\x00\0\x10\0\1\0\0\0\1\0\2\1x",  # an owner that points forward
        b"\xc0\x0c\0\x0c\0\1\0\0\0\1\0\2\1x",  # a name in rdata without an end
    ],
)
def test_what_could_not_be_written_anew_without_its_ech_is_refused(beside):
    """By whoever reads what an upstream said: later it would look like a bug of ours."""
    reply = record(65, b"\0\1\0\0\5\0\1x")
    assert scan(reply, END, 65).has_ech
    with pytest.raises(WireError):
        scan(reply[:7] + b"\2" + reply[8:] + beside, END, 65)


@pytest.mark.parametrize("rtype", [64, 65])
def test_a_service_target_must_not_be_compressed(rtype):
    """RFC 9460 §2.2. What is looked at here would be another name once `without_ech` has written the message anew."""
    with pytest.raises(WireError):
        scan(record(rtype, b"\0\1\xc0\x0c"), END, 65)


@pytest.mark.parametrize(
    ("wire", "at", "name"),
    [
        (bytes(12) + b"\1A\0", 12, b"\1A\0"),  # spelled as there
        (bytes(12) + b"\1A\0\1b\xc0\x0c", 15, b"\1b\1A\0"),
        (bytes(12) + b"\0", 12, b"\0"),
        (bytes(12) + (b"\1a" * 127) + b"\0", 12, b"\1a" * 127 + b"\0"),  # 255 octets
    ],
)
def test_read_name(wire, at, name):
    assert read_name(wire, at) == name


@pytest.mark.parametrize(
    ("wire", "at"),
    [
        (bytes(12) + b"\xc0\x0c", 12),  # itself
        (bytes(12) + b"\xc0\x0e\xc0\x0c", 12),  # forward
        (bytes(12) + b"\1a\xc0\x0c", 12),  # round in a circle
        (bytes(12) + b"\1a" * 128 + b"\0", 12),  # 257 octets
        (bytes(12) + b"\5ab", 12),
        (bytes(12) + b"\xc0", 12),
        (bytes(12) + b"\x80", 12),
    ],
)
def test_read_name_refuses(wire, at):
    with pytest.raises((WireError, IndexError)):
        read_name(wire, at)


@given(st.binary(max_size=400), st.integers(0, 420))
def test_read_name_is_bounded(wire, at):
    try:
        name = read_name(wire, at)
    except (WireError, IndexError):
        return
    assert len(name) <= 255
    assert name[-1] == 0


def test_the_longest_chain_of_pointers_ends():
    """64 KiB of pointers, each to the one before: read in no time, or refused."""
    wire = bytes(12) + b"\0" + b"".join(b"\xc0" + bytes((at,)) for at in range(12, 200))
    with pytest.raises(WireError):
        read_name(wire + b"\xc0\xc8", len(wire))


RECORDS = st.lists(
    st.sampled_from(
        [
            "www.example.com 300 A 192.0.2.1",
            "www.example.com 60 AAAA 2001:db8::1",
            "www.example.com 5 CNAME host.example.com",
            "host.example.com 0 CNAME tiktok.com",
            "example.com 60 DNAME example.net",
            "www.example.com 300 HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1 ech=AAT+DQAA",
            "www.example.com 300 HTTPS 2 svc.example.net mandatory=ipv6hint ipv6hint=2001:db8::1",
            "example.com 300 SOA ns.example.com. h.example.com. 1 2 3 4 5",
            "example.com 300 MX 5 mail.example.com",
            "www.example.com 300 TXT hello",
            "www.example.com 300 TYPE65280 \\# 3 010203",
            "www.example.com 300 RRSIG HTTPS 13 3 300 20300101000000 20250101000000 1 example.com. AAAA",
        ]
    ),
    max_size=5,
    unique=True,
).map("\n".join)
REPLIES = st.builds(
    lambda answer, authority, additional, edns: said(
        QUERY, answer, authority=authority, additional=additional, edns=edns, ede=[(22, "x")] if edns else ()
    ),
    RECORDS, RECORDS, RECORDS, st.booleans(),
)  # fmt: skip


@given(REPLIES)
def test_dnspython_finds_the_same(wire):
    message, found = dns.message.from_wire(wire), scan(wire, END, 65)
    sections = (message.answer, message.authority, message.additional)
    everything = [(rrset, rdata) for section in sections for rrset in section for rdata in rrset]
    assert found.counts == tuple(sum(map(len, section)) for section in sections)
    assert found.least_ttl == min((rrset.ttl for rrset, _ in everything), default=None)
    aliases = {
        rdata.target.to_wire().lower()
        for _, rdata in everything
        if rdata.rdtype in (5, 39, 64, 65) and len(rdata.target) > 1
    }
    assert set(found.aliases) == aliases
    assert len(found.ttl_offsets) == len(everything)
    assert found.has_ech == any(rdata.rdtype == 65 and 5 in rdata.params for _, rdata in everything)
    assert found.answered == any(rrset.rdtype == 65 for rrset in message.answer)
    again = dns.message.from_wire(wire[:10] + found.counts[2].to_bytes(2) + wire[12:END] + found.sections)
    assert (again.answer, again.authority, again.additional) == sections


@given(
    st.one_of(st.binary(max_size=300), damaged(REPLIES), st.binary(max_size=80).map(lambda rest: QUERY[:END] + rest))
)
def test_any_bytes_are_a_response_or_a_wire_error(wire):
    try:
        found = scan(wire, END, 65)
    except WireError as error:
        assert error.rcode == constants.SERVFAIL  # noqa: PT017 (both ways out are right)
        return
    assert all(len(address) in (4, 16) for address in found.addresses)
    assert all(len(alias) <= 255 and alias[-1] == 0 for alias in found.aliases)
    assert all(0 <= at <= len(found.sections) - 4 for at in found.ttl_offsets)
    assert len(found.ttl_offsets) == sum(found.counts)
    try:
        message = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError, UnicodeError):
        return
    if len(message.question) != 1 or message.question[0].name.to_wire().lower() != QUERY[12 : END - 4].lower():
        return
    addresses = {rdata.address for rrset in message.answer if rrset.rdtype in (1, 28) for rdata in rrset}
    assert len(addresses) <= len(found.addresses)  # we never see less than a client would
