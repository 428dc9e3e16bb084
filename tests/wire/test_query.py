"""Is this a query we answer at all? Any bytes become a Query or a WireError, and dnspython agrees."""

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rdatatype
import dns.tsig
import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRROPT, EDNS0TLV

from blocker.errors import WireError
from blocker.wire.query import legible, parse_query
from tests.oracle import COOKIE, KEEPALIVE, ask

PLAIN = ask("www.example.com", edns=False)
EDNS = ask("www.example.com", options=[COOKIE])
OPT = EDNS[len(PLAIN) :]


def altered(packet, at, value):
    return packet[:at] + bytes((value,)) + packet[at + 1 :]


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (PLAIN, (b"\3www\7example\3com\0", 1, 1, False, False, 512, False)),
        (ask("WWW.Example.COM", "HTTPS"), (b"\3www\7example\3com\0", 65, 1, True, False, 1232, False)),  # 65 stays 65
        (ask(".", "NS"), (b"\0", 2, 1, True, False, 1232, False)),
        (ask("a.example", do=True, size=4096), (b"\1a\7example\0", 1, 1, True, True, 4096, False)),
        (ask("a.example", size=100), (b"\1a\7example\0", 1, 1, True, False, 512, False)),  # at least 512
        (ask("a.example", options=[COOKIE, KEEPALIVE]), (b"\1a\7example\0", 1, 1, True, False, 1232, True)),
        (ask("a.example", qclass="CH"), (b"\1a\7example\0", 1, 3, True, False, 1232, False)),
        (ask("a.example", "TYPE65280", edns=False), (b"\1a\7example\0", 65280, 1, False, False, 512, False)),
        (bytes(DNS(rd=1, qd=DNSQR(qname="a.example"))), (b"\1a\7example\0", 1, 1, False, False, 512, False)),
        (bytes(DNS(qd=DNSQR(qname="a.example", qtype=28), ar=DNSRROPT(rclass=1400, rdata=[EDNS0TLV(optcode=10)]))),
         (b"\1a\7example\0", 28, 1, True, True, 1400, False)),
        (bytes(dnslib.DNSRecord.question("a.example", "MX").pack()),
         (b"\1a\7example\0", 15, 1, False, False, 512, False)),
    ],
)  # fmt: skip
def test_queries(packet, expected):
    query = parse_query(packet)
    assert (query.qname, query.qtype, query.qclass, query.edns, query.do, query.udp_size, query.keepalive) == expected
    assert packet[12 : query.question_end - 4].lower() == query.qname


def test_a_signed_query_passes():
    message = dns.message.make_query("a.example", "A")
    message.use_tsig(dns.tsig.Key("k.", b"secret"))
    assert parse_query(message.to_wire()).qname == b"\1a\7example\0"


@pytest.mark.parametrize(
    ("packet", "rcode", "reason"),
    [
        (b"", None, "short"),
        (PLAIN[:11], None, "short"),
        (altered(PLAIN, 2, 0x81), None, "response"),  # to answer it, two servers could talk for ever
        (altered(PLAIN, 2, 0x81)[:12], None, "response"),
        (altered(PLAIN, 2, 0x29), 4, "opcode"),  # UPDATE
        (altered(PLAIN, 2, 0x21), 4, "opcode"),  # NOTIFY
        (PLAIN[:12], 1, "truncated"),
        (altered(PLAIN, 5, 0), 1, "counts"),
        (altered(PLAIN, 5, 2), 1, "counts"),  # one question (RFC 9619)
        (altered(PLAIN, 7, 1), 1, "counts"),
        (altered(PLAIN, 9, 2), 1, "counts"),
        (altered(PLAIN, 11, 5), 1, "counts"),
        (altered(PLAIN, 12, 0xC0), 1, "label"),  # a first name has nothing to point to
        (altered(PLAIN, 12, 0x41), 1, "label"),
        (PLAIN[:12] + (b"\77" + b"a" * 63) * 4 + b"\0\0\1\0\1", 1, "name"),
        (PLAIN + b"\0", 1, "trailing"),
        (altered(PLAIN, 11, 1), 1, "truncated"),  # a record is announced and missing
        (EDNS[:-1], 1, "truncated"),
        (altered(EDNS, 11, 2) + OPT, 1, "opt"),  # two of them (RFC 6891 §6.1.1)
        (PLAIN[:11] + b"\1" + PLAIN[12:] + b"\1a" + OPT, 1, "opt"),  # its owner is the root
        (PLAIN[:9] + b"\1" + PLAIN[10:] + OPT, 1, "opt"),  # it stands in the additional section
        (ask("a.example", version=1), 16, "version"),
        (EDNS[:-10] + b"\0\12\0\11" + bytes(8), 1, None),  # an option longer than what is there
        (PLAIN[:11] + b"\1" + PLAIN[12:] + b"\0\0\x29\4\xd0\0\0\0\0\0\3\0\12\0", 1, None),  # half an option
    ],
)  # fmt: skip
def test_refused(packet, rcode, reason):
    with pytest.raises(WireError) as caught:
        parse_query(packet)
    assert caught.value.rcode == rcode
    assert reason is None or caught.value.reason == reason


QUESTION = PLAIN[12:]
MANY = b"\0\0\1\0\1\0\0\0\0\0\0"  # a record without rdata


@pytest.mark.parametrize(
    ("packet", "question", "edns"),
    [
        (altered(PLAIN, 2, 0x29), False, False),  # UPDATE: its zone is no question
        (altered(EDNS, 2, 0x29), False, True),
        (ask("a.example", version=1), True, True),
        (altered(EDNS, 11, 2) + OPT, True, True),  # two of them
        (altered(EDNS, 9, 1), True, False),  # in the authority section
        (PLAIN[:11] + b"\1" + QUESTION + b"\1a" + OPT, True, False),  # its owner is not the root
        (PLAIN[:11] + b"\1" + QUESTION + b"\0\0\x29\4\xd0\0\0\0\0\0\3\0\12\0", True, True),  # half an option
        (PLAIN[:11] + b"\1" + QUESTION + b"\0\0\x29\4", True, False),
        (altered(PLAIN, 7, 1), True, False),
        (PLAIN[:4] + bytes(7) + b"\1" + OPT, False, True),  # no question (RFC 7873 §5.4)
        (altered(PLAIN, 5, 2) + QUESTION, False, False),  # which of them?
        (PLAIN[:12], False, False),
        (PLAIN[:-1], False, False),
        (altered(PLAIN, 12, 0xC0), False, False),
        (PLAIN[:12] + (b"\77" + b"a" * 63) * 4 + b"\0\0\1\0\1", False, False),
        (PLAIN[:10] + b"\xff\xff" + QUESTION + MANY * 100 + OPT, True, False),  # one does not look for ever
    ],
)  # fmt: skip
def test_what_can_be_read_of_what_is_no_query(packet, question, edns):
    end, found = legible(packet)
    assert (end > 12, found) == (question, edns)
    assert packet[12:end] in (QUESTION, ask("a.example")[12:27], b"")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ask("a.example", ident=1), ask("A.example", ident=2), True),
        (ask("a.example"), ask("a.example", edns=False), True),
        (ask("a.example"), ask("a.example", flags="RD AD"), True),
        (ask("a.example"), ask("a.example", flags=""), True),
        (ask("a.example"), ask("a.example", do=True), False),
        (ask("a.example"), ask("a.example", flags="RD CD"), False),
        (ask("a.example", do=True), ask("a.example", flags="RD CD"), False),
        (ask("a.example"), ask("a.example", "AAAA"), False),
        (ask("a.example"), ask("a.example", qclass="CH"), False),
        (ask("a.example"), ask("b.example"), False),
    ],
)
def test_key(one, other, same):
    assert (parse_query(one).key == parse_query(other).key) is same


NAMES = st.lists(st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True), min_size=1, max_size=6).map(".".join)
PACKETS = st.builds(
    ask,
    NAMES,
    st.sampled_from(["A", "AAAA", "HTTPS", "TXT", "ANY", "TYPE4711"]),
    flags=st.sampled_from(["RD", "", "RD CD", "RD AD"]),
    edns=st.booleans(),
    do=st.booleans(),
    size=st.integers(0, 65535),
    options=st.sampled_from([(), (COOKIE,), (KEEPALIVE,), (COOKIE, KEEPALIVE)]),
)


@given(PACKETS)
def test_whatever_dnspython_asks_is_read_the_same(packet):
    message, query = dns.message.from_wire(packet), parse_query(packet)
    (question,) = message.question
    assert question.name.to_wire().lower() == query.qname
    assert (question.rdtype, question.rdclass, message.flags) == (query.qtype, query.qclass, query.flags)
    assert (message.edns >= 0, max(message.payload, 512)) == (query.edns, query.udp_size)
    assert bool(message.ednsflags & dns.flags.DO) == query.do
    assert any(option.otype == 11 for option in message.options) == query.keepalive


@st.composite
def damaged(draw, packets):
    """A real packet with a few octets changed, cut out or put in."""
    packet = bytearray(draw(packets))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(packet)))
        match draw(st.sampled_from(["change", "cut", "insert"])):
            case "change":
                packet[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del packet[at : at + draw(st.integers(1, 12))]
            case "insert":
                packet[at:at] = draw(st.binary(min_size=1, max_size=12))
    return bytes(packet)


@given(st.one_of(st.binary(max_size=300), damaged(PACKETS), st.binary(max_size=60).map(lambda rest: PLAIN[:12] + rest)))
def test_any_bytes_are_a_query_or_a_wire_error(packet):
    try:
        query = parse_query(packet)
    except WireError as error:
        assert error.rcode in (None, 1, 4, 16)  # noqa: PT017 (both ways out are right)
        assert error.rcode is None or 12 <= legible(packet)[0] <= len(packet)  # noqa: PT017
        return
    assert 12 < query.question_end <= len(packet)
    assert query.qname[-1] == 0
    assert len(query.qname) <= 255
    assert 512 <= query.udp_size <= 65535
    try:
        message = dns.message.from_wire(packet)
    except (dns.exception.DNSException, ValueError, UnicodeError):
        return  # dnspython reads records that do not matter to us, and is strict about them
    assert [each.name.to_wire().lower() for each in message.question] == [query.qname]
