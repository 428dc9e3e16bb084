"""What a journal record or a verdict tells; any octets are survived."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import events, names
from blocker.candidates.seen import How, Seen, of_record, of_verdict
from blocker.policy import PASSTHRU, Action, Rule, Scope, Trigger, Verdict

V4 = bytes((192, 0, 2, 1))
NAME = names.from_text("a.example")
RULE = Rule("tiktok", "tiktok.com", Scope.SUFFIX, False, "tiktok.yaml:1")


def verdict(action=Action.SINKHOLE, trigger=Trigger.QNAME, via="", **more):
    return Verdict(action, trigger, RULE, via, **more)


@pytest.mark.parametrize(("said", "how", "app", "via"), [
    (PASSTHRU, How.NOTHING, "", ""),
    (verdict(), How.LISTED, "tiktok", ""),
    (verdict(Action.PASSTHRU, monitored=True), How.LISTED, "tiktok", ""),
    (verdict(Action.PASSTHRU), How.KNOWN, "", ""),  # an exception: somebody has decided
    (verdict(trigger=Trigger.ALIAS, via="x.tiktokcdn.com"), How.ALIAS, "tiktok", "x.tiktokcdn.com"),
    (verdict(trigger=Trigger.RESPONSE_IP, via="192.0.2.9"), How.ADDRESS, "tiktok", "192.0.2.9"),
])  # fmt: skip
def test_records_and_verdicts_tell_the_same(said, how, app, via):
    expected = Seen(1.0, V4, NAME, how, app, via)
    tail = events.tail("default", NAME, 1, "udp", 0, "blocked", said)
    assert of_record(1.0, V4, tail + b"\0\0\0") == expected  # journals pad records
    assert of_verdict(1.0, V4, NAME, said) == expected


@pytest.mark.parametrize("rcode", [2, 3])
def test_a_name_that_does_not_exist_is_nobodys(rcode):
    assert of_record(1.0, V4, events.tail("default", NAME, 1, "udp", rcode, "upstream", PASSTHRU)) is None
    blocked = events.tail("default", NAME, 1, "udp", rcode, "blocked", verdict(Action.NXDOMAIN))
    assert of_record(1.0, V4, blocked) == Seen(1.0, V4, NAME, How.LISTED, "tiktok")


@pytest.mark.parametrize(
    "tail", [b"", b'"qname":1', b'"qname":"a..b"', b"\xff", b'"qname":"a.example","app":"x"', b"[" * 9000]
)
def test_what_is_no_record_is_nothing(tail):
    assert of_record(1.0, V4, tail) is None


@given(st.binary(max_size=200))
def test_any_octets_are_survived(tail):
    of_record(1.0, V4, tail)
