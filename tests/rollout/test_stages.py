"""Whom a rollout has reached: always the same clients, more of them with a larger share, and nobody twice."""

from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.clients import Clients
from blocker.config import Config
from blocker.exceptions.entry import Grant
from blocker.policy import stage_of
from blocker.rollout.stages import bucket
from tests.oracle import Loaded

GROUPS = [{"name": "pilot", "clients": ["10.0.0.0/8"]}, {"name": "lab", "clients": ["192.0.2.0/24"]}]
APPS = Loaded(("tiktok", "trial"))


def clients(*plans, salt=""):
    named = [{"name": f"r{at}", **plan} for at, plan in enumerate(plans)]
    config = Config.model_validate({"groups": GROUPS, "rollout": {"plans": named, "salt": salt}})
    return Clients(config, APPS, 0)


def shadow(policy, app="", origin=""):
    """Return the rollout that the entry is part of, and whether it is in shadow."""
    staged = stage_of(policy, app, origin)
    return staged and (staged.rollout, staged.shadow)


@pytest.mark.parametrize(
    ("plan", "pilot", "unlisted"),
    [
        ({"stage": "shadow"}, True, True),
        ({"stage": "groups", "groups": ["pilot"]}, False, True),
        ({"stage": "groups", "groups": ["default"]}, True, False),
        ({"stage": "percent", "percent": 1, "groups": ["pilot"]}, False, True),  # a share of all, and who was named
        ({"stage": "all"}, False, False),
        ({"stage": "percent", "percent": 50}, True, True),  # what is common to a group is what most of it have
    ],
)
def test_a_stage_reaches_groups(plan, pilot, unlisted):
    found = clients({"app": "tiktok", **plan})
    assert shadow(found.policies["pilot"], "tiktok") == ("r0", pilot)
    assert shadow(found.policies["default"], "tiktok") == ("r0", unlisted)
    assert shadow(found.policies["pilot"], "trial") is None


@pytest.mark.parametrize(
    ("plan", "app", "origin", "part"),
    [
        ({"app": "tiktok"}, "tiktok", "whatever.txt", True),
        ({"app": "tiktok"}, "trial", "tiktok", False),
        ({"file": "new.yaml"}, "tiktok", "new.yaml", True),
        ({"file": "new.yaml"}, "tiktok", "tiktok.yaml", False),
    ],
)
def test_what_a_rollout_is_about(plan, app, origin, part):
    assert (shadow(clients(plan).unlisted, app, origin) is not None) is part


def test_of_two_about_the_same_the_one_that_holds_it_back_counts():
    both = ({"app": "tiktok", "stage": "all"}, {"app": "tiktok"})
    assert shadow(clients(*both).unlisted, "tiktok") == ("r1", True)
    assert shadow(clients(*reversed(both)).unlisted, "tiktok") == ("r0", True)


def test_without_a_percentage_a_group_has_one_policy():
    found = clients({"app": "tiktok"})
    assert found.policy_for(ip_address("10.0.0.1").packed) is found.policies["pilot"]
    assert clients().policies["pilot"].staged_apps == {}


def test_a_share_is_about_that_share_and_a_group_has_few_policies():
    plans = [{"app": "tiktok", "stage": "percent", "percent": 10}, {"file": "a", "stage": "percent", "percent": 25}]
    found = clients(*plans)
    seen = [found.policy_for(ip_address(f"10.0.{at >> 8}.{at & 255}").packed) for at in range(20_000)]
    share = Counter((shadow(each, "tiktok")[1], shadow(each, "", "a")[1]) for each in seen)
    assert set(share) == {(False, False), (True, False), (True, True)}  # who is in at 10 is in at 25
    assert share[False, False] == pytest.approx(2000, rel=0.1)
    assert share[True, False] == pytest.approx(3000, rel=0.1)
    assert len({id(each) for each in seen}) == len({each.variant for each in seen}) == 3


@given(st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)), st.integers(1, 98))
def test_a_client_that_is_in_stays_in(address, percent):
    def reached(share):
        found = clients({"app": "tiktok", "stage": "percent", "percent": share}, salt="s")
        return not shadow(found.policy_for(address), "tiktok")[1]

    assert reached(percent) == reached(percent)
    assert reached(percent) <= reached(percent + 1)


@given(st.binary(min_size=4, max_size=4))
def test_ipv4_in_ipv6_dress_is_the_same_client(address):
    found = clients({"app": "tiktok", "stage": "percent"})
    mapped = bytes(10) + b"\xff\xff" + address
    assert found.policy_for(address) is found.policy_for(mapped)
    assert found.bucket(address) == found.bucket(mapped)


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_a_device_that_changes_the_rest_of_its_ipv6_address_stays_where_it_was(network, one, other):
    assert bucket(network + one, "") == bucket(network + other, "")


def test_another_salt_reaches_others_first():
    addresses = [bytes((10, 0, at >> 8, at & 255)) for at in range(2000)]
    first, second = ({each for each in addresses if bucket(each, salt) < 10} for salt in ("a", "b"))
    assert len(first & second) < len(first) / 3
    assert first == {each for each in addresses if bucket(each, "a") < 10}


def test_clients_with_an_exception_of_their_own_stay_apart_in_every_stage():
    """Answers are remembered by group and variant: two policies of one variant would hear each other's."""
    grant = Grant("1", "", "suffix", "help.tiktok.com", "", "", "10.0.0.0/8", 0, 10)
    plan = {"name": "r0", "app": "trial", "stage": "percent", "percent": 50}
    config = Config.model_validate({"groups": [], "rollout": {"plans": [plan], "salt": "s"}})
    found = Clients(config, APPS, 0, [grant])
    policies = {
        policy.variant: bool(policy.waivers)
        for policy in (found.policy_for(bytes((at, 0, 0, each))) for at in (10, 11) for each in range(100))
    }
    assert policies == {"": False, "50": False, "10.0.0.0/8": True, "10.0.0.0/8 50": True}
