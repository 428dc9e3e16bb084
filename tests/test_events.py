"""Outcomes: closed sets of labels, and what a log line says."""

import json

import pytest

from blocker import events, names
from blocker.policy import PASSTHRU, Action, Trigger, Verdict
from tests.oracle import rule, verdict

QNAME = names.from_text("www.tiktok.com")
ALLOWED = Verdict(Action.PASSTHRU, Trigger.QNAME, rule("ads.tiktok.com", allow=True))
MONITORED = verdict("passthru", monitored=True)
BLOCKED = verdict("sinkhole", trigger=Trigger.ALIAS, via="x.tiktokcdn.com")
QUIET = verdict("nxdomain", rule("onion", "special", quiet=True))


@pytest.mark.parametrize(
    ("qtype", "rcode", "ending", "said", "expected"),
    [
        (1, 0, "cache", PASSTHRU, ("udp", "A", "NOERROR", "cache", "", "", "", "", "")),
        (65, 3, "upstream", PASSTHRU, ("udp", "HTTPS", "NXDOMAIN", "upstream", "", "", "", "", "")),
        (
            65280,
            0,
            "cache",
            PASSTHRU,
            ("udp", "other", "NOERROR", "cache", "", "", "", "", ""),
        ),  # strangers choose types
        (1, 9, "upstream", PASSTHRU, ("udp", "A", "other", "upstream", "", "", "", "", "")),
        (1, None, "blocked", verdict("drop"), ("udp", "A", "none", "blocked", "staff", "tiktok", "drop", "qname", "")),
        (1, 0, "blocked", BLOCKED, ("udp", "A", "NOERROR", "blocked", "staff", "tiktok", "sinkhole", "alias", "")),
        (1, 0, "cache", MONITORED, ("udp", "A", "NOERROR", "cache", "staff", "tiktok", "passthru", "qname", "1")),
        (1, 0, "cache", ALLOWED, ("udp", "A", "NOERROR", "cache", "", "", "", "", "")),  # allowed counts as any other
    ],
)
def test_labels(qtype, rcode, ending, said, expected):
    assert events.labels("udp", qtype, rcode, ending, "staff", said) == expected


@pytest.mark.parametrize(
    ("said", "attempt"),
    [(PASSTHRU, False), (ALLOWED, False), (MONITORED, True), (BLOCKED, True), (QUIET, False), (verdict("drop"), True)],
)
def test_is_attempt(said, attempt):
    assert events.is_attempt(said) is attempt


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
