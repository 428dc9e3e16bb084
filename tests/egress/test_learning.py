"""Which addresses are refused, which are left alone, and for whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.egress import learning
from blocker.egress.learning import Change, Found, Learning, Reason

BANNED, ALLOWED, CDN = (names.from_text(text) for text in ("banned.example", "allowed.example", "cdn.example"))
ONE, TWO, SIX = b"\xc6\x33\x64\1", b"\xc6\x33\x64\2", b"\x20\1\x0d\xb8" + bytes(11) + b"\1"
HOUR = 3600


def made(probation=0):
    return Learning(probation, keep=HOUR, recent=24 * HOUR)


def find(each, *addresses, now=0.0, ttl=300, own=(), shared=None, app="tiktok"):
    return each.find(Found(app, BANNED, addresses, ttl, shared), own, now)


def state(each, address=ONE):
    (suspect,) = (suspect for suspect in each.suspects() if suspect.address == address)
    return suspect.refused, suspect.reason, suspect.by


def test_what_only_a_banned_name_has_is_refused():
    each = made()
    assert find(each, ONE, SIX) == [Change("tiktok", ONE, HOUR + 1), Change("tiktok", SIX, HOUR + 1)]
    assert state(each) == (True, Reason.NONE, "")
    assert find(each, ONE, now=100.0) == [Change("tiktok", ONE, HOUR + 1)]  # for as long again
    assert find(each, ONE, now=100.0, ttl=9000) == [Change("tiktok", ONE, 9001)]


@pytest.mark.parametrize(
    ("before", "how", "reason", "by"),
    [
        (lambda each: each.allow(ALLOWED, [ONE], 60, 0.0), {}, Reason.ALLOWED, "allowed.example"),
        (lambda each: each.allow(ALLOWED, [ONE], 60, 0.0, Reason.NEEDED), {}, Reason.NEEDED, "allowed.example"),
        (lambda each: None, {"shared": CDN}, Reason.SHARED, "cdn.example"),
        (lambda each: None, {"own": [ONE]}, Reason.OWN, "our own network"),
    ],
)
def test_what_others_may_have_is_left_alone(before, how, reason, by):
    each = made()
    before(each)
    assert find(each, ONE, **how) == []
    assert state(each) == (False, reason, by)
    assert each.guarded == {("tiktok", reason): 1}
    find(each, ONE, **how)
    assert each.guarded == {("tiktok", reason): 1}  # the same decision


@pytest.mark.parametrize("address", [b"\x0a\0\0\1", b"\x7f\0\0\1", b"\0\0\0\0", b"\xfd" + bytes(15)])
def test_private_addresses_are_nobodys_to_refuse(address):
    each = made()
    assert find(each, address) == []
    assert state(each, address)[1] is Reason.OWN


def test_an_allowed_name_that_turns_up_later_lets_the_address_go():
    each = made()
    find(each, ONE, TWO)
    assert each.allow(ALLOWED, [ONE], 60, 10.0) == [Change("tiktok", ONE, 0)]
    assert each.allow(ALLOWED, [ONE], 60, 11.0) == []  # it is let go already
    assert find(each, ONE, now=12.0) == []
    assert state(each) == (False, Reason.ALLOWED, "allowed.example")
    assert state(each, TWO) == (True, Reason.NONE, "")


def test_when_the_allowed_name_was_not_seen_for_long_it_is_refused_again():
    each = made()
    each.allow(ALLOWED, [ONE], 60, 0.0)
    assert find(each, ONE, now=1.0) == []
    assert find(each, ONE, now=25.0 * HOUR) == [Change("tiktok", ONE, HOUR + 1)]
    assert state(each) == (True, Reason.NONE, "")


def test_a_name_that_must_resolve_stays_the_reason():
    each = made()
    each.allow(CDN, [ONE], 60, 0.0, Reason.NEEDED)
    each.allow(ALLOWED, [ONE], 60, 1.0)
    find(each, ONE)
    assert state(each) == (False, Reason.NEEDED, "cdn.example")


def test_an_address_is_watched_first():
    each = made(probation=600)
    assert find(each, ONE) == []
    assert each.look(599.0) == []
    assert each.look(600.0) == [Change("tiktok", ONE, 3001)]
    assert each.look(601.0) == []


def test_an_allowed_name_that_turns_up_meanwhile():
    each = made(probation=600)
    find(each, ONE)
    each.allow(ALLOWED, [ONE], 60, 10.0)
    assert each.look(700.0) == []


def test_what_was_not_seen_for_long_is_forgotten():
    each = made()
    find(each, ONE)
    assert each.look(HOUR + 1.0) == []
    assert each.look(HOUR + 2.0) == [Change("tiktok", ONE, 0)]  # as the kernel has by itself: for those who were told
    assert list(each.suspects()) == []


def test_two_apps_at_one_address():
    each = made()
    find(each, ONE)
    assert find(each, ONE, app="wechat") == [Change("wechat", ONE, HOUR + 1)]
    assert each.allow(ALLOWED, [ONE], 60, 1.0) == [Change("tiktok", ONE, 0), Change("wechat", ONE, 0)]
    each.forget(["wechat"])
    assert [suspect.app for suspect in each.suspects()] == ["wechat"]


def test_what_a_former_process_had_learned():
    each = made(probation=600)
    each.restore("tiktok", ONE, 100.0, now=5.0)
    assert each.again(5.0) == [Change("tiktok", ONE, 101)]
    assert each.allow(ALLOWED, [ONE], 60, 6.0) == [Change("tiktok", ONE, 0)]
    each.restore("tiktok", ONE, 100.0, now=5.0)
    assert each.again(5.0) == []  # what is known already is not overruled


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(learning, "MOST_ALLOWED", 10)
    monkeypatch.setattr(learning, "MOST_SUSPECTS", 10)
    each = made()
    for number in range(20):
        each.allow(ALLOWED, [bytes((198, 51, 100, number))], 60, 0.0)
    found = [find(each, bytes((198, 51, 100, number))) for number in range(30)]
    assert [bool(changes) for changes in found] == [True] * 10 + [False] * 20  # those remembered longest went first
    assert len(list(each.suspects())) == 10


STEPS = st.lists(
    st.tuples(st.sampled_from(["find", "allow", "look", "forget"]), st.integers(0, 3), st.floats(0, 5000)), max_size=30
)


@given(STEPS)
def test_the_kernel_never_refuses_what_an_allowed_name_had_a_moment_ago(steps):
    each = made(probation=100)
    refused, allowed, now = {}, {}, 0.0  # until when, as the kernel does; since when
    for kind, number, later in steps:
        now += later
        address = bytes((198, 51, 100, number))
        changes = []
        if kind == "find":
            changes = find(each, address, now=now)
        elif kind == "allow":
            allowed[address] = now
            changes = each.allow(ALLOWED, [address], 60, now)
        elif kind == "look":
            changes = each.look(now)
        for change in changes:
            refused[change.address] = now + change.seconds
        wrong = {each for each, until in refused.items() if until > now and now - allowed.get(each, -1e9) < 24 * HOUR}
        assert wrong == set()
