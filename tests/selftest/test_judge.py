"""What a client had to hear, and what else it may hear."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import answer, names
from blocker.answer import Wording
from blocker.policy import PASSTHRU, Action, Trigger, Verdict
from blocker.selftest.judge import block, failure
from blocker.selftest.plan import Check, packet
from blocker.wire.constants import MAX_TCP, Ede, Rcode
from blocker.wire.query import parse_query
from tests.oracle import rule, said

NAME = names.from_text("tiktok.com")
WORDING = Wording(sinkhole_v4=(bytes((192, 0, 2, 1)),))
ACTIONS = [Action.SINKHOLE, Action.NXDOMAIN, Action.NODATA, Action.REFUSED]


def blocked(action):
    return Check("tiktok", NAME, Verdict(action, Trigger.QNAME, rule("tiktok.com")))


RESOLVING = Check("", NAME, PASSTHRU)
QUERY = packet(RESOLVING, 1)
UPSTREAMS = said(QUERY, "tiktok.com 60 A 203.0.113.9")


def ours(action, wording=WORDING, limit=MAX_TCP):
    return answer.blocked(parse_query(QUERY), blocked(action).verdict, wording, limit)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("tcp", [False, True])
def test_what_the_server_composes_passes(action, tcp):
    assert failure(blocked(action), QUERY, ours(action), WORDING, tcp=tcp) == ""


@pytest.mark.parametrize(("check", "reply", "why"), [
    (blocked(Action.SINKHOLE), None, "it gave no answer"),
    (blocked(Action.SINKHOLE), UPSTREAMS, "it answered 203.0.113.9, not 192.0.2.1"),
    (blocked(Action.SINKHOLE), ours(Action.SINKHOLE, Wording()), "it answered 0.0.0.0, not 192.0.2.1"),  # an old policy
    (blocked(Action.NXDOMAIN), ours(Action.NODATA), "it answered nodata, not nxdomain"),
    (blocked(Action.SINKHOLE), b"\0" * 11, "its answer is malformed"),
    (blocked(Action.DROP), None, ""),
    (blocked(Action.DROP), UPSTREAMS, "it answered 203.0.113.9 where the policy wants silence"),
    (blocked(Action.DROP), b"\0" * 5, "it answered nonsense where the policy wants silence"),
    (RESOLVING, UPSTREAMS, ""),
    (RESOLVING, None, "it gave no answer"),
    (RESOLVING, answer.failed(parse_query(QUERY), Rcode.NXDOMAIN, MAX_TCP, WORDING), ""),  # that it answered counts
    (RESOLVING, answer.failed(parse_query(QUERY), Rcode.SERVFAIL, MAX_TCP, WORDING), "it answered SERVFAIL"),
])  # fmt: skip
def test_failure(check, reply, why):
    assert failure(check, QUERY, reply, WORDING, tcp=False) == why


@pytest.mark.parametrize(("code", "why"), [(Ede.BLOCKED, "it is blocked, 'so it is'"), (Ede.STALE_ANSWER, "")])
def test_a_block_inside_the_answer_is_seen(code, why):
    """One that only inspection finds, such as rebinding: the rcode does not show it."""
    reply = answer.failed(parse_query(QUERY), Rcode.NOERROR, MAX_TCP, WORDING, answer.extended_error(code, "so it is"))
    assert failure(RESOLVING, QUERY, reply, WORDING, tcp=False) == block(QUERY, reply) == why


def test_what_fails_is_not_blocked():
    assert block(QUERY, answer.failed(parse_query(QUERY), Rcode.SERVFAIL, MAX_TCP, WORDING)) == ""


def test_another_reason_is_another_policy():
    reply = ours(Action.SINKHOLE, Wording(sinkhole_v4=WORDING.sinkhole_v4, ede=Ede.CENSORED))
    assert "another reason" in failure(blocked(Action.SINKHOLE), QUERY, reply, WORDING, tcp=False)


@given(st.binary(max_size=100))
def test_any_octets_are_survived(reply):
    failure(RESOLVING, QUERY, reply, WORDING, tcp=False)
    block(QUERY, reply)
    failure(blocked(Action.DROP), QUERY, reply, WORDING, tcp=False)
