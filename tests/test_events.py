"""Outcomes: closed sets of labels, and what a log line says."""

import json

import dns.flags
import pytest

from blocker import events, names
from blocker.policy import PASSTHRU, Action, Trigger, Verdict, Waiver
from tests.oracle import rule, verdict

QNAME = names.from_text("www.tiktok.com")
ALLOWED = Verdict(Action.PASSTHRU, Trigger.QNAME, rule("ads.tiktok.com", allow=True))
MONITORED = verdict("passthru", monitored=True)
EXCEPTED = verdict("passthru", monitored=True, waiver=Waiver("7", "INC-1"))
SHADOW = verdict("passthru", monitored=True, shadow=True, rollout="r1")
ROLLED_OUT = verdict("nodata", rollout="r1")
BLOCKED = verdict("sinkhole", trigger=Trigger.ALIAS, via="x.tiktokcdn.com")
QUIET = verdict("nxdomain", rule("onion", "special", quiet=True))


@pytest.mark.parametrize(
    ("qtype", "rcode", "ending", "said", "expected"),
    [
        (1, 0, "cache", PASSTHRU, ("udp", "A", "NOERROR", "cache", "", "", "", "", "", "")),
        (65, 3, "upstream", PASSTHRU, ("udp", "HTTPS", "NXDOMAIN", "upstream", "", "", "", "", "", "")),
        (
            65280,
            0,
            "cache",
            PASSTHRU,
            ("udp", "other", "NOERROR", "cache", "", "", "", "", "", ""),
        ),  # strangers choose types
        (1, 9, "upstream", PASSTHRU, ("udp", "A", "other", "upstream", "", "", "", "", "", "")),
        (
            1,
            None,
            "blocked",
            verdict("drop"),
            ("udp", "A", "none", "blocked", "staff", "tiktok", "drop", "qname", "", ""),
        ),
        (1, 0, "blocked", BLOCKED, ("udp", "A", "NOERROR", "blocked", "staff", "tiktok", "sinkhole", "alias", "", "")),
        (1, 0, "cache", MONITORED, ("udp", "A", "NOERROR", "cache", "staff", "tiktok", "passthru", "qname", "1", "")),
        (
            1,
            0,
            "cache",
            SHADOW,
            ("udp", "A", "NOERROR", "cache", "staff", "tiktok", "passthru", "qname", "shadow", "r1"),
        ),
        (
            1,
            0,
            "blocked",
            ROLLED_OUT,
            ("udp", "A", "NOERROR", "blocked", "staff", "tiktok", "nodata", "qname", "", "r1"),
        ),
        (
            1,
            0,
            "cache",
            ALLOWED,
            ("udp", "A", "NOERROR", "cache", "", "", "", "", "", ""),
        ),  # allowed counts as any other
    ],
)
def test_labels(qtype, rcode, ending, said, expected):
    assert events.labels("udp", qtype, rcode, ending, "staff", said) == expected


@pytest.mark.parametrize(
    ("said", "attempt"),
    [
        (PASSTHRU, False),
        (ALLOWED, False),
        (MONITORED, True),
        (SHADOW, True),
        (EXCEPTED, True),
        (BLOCKED, True),
        (QUIET, False),
        (verdict("drop"), True),
    ],
)
def test_is_attempt(said, attempt):
    assert events.is_attempt(said) is attempt


def heads(flags, rcode=0, answers=0):
    """Return the header of an answer."""
    return b"\0\1" + (dns.flags.from_text(flags) | rcode).to_bytes(2) + b"\0\1" + answers.to_bytes(2) + bytes(4)


def line(said, **more):
    at = {"group": "staff", "qname": QNAME, "qtype": 1, "transport": "udp", "rcode": 0, "ending": "blocked"} | more
    return json.loads(b"{" + events.tail(**at, verdict=said) + b"}")


PLAIN = {
    "group": "staff", "qname": "www.tiktok.com", "qtype": "A", "transport": "udp", "rcode": "NOERROR",
    "outcome": "blocked",
}  # fmt: skip
WHY = {"app": "tiktok", "entry": "tiktok.yaml:1", "value": "tiktok.com", "reference": "ca-1"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (PASSTHRU, PLAIN),
        (BLOCKED, {**PLAIN, **WHY, "trigger": "alias", "action": "sinkhole", "via": "x.tiktokcdn.com"}),
        (MONITORED, {**PLAIN, **WHY, "trigger": "qname", "action": "monitor"}),
        (EXCEPTED, {**PLAIN, **WHY, "trigger": "qname", "action": "except", "exception": "7", "ticket": "INC-1"}),
        (SHADOW, {**PLAIN, **WHY, "trigger": "qname", "action": "shadow", "rollout": "r1"}),
        (ROLLED_OUT, {**PLAIN, **WHY, "trigger": "qname", "action": "nodata", "rollout": "r1"}),
    ],
)
def test_tail(said, expected):
    assert line(said) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"rcode": None}, {"rcode": "none"}),
        ({"rcode": 9}, {"rcode": "9"}),
        ({"qtype": 65280}, {"qtype": "TYPE65280"}),
        ({"qname": b'\5a"\n\0\xff\0'}, {"qname": "a\\034\\010\\000\\255"}),  # one line, whatever is asked
    ],
)
def test_odd_values(more, expected):
    assert line(PASSTHRU, **more) == PLAIN | expected
    assert b"\n" not in events.tail("staff", QNAME, 1, "udp", 0, "blocked", PASSTHRU)


@pytest.mark.parametrize(
    "other",
    [
        rule("tiktok.com", line=99),  # the line moved, the entry is the same
        rule("TikTok.com."),
    ],
)
def test_an_entry_keeps_its_id(other):
    assert events.entry_id(other) == events.entry_id(rule("tiktok.com"))


@pytest.mark.parametrize(
    "other",
    [
        rule("tiktok.com", "other"),
        rule("tiktok.com", allow=True),
        rule("=tiktok.com"),
        rule("tiktok.com", answer=Action.NXDOMAIN),
        rule("www.tiktok.com"),
    ],
)
def test_another_meaning_is_another_entry(other):
    assert events.entry_id(other) != events.entry_id(rule("tiktok.com"))


def test_an_entry_in_another_alphabet_is_the_same_in_ascii():
    assert events.entry_id(rule("münchen.example")) == events.entry_id(rule("xn--mnchen-3ya.example"))


def test_a_record_says_what_the_verdict_rests_on():
    basis = events.Basis("0011", "aabb")
    for _ in range(2):  # the second time from memory
        assert line(BLOCKED, heard=["192.0.2.1"], basis=basis) == {
            **PLAIN, **WHY, "trigger": "alias", "action": "sinkhole", "via": "x.tiktokcdn.com",
            "answer": ["192.0.2.1"], "entry_id": events.entry_id(BLOCKED.rule), "list": "0011", "policy": "aabb",
        }  # fmt: skip
    assert line(PASSTHRU, basis=basis) == PLAIN


def test_what_is_remembered_of_entries_is_bounded(monkeypatch):
    monkeypatch.setattr(events, "_REMEMBERED", 2)
    basis = events.Basis("0011", "aabb")
    said = [basis.of(rule(f"{number}.example")) for number in range(5)]
    assert said == [basis.of(rule(f"{number}.example")) for number in range(5)]
    assert len(basis._remembered) <= 2


V4, V6 = b"\xc0\0\2\1", bytes.fromhex("20010db8000000000000000000000001")


@pytest.mark.parametrize(
    ("answer", "addresses", "expected"),
    [
        (None, (), "nothing"),
        (heads("QR RA"), (V4, V6), ["192.0.2.1", "2001:db8::1"]),
        (heads("QR RA"), (), "nodata"),
        (heads("QR RA", answers=1), (), "records"),  # an alias, an HTTPS record without hints
        (heads("QR RA", rcode=3), (), "nxdomain"),
        (heads("QR RA", rcode=5), (), "refused"),
        (heads("QR RA", rcode=9), (), "9"),
        (heads("QR TC RA"), (V4,), "truncated"),  # the address did not go out
    ],
)
def test_what_the_client_heard(answer, addresses, expected):
    assert events.told(answer, addresses) == expected


def test_an_answer_of_many_addresses_is_named_in_part():
    assert len(events.told(heads("QR RA"), (V4,) * 500)) == 16
