"""Every answer that we compose, read back by dnspython and dnslib: id, spelling, size, extended errors."""

import json
from dataclasses import replace
from itertools import product

import dns.edns
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import answer
from blocker.answer import Wording
from blocker.structured import Operator
from blocker.wire.constants import MAX_TCP, OUR_UDP_SIZE, Ede, Rcode
from blocker.wire.ech import without_ech
from blocker.wire.query import parse_query
from tests.oracle import COOKIE, KEEPALIVE, ask, heard, lines, response, rule, said, verdict

PLAIN = Wording()
SOA = "wWw.TikTok.com 60 SOA blocker.invalid. hostmaster.blocker.invalid. 1 3600 600 86400 60"
NAME = "wWw.TikTok.com"
TALKATIVE = rule("tiktok.com", title="T" * 80, reason="ü" * 120, reference="r" * 64)


@pytest.mark.parametrize(
    ("action", "qtype", "rcode", "records", "soa"),
    [
        ("sinkhole", "A", "NOERROR", f"{NAME} 60 A 0.0.0.0", False),
        ("sinkhole", "AAAA", "NOERROR", f"{NAME} 60 AAAA ::", False),
        ("sinkhole", "HTTPS", "NOERROR", "", True),  # a sinkhole has addresses, nothing else
        ("sinkhole", "TXT", "NOERROR", "", True),
        ("sinkhole", "ANY", "NOERROR", "", True),
        ("loopback", "A", "NOERROR", f"{NAME} 60 A 127.0.0.1", False),
        ("loopback", "AAAA", "NOERROR", f"{NAME} 60 AAAA ::1", False),
        ("loopback", "MX", "NOERROR", "", True),
        ("nodata", "A", "NOERROR", "", True),
        ("nxdomain", "A", "NXDOMAIN", "", True),
        ("nxdomain", "HTTPS", "NXDOMAIN", "", True),
        ("refused", "A", "REFUSED", "", False),
    ],
)
def test_blocked(action, qtype, rcode, records, soa):
    got = heard(answer.blocked(parse_query(ask(NAME, qtype)), verdict(action), PLAIN, OUR_UDP_SIZE))
    assert (got.rcode, got.answer, got.authority) == (rcode, lines(records), lines(SOA) if soa else [])
    assert (got.ede, got.flags) == ([15], {"RD", "RA"})
    assert got.text == "TikTok: banned on government devices [ca-1]"


@pytest.mark.parametrize(
    ("wording", "qtype", "records"),
    [
        ({"sinkhole_v4": (b"\xc0\0\2\1", b"\xc0\0\2\2")}, "A", f"{NAME} 60 A 192.0.2.1\n{NAME} 60 A 192.0.2.2"),
        ({"sinkhole_v6": (bytes(15) + b"\7",)}, "AAAA", f"{NAME} 60 AAAA ::7"),
        ({"sinkhole_v4": ()}, "A", ""),  # no address: NODATA
        ({"ttl": 5}, "A", f"{NAME} 5 A 0.0.0.0"),
    ],
)
def test_wording_of_sinkholes(wording, qtype, records):
    query = parse_query(ask(NAME, qtype))
    assert heard(answer.blocked(query, verdict("sinkhole"), Wording(**wording), OUR_UDP_SIZE)).answer == lines(records)


@pytest.mark.parametrize(("word", "number"), [("blocked", 15), ("censored", 16), ("filtered", 17), ("prohibited", 18)])
def test_the_extended_error_is_the_operators_choice(word, number):
    wording = Wording(ede=answer.BLOCK_EDE[word], contact="call 5000")
    got = heard(answer.blocked(parse_query(ask(NAME)), verdict("nxdomain"), wording, OUR_UDP_SIZE))
    assert (got.ede, got.text) == ([number], "TikTok: banned on government devices [ca-1] call 5000")


SDE = dns.edns.GenericOption(26, b"")
OFFICE = Wording(
    sinkhole_v4=(b"\xc0\0\2\1",),
    ttl=300,
    contact="call 5000",
    operator=Operator(("mailto:a@b.example",), "Office", "en"),
)
WHY = "TikTok: banned on government devices [ca-1]"
STRUCTURED = {"c": ["mailto:a@b.example"], "j": WHY, "s": 5, "o": "Office", "l": "en"}


def blocked(action="sinkhole", options=(SDE,), wording=OFFICE, rule=None, limit=OUR_UDP_SIZE, **more):
    said = verdict(action, rule) if rule else verdict(action)
    return heard(answer.blocked(parse_query(ask(NAME, options=options, **more)), said, wording, limit))


@pytest.mark.parametrize(
    ("action", "rcode", "authority"),
    [("sinkhole", "NOERROR", 1), ("nodata", "NOERROR", 1), ("nxdomain", "NXDOMAIN", 1), ("refused", "REFUSED", 0)],
)
@pytest.mark.parametrize("qtype", ["A", "AAAA", "HTTPS"])
def test_who_asks_for_structure_hears_it_and_no_forged_address(action, rcode, authority, qtype):
    got = blocked(action, qtype=qtype)
    assert (got.rcode, got.answer, len(got.authority)) == (rcode, [], authority)
    assert got.ede == [15]
    assert json.loads(got.text) == STRUCTURED
    assert all(str(record).split()[1] == "60" for record in got.authority)  # the draft asks for short TTLs


@pytest.mark.parametrize(
    "options", [(), (COOKIE,), (dns.edns.GenericOption(26, b"x"),), (dns.edns.GenericOption(27, b""),)]
)
def test_who_does_not_ask_for_structure_hears_a_sentence(options):
    got = blocked(options=options)
    assert [str(record) for record in got.answer] == lines(f"{NAME} 300 A 192.0.2.1")
    assert got.text == WHY + " call 5000"


@pytest.mark.parametrize(
    ("wording", "rule"),
    [
        (replace(OFFICE, ede=Ede.PROHIBITED), None),  # no client reads structure behind that code
        (OFFICE, rule("canary.example", quiet=True)),  # no ban: nothing to explain
    ],
)
def test_where_structure_does_not_apply_nothing_changes(wording, rule):
    with_option, without = blocked(wording=wording, rule=rule), blocked(wording=wording, rule=rule, options=())
    assert (with_option.answer, with_option.text) == (without.answer, without.text)


@pytest.mark.parametrize(("code", "number"), [("filtered", 17), ("censored", 16)])
def test_sub_errors_go_with_blocked_alone(code, number):
    got = blocked(wording=replace(OFFICE, ede=answer.BLOCK_EDE[code]))
    assert got.ede == [number]
    assert "s" not in json.loads(got.text)


@pytest.mark.parametrize("limit", range(100, 700, 25))
@pytest.mark.parametrize("options", [(SDE,), (SDE, KEEPALIVE)])
def test_structure_never_costs_the_answer(limit, options):
    wording = replace(OFFICE, operator=Operator(("mailto:" + "a" * 60 + "@b.example",) * 3, "ж" * 80, "en"))
    query = parse_query(ask(NAME, options=options))
    wire = answer.blocked(query, verdict("nxdomain"), wording, limit)
    plain = answer.blocked(parse_query(ask(NAME, options=())), verdict("nxdomain"), Wording(), 1232)
    assert len(wire) <= limit
    if limit >= len(plain) - len(WHY):
        assert "TC" not in heard(wire).flags


RESPONSES = {
    "positive": response(f"{NAME} 300 A 192.0.2.1", name=NAME),
    "chain": response(f"{NAME} 300 CNAME a.example\na.example 60 A 192.0.2.1", name=NAME, ede=[(9, "x")]),
    "negative": response(name=NAME, rcode="NXDOMAIN", authority="com 60 SOA a. b. 1 2 3 4 5", flags="RD RA AD"),
    "big": response("\n".join(f'{NAME} 60 TXT "{at:0200}"' for at in range(20)), name=NAME, qtype="TXT"),
    "glue": response(f"{NAME} 60 NS ns.example", name=NAME, additional="ns.example 60 A 192.0.2.1"),
    "odd": response(f"{NAME} 60 TYPE65280 \\# 3 010203", name=NAME),
    "empty": response(name=NAME, rcode="SERVFAIL"),
}
ECH = without_ech(
    response(f"{NAME} 300 HTTPS 1 . ech=AAT+DQAA alpn=h2", name=NAME, qtype="HTTPS"), ask(NAME, "HTTPS")[12:32], 65
)
LONG_WORDED = Wording(contact="c" * 99)
VERSIONED = Wording(version="resolver 1")
COMPOSERS = {
    **{action: lambda query, limit, action=action: answer.blocked(query, verdict(action), PLAIN, limit)
       for action in ("sinkhole", "loopback", "nodata", "nxdomain", "refused")},
    "talkative": lambda query, limit: answer.blocked(query, verdict("nxdomain", TALKATIVE), LONG_WORDED, limit),
    "failed": lambda query, limit: answer.failed(query, Rcode.SERVFAIL, limit, PLAIN),
    "failed, ede": lambda query, limit: answer.failed(
        query, Rcode.SERVFAIL, limit, PLAIN, answer.extended_error(Ede.NO_REACHABLE_AUTHORITY, "x" * 300)
    ),
    "version": lambda query, limit: answer.version(query, limit, VERSIONED),
    "no version": lambda query, limit: answer.version(query, limit, PLAIN),
    "minimal_any": lambda query, limit: answer.minimal_any(query, limit, PLAIN),
    **{f"told {name}": lambda query, limit, found=found: answer.told(query, found, 7, limit, PLAIN)
       for name, found in RESPONSES.items()},
    **{f"stale {name}": lambda query, limit, found=found: answer.told(query, found, 0, limit, PLAIN, stale=True)
       for name, found in RESPONSES.items()},
    "without ech": lambda query, limit: answer.told(query, ECH, 7, limit, PLAIN),
}  # fmt: skip
ASKED = {
    f"{qtype} {edns} {flags}": ask(NAME, qtype, flags=flags, **edns)
    for qtype, edns, flags in product(
        ("A", "AAAA", "HTTPS", "TXT", "ANY"),
        ({"edns": False}, {}, {"do": True}, {"size": 512}, {"options": (COOKIE, KEEPALIVE)}),
        ("RD", "RD CD AD", ""),
    )
}


@pytest.mark.parametrize("composer", COMPOSERS)
@pytest.mark.parametrize("limit", [512, OUR_UDP_SIZE, MAX_TCP])
def test_what_holds_for_every_answer(composer, limit):
    for packet in ASKED.values():
        query = parse_query(packet)
        wire = COMPOSERS[composer](query, limit)
        got = heard(wire)
        assert len(wire) <= limit
        assert wire[:2] == packet[:2]  # the id
        assert wire[12 : query.question_end] == packet[12 : query.question_end]  # the spelling
        assert ("RD" in got.flags, "CD" in got.flags) == (bool(query.flags & 0x100), bool(query.flags & 0x10))
        assert "AA" not in got.flags
        assert got.edns == query.edns  # RFC 6891 §7: never where it was not asked
        assert got.do == query.do  # RFC 3225 §3
        assert not got.ede or query.edns
        assert (11 in got.options) == (query.edns and query.keepalive and limit == MAX_TCP)  # RFC 7828 §3.2.1
        assert 10 not in got.options
        assert "TC" not in got.flags or not (got.answer or got.authority or got.additional)
        assert "TC" not in got.flags or limit < MAX_TCP


@pytest.mark.parametrize(
    ("composer", "limit", "cut"),
    [
        ("told big", 512, True),
        ("told big", OUR_UDP_SIZE, True),
        ("told big", MAX_TCP, False),
        ("stale big", OUR_UDP_SIZE, True),
        ("told positive", 512, False),
        ("talkative", 512, False),  # an extended error must never cost a truncation
        ("nxdomain", 512, False),
    ],
)
def test_what_does_not_fit_is_cut_and_says_so(composer, limit, cut):
    assert ("TC" in heard(COMPOSERS[composer](parse_query(ask(NAME)), limit)).flags) is cut


# Not those that tell: an upstream's sections belong to a question of their own length.
OURS = [each for each in COMPOSERS if each.split()[0] not in ("told", "stale", "without")]
LONG = ".".join(["a" * 63] * 3 + ["b" * 61])


@pytest.mark.parametrize("composer", OURS)
def test_the_longest_name_fits_too(composer):
    wire = COMPOSERS[composer](parse_query(ask(LONG, options=(KEEPALIVE,))), 512)
    assert len(wire) <= 512
    assert dns.message.from_wire(wire).question[0].name.to_text() == LONG + "."


@pytest.mark.parametrize(
    ("upstream", "flags", "do", "heard_ad"),
    [
        ("RD RA AD", "RD", True, True),
        ("RD RA AD", "RD AD", False, True),  # AD in a query asks for AD (RFC 6840 §5.7)
        ("RD RA AD", "RD", False, False),
        ("RD RA", "RD AD", True, False),  # never made up
    ],
)
def test_ad(upstream, flags, do, heard_ad):
    query = parse_query(ask(NAME, flags=flags, do=do))
    found = response(f"{NAME} 60 A 192.0.2.1", name=NAME, flags=upstream)
    assert ("AD" in heard(answer.told(query, found, 0, 1232, PLAIN)).flags) is heard_ad


@pytest.mark.parametrize(
    ("age", "stale", "records", "ede"),
    [
        (0, False, f"{NAME} 300 CNAME a.example\na.example 60 A 192.0.2.1", [9]),
        (7, False, f"{NAME} 293 CNAME a.example\na.example 53 A 192.0.2.1", [9]),
        (60, False, f"{NAME} 240 CNAME a.example\na.example 0 A 192.0.2.1", [9]),
        (100, False, f"{NAME} 200 CNAME a.example\na.example 0 A 192.0.2.1", [9]),  # never below 0
        (0, True, f"{NAME} 30 CNAME a.example\na.example 30 A 192.0.2.1", [9, 3]),
    ],
)
def test_told(age, stale, records, ede):
    got = heard(answer.told(parse_query(ask(NAME)), RESPONSES["chain"], age, 1232, PLAIN, stale=stale))
    assert (got.answer, got.ede) == (lines(records), ede)


def test_a_stale_denial_has_an_error_of_its_own():
    assert heard(answer.told(parse_query(ask(NAME)), RESPONSES["negative"], 0, 1232, PLAIN, stale=True)).ede == [19]


@pytest.mark.parametrize(
    ("packet", "rcode", "shown", "questions", "edns"),
    [
        (ask("a.example"), Rcode.FORMERR, "FORMERR", 1, 0),
        (ask("a.example", edns=False), Rcode.FORMERR, "FORMERR", 1, -1),
        (ask("a.example")[:12], Rcode.FORMERR, "FORMERR", 0, -1),
        (b"\1\2\x29\0" + bytes(8), Rcode.NOTIMP, "NOTIMP", 0, -1),
        (ask("a.example", version=1), Rcode.BADVERS, "BADVERS", 1, 0),
    ],
)
def test_malformed(packet, rcode, shown, questions, edns):
    wire = answer.malformed(packet, rcode)
    message = dns.message.from_wire(wire, ignore_trailing=False)
    assert (wire[:2], message.rcode().name) == (packet[:2], shown)
    assert (len(message.question), message.edns) == (questions, edns)
    assert message.opcode() == packet[2] >> 3 & 15
    assert wire[2] & 0x80
    assert len(wire) <= len(packet)  # nothing to gain for who forges a sender's address


def test_a_client_knows_the_answer_to_its_version_of_edns():
    asked = ask("a.example", version=1)
    said = dns.message.from_wire(answer.malformed(asked, Rcode.BADVERS))
    assert dns.message.from_wire(asked).is_response(said)


@pytest.mark.parametrize(
    ("qtype", "wording", "rcode", "count"),
    [("TXT", VERSIONED, "NOERROR", 1), ("ANY", VERSIONED, "NOERROR", 1), ("A", VERSIONED, "REFUSED", 0),
     ("TXT", PLAIN, "REFUSED", 0)],
)  # fmt: skip
def test_version(qtype, wording, rcode, count):
    wire = answer.version(parse_query(ask("version.bind", qtype, qclass="CH")), 512, wording)
    message = dns.message.from_wire(wire)
    assert (message.rcode().name, len(message.answer)) == (rcode, count)
    assert not count or '"resolver 1"' in str(message.answer[0])


@given(st.text(max_size=400))
def test_the_text_of_an_extended_error_is_bounded_and_whole(text):
    option = answer.extended_error(Ede.OTHER, text.encode(errors="ignore").decode())
    assert option[:2] == b"\0\x0f"
    assert int.from_bytes(option[2:4]) == len(option) - 4 <= 202
    option[6:].decode()  # cut between characters


@given(
    st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=6), st.integers(0, 2**20), st.integers(512, MAX_TCP),
    st.booleans(),
)  # fmt: skip
def test_ageing(ttls, age, limit, edns):
    records = "\n".join(f"{NAME} {ttl} TYPE{65280 + at} \\# 1 0{at}" for at, ttl in enumerate(ttls))
    packet = ask(NAME, "ANY", edns=edns)
    got = heard(answer.told(parse_query(packet), response(records, name=NAME), age, limit, PLAIN))
    assert sorted(int(line.split()[1]) for line in got.answer) == sorted(max(0, ttl - age) for ttl in ttls)


def test_what_upstream_says_may_be_as_big_as_tcp_carries():
    packet = ask(NAME, "TXT", edns=False)
    text = "\n".join(f'{NAME} 60 TXT "{at:0240}"' for at in range(250))
    wire = said(packet, text, edns=False)
    found = response(text, name=NAME, qtype="TXT")
    assert len(answer.told(parse_query(packet), found, 0, MAX_TCP, PLAIN)) == len(wire)
