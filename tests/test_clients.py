"""Whose query is it: the longest prefix wins, and who is in no group gets everything."""

import time
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.clients import Clients
from blocker.config import Config
from blocker.exceptions.entry import Grant
from blocker.policy import Action, Gate, Treatment, Trigger
from tests.oracle import Loaded, rule

APPS = ("tiktok", "wechat", "special", "canary")


NOON = 1_795_608_000  # 2026-11-25 12:00 UTC, a Wednesday


def clients(text=None, rules=(), granted=(), **more):
    groups = text if text is not None else [
        {"name": "all", "clients": ["10.0.0.0/8", "2001:db8::/32"]},
        {"name": "site", "clients": ["10.1.0.0/16"], "block": ["tiktok"], "action": "nxdomain"},
        {"name": "host", "clients": ["10.1.2.3", "2001:db8::7"], "block": [], "monitor": ["wechat"]},
    ]  # fmt: skip
    config = Config.model_validate({"groups": groups, "process": {"user": "blocker"}, **more})
    return Clients(config, Loaded(APPS, *rules), NOON, granted)


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


# Schedules and exceptions.

SCHEDULED = [{
    "name": "staff", "clients": ["10.0.0.0/8"],
    "schedules": [{"apps": ["tiktok"], "days": "mon-fri", "hours": "08:00-17:00", "outside": "monitor"},
                  {"apps": ["wechat"], "hours": "12:00-13:00", "inside": "allow", "outside": "block"}],
}]  # fmt: skip
ON, SEEN = Treatment(Action.SINKHOLE), Treatment(Action.SINKHOLE, monitored=True)
HOUR = 3600


@pytest.mark.parametrize(
    ("moment", "tiktok", "wechat", "turns"),
    [
        (NOON - 1, ON, ON, NOON),
        (NOON, ON, None, NOON + HOUR),
        (NOON + HOUR, ON, ON, NOON + 5 * HOUR),
        (NOON + 5 * HOUR, SEEN, ON, NOON + 20 * HOUR),
    ],
)
def test_a_schedule_changes_what_a_group_blocks(moment, tiktok, wechat, turns):
    found = Clients(Config.model_validate({"groups": SCHEDULED}), Loaded(APPS), moment)
    apps = found.policies["staff"].apps
    assert (apps["tiktok"], apps.get("wechat"), found.turns) == (tiktok, wechat, turns)
    assert set(found.unlisted.apps) == set(APPS)


def test_nothing_turns_where_nothing_is_scheduled():
    assert clients().turns is None


def grant(number="1", **more):
    said = {"ticket": "", "scope": "suffix", "value": "help.tiktok.com", "app": "", "group": "", "clients": "",
            "starts": 0, "ends": NOON + HOUR}  # fmt: skip
    return Grant(id=number, **said | more)


APP = {"scope": "", "value": "", "app": "tiktok"}


def ids(policy):
    return [each.id for each in policy.waivers.all()] if policy.waivers else []


def used(found, address):
    """Return which exceptions a client has: for names, and for all of tiktok."""
    policy = found.policy_for(ip_address(address).packed)
    tiktok = policy.apps.get("tiktok")
    return ids(policy), tiktok.waiver.id if tiktok and tiktok.waiver else None


@pytest.mark.parametrize(
    ("granted", "address", "expected"),
    [
        ([grant()], "192.0.2.1", (["1"], None)),  # everybody, in groups and out of them
        ([grant()], "10.1.2.3", (["1"], None)),
        ([grant(group="site")], "10.1.0.1", (["1"], None)),
        ([grant(group="site")], "10.2.0.1", ([], None)),
        ([grant(group="site")], "10.1.2.3", ([], None)),  # its group is another
        ([grant(group="default")], "192.0.2.1", (["1"], None)),
        ([grant(**APP)], "10.0.0.1", ([], "1")),
        ([grant(**APP)], "10.1.2.3", ([], None)),  # does not block it anyway
        ([grant(clients="10.0.0.0/30")], "10.0.0.3", (["1"], None)),
        ([grant(clients="10.0.0.0/30")], "10.0.0.4", ([], None)),
        ([grant(clients="10.1.0.0/20")], "10.1.2.3", (["1"], None)),  # a smaller group inside the exception's prefix
        ([grant(clients="10.0.0.0/8", group="site")], "10.1.0.1", (["1"], None)),
        ([grant(clients="10.0.0.0/8", group="site")], "10.0.0.1", ([], None)),
        ([grant(clients="2001:db8::/48")], "2001:db8::7", (["1"], None)),
        ([grant(clients="10.0.0.0/24"), grant("2", clients="10.0.0.7/32", **APP)], "10.0.0.7", (["1"], "2")),
        ([grant(clients="10.0.0.0/24"), grant("2", clients="10.0.0.7/32", **APP)], "10.0.0.8", (["1"], None)),
        ([grant(starts=NOON + 1)], "10.0.0.1", ([], None)),
        ([grant(ends=NOON)], "10.0.0.1", ([], None)),  # the first second in which it does not hold
        ([grant(group="gone")], "10.0.0.1", ([], None)),
        ([grant(scope="", value="", app="special")], "10.0.0.1", ([], None)),
    ],
)
def test_whose_an_exception_is(granted, address, expected):
    assert used(clients(granted=granted), address) == expected


def test_clients_with_an_exception_of_their_own_share_no_answers_with_others():
    found = clients(granted=[grant(clients="10.0.0.0/30"), grant("2", clients="10.0.0.0/32")])
    policies = [found.policy_for(ip_address(f"10.0.0.{each}").packed) for each in (0, 1, 4)]
    assert [(each.group, each.variant) for each in policies] == [
        ("all", "10.0.0.0/32"), ("all", "10.0.0.0/30"), ("all", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("granted", "turns"),
    [
        ([grant()], NOON + HOUR),
        ([grant(), grant("2", ends=NOON + 60)], NOON + 60),
        ([grant(starts=NOON + 30)], NOON + 30),
        ([grant(ends=NOON)], None),
    ],
)
def test_an_exception_turns_when_it_begins_and_ends(granted, turns):
    assert clients(granted=granted).turns == turns


@given(st.sets(PREFIXES, min_size=1, max_size=6), st.sets(PREFIXES, max_size=4), st.integers(0, 2**32 - 1), st.data())
def test_an_exceptions_clients_as_a_plain_search_says(prefixes, own, number, data):
    near = data.draw(st.sampled_from(sorted(prefixes | own)))
    address = ip_address(data.draw(st.sampled_from([number, int(near.network_address), int(near.broadcast_address)])))
    groups = [{"name": f"g{at}", "clients": [str(each)]} for at, each in enumerate(sorted(prefixes))]
    granted = [grant(str(at), clients=str(each)) for at, each in enumerate(sorted(own))]
    policy = clients(groups, granted=granted).policy_for(address.packed)
    holding = [(each.prefixlen, f"g{at}") for at, each in enumerate(sorted(prefixes)) if address in each]
    assert policy.group == (max(holding)[1] if holding else "default")
    assert set(ids(policy)) == {str(at) for at, each in enumerate(sorted(own)) if address in each}


@pytest.mark.parametrize(("selftest", "address", "group", "quiet"), [
    ({}, "127.54.54.54", "selftest", True),
    ({}, "127.54.54.55", "default", False),
    ({"interval": 0}, "127.54.54.54", "default", False),
    ({"source_v6": "fd00::54"}, "fd00::54", "selftest", True),
    ({"source_v4": "10.1.2.3"}, "10.1.2.3", "selftest", True),  # before any group
])  # fmt: skip
def test_our_own_queries_have_the_policy_of_clients_in_no_group(selftest, address, group, quiet):
    made = clients(selftest=selftest)
    found = made.policy_for(ip_address(address).packed)
    assert (found.group, found.quiet) == (group, quiet)
    assert found.apps == made.unlisted.apps


THEIRS = (
    rule("192.0.2.0/24", trigger=Trigger.CLIENT_IP, answer=Action.NXDOMAIN, feed=True, line=1),
    rule("192.0.2.7/32", trigger=Trigger.CLIENT_IP, allow=True, feed=True, line=2),
    rule("10.1.0.0/16", "wechat", trigger=Trigger.CLIENT_IP, answer=Action.DROP, feed=True, line=3),
    rule("10.1.2.3/32", "wechat", trigger=Trigger.CLIENT_IP, answer=Action.DROP, feed=True, line=4),
)


@pytest.mark.parametrize(
    ("address", "group", "lines"),
    [
        ("192.0.2.1", "default", ["tiktok.yaml:1"]),
        ("192.0.2.7", "default", ["tiktok.yaml:2", "tiktok.yaml:1"]),  # the longest prefix first
        ("::ffff:192.0.2.1", "default", ["tiktok.yaml:1"]),
        ("192.0.3.1", "default", []),
        ("10.1.0.1", "site", []),  # its group does not look at that app
        ("10.1.2.3", "host", ["wechat.yaml:4", "wechat.yaml:3"]),  # it is monitored there
    ],
)
def test_what_lists_say_of_a_client(address, group, lines):
    policy = clients(rules=THEIRS).policy_for(ip_address(address).packed)
    assert (policy.group, [each.source for each in policy.client_rules]) == (group, lines)


def test_clients_of_whom_lists_say_the_same_share_a_policy():
    found = clients(rules=THEIRS)
    first, second, other, plain = (
        found.policy_for(ip_address(each).packed) for each in ("192.0.2.1", "192.0.2.2", "192.0.2.7", "192.0.3.1")
    )
    assert first is second
    assert len({each.variant for each in (first, other, plain)}) == 3  # each has a table of answers of its own
    assert plain is found.unlisted


@pytest.mark.parametrize("kind", ["clients", "names", "groups"])
def test_ten_thousand_exceptions_are_no_reason_to_stop_answering(kind):
    """Every worker settles them at each of their turns, and each listed name passes them."""
    number = 10_000
    said = [{"name": f"g{each}", "clients": [f"10.{each}.0.0/16"]} for each in range(200)]
    granted = [
        Grant(
            str(each), "", "suffix", f"h{each}.tiktok.com", "", f"g{each % 200}" if kind == "groups" else "",
            f"10.{each % 200}.{each // 200}.7/32" if kind == "clients" else "", 0, 9 + each,
        )
        for each in range(number)
    ]  # fmt: skip
    began = time.process_time()
    found = Clients(Config.model_validate({"groups": said}), Loaded({"tiktok": {}}), 0, granted)
    assert time.process_time() - began < 10
    policy = found.policy_for(ip_address("10.3.0.7").packed)
    assert "3" in ids(policy)
    name = names.from_text("x.h3.tiktok.com")
    assert [each.id for each in policy.waivers.covering(name, name)] == ["3"]
