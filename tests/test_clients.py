"""Whose query is it: the longest prefix wins, and who is in no group gets everything."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.clients import Clients
from blocker.config import Config
from blocker.policy import Action, Gate, Treatment

APPS = {"tiktok": 1, "wechat": 1, "special": 1, "canary": 1}


def clients(text=None, apps=APPS, **more):
    groups = text if text is not None else [
        {"name": "all", "clients": ["10.0.0.0/8", "2001:db8::/32"]},
        {"name": "site", "clients": ["10.1.0.0/16"], "block": ["tiktok"], "action": "nxdomain"},
        {"name": "host", "clients": ["10.1.2.3", "2001:db8::7"], "block": [], "monitor": ["wechat"]},
    ]  # fmt: skip
    return Clients(Config.model_validate({"groups": groups, **more}), apps)


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("10.0.0.1", "all"),
        ("10.1.0.1", "site"),
        ("10.1.2.3", "host"),
        ("10.1.2.4", "site"),
        ("11.0.0.0", "default"),
        ("9.255.255.255", "default"),
        ("::ffff:10.1.2.3", "host"),  # IPv4 over an IPv6 socket
        ("2001:db8::1", "all"),
        ("2001:db8::7", "host"),
        ("2001:db9::7", "default"),
        ("::", "default"),
    ],
)
def test_policy_for(address, group):
    assert clients().policy_for(ip_address(address).packed).group == group


@pytest.mark.parametrize(
    ("group", "apps"),
    [
        ("default", {app: Treatment(Action.SINKHOLE) for app in APPS}),  # everything, enforced
        ("all", {app: Treatment(Action.SINKHOLE) for app in APPS}),  # `block` not said: all
        ("site", {app: Treatment(Action.NXDOMAIN) for app in ("tiktok", "special", "canary")}),
        ("host", {
            "special": Treatment(Action.SINKHOLE), "canary": Treatment(Action.SINKHOLE),
            "wechat": Treatment(Action.SINKHOLE, monitored=True),
        }),
    ],
)  # fmt: skip
def test_what_a_group_blocks(group, apps):
    assert clients().policies[group].apps == apps


def test_apps_may_be_answered_otherwise():
    found = clients([], unlisted={"action": "nodata", "actions": {"tiktok": "refused"}}).unlisted.apps
    assert (found["tiktok"].action, found["wechat"].action) == (Action.REFUSED, Action.NODATA)


@pytest.mark.parametrize(
    ("protection", "missing"),
    [({}, set()), ({"special_names": False}, {"special"}), ({"canaries": False}, {"canary"})],
)
def test_protections_are_switchable(protection, missing):
    for policy in clients(protection=protection).policies.values():
        assert {"special", "canary"} - set(policy.apps) == missing


def test_forwards_and_exceptions_may_be_private():
    upstream = {"forward": [{"zones": ["corp.example"], "servers": ["192.0.2.1"]}]}
    policy = clients([], upstream=upstream, protection={"rebinding_exceptions": ["lab.example"]}).unlisted
    assert policy.forwarded == (names.from_text("corp.example"),)
    assert set(policy.private_zones) == {names.from_text("corp.example"), names.from_text("lab.example")}
    assert (policy.rebinding, policy.strip_ech) == (True, True)


PREFIXES = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
    lambda pair: ip_network((pair[0] >> (32 - pair[1]) << (32 - pair[1]), pair[1]))
)


@given(st.sets(PREFIXES, min_size=1, max_size=8), st.integers(0, 2**32 - 1), st.data())
def test_longest_prefix_as_a_plain_search_says(prefixes, number, data):
    ordered = sorted(prefixes)
    near = data.draw(st.sampled_from(ordered))
    address = ip_address(data.draw(st.sampled_from([number, int(near.network_address), int(near.broadcast_address)])))
    found = clients([{"name": f"g{at}", "clients": [str(each)]} for at, each in enumerate(ordered)])
    holding = [(each.prefixlen, f"g{at}") for at, each in enumerate(ordered) if address in each]
    assert found.policy_for(address.packed).group == (max(holding)[1] if holding else "default")


@pytest.mark.parametrize(
    ("egress", "gates"),
    [
        ({}, {"default": "off", "all": "off", "site": "off"}),
        ({"enabled": False, "groups": [{"name": "site", "gate": "enforce"}]}, {"site": "off"}),
        (
            {"groups": [{"name": "site", "gate": "enforce"}, {"name": "all", "gate": "audit"}]},
            {"default": "off", "all": "audit", "site": "enforce", "host": "off"},
        ),
        ({"groups": [{"gate": "enforce"}]}, {"default": "enforce", "all": "off"}),
        ({"groups": [{"name": "all", "quic": "learned"}]}, {"all": "audit"}),  # without the sets it falls back to TLS
        ({"mode": "node", "groups": [{"gate": "enforce"}]}, {"default": "enforce", "all": "enforce"}),  # one machine
    ],
)
def test_whose_answers_wait_for_the_gate(egress, gates):
    found = clients(listen=["192.0.2.53:53"], egress={"enabled": True, **egress})
    assert {group: found.policies[group].gate for group in gates} == {name: Gate(gate) for name, gate in gates.items()}
