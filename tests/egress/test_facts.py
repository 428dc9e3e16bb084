"""Whose addresses are whose, and for which devices, by the one policy."""

from ipaddress import ip_address, ip_network

import pytest

from blocker.egress.facts import of_networks
from tests.egress.rules import CONFIG, gathered

DEVICES = {
    "staff": ["10.0.0.0-10.0.0.63", "10.0.0.128-10.0.0.255", "fd00::-fd00::ffff:ffff:ffff:ffff"],
    "lab": ["10.0.0.64-10.0.0.127"],
}


def shown(intervals):
    return [
        str(ip_address(first)) if first == last else f"{ip_address(first)}-{ip_address(last)}"
        for version in (4, 6)
        for first, last in intervals[version]
    ]


@pytest.mark.parametrize(("egress", "devices"), [
    ("", DEVICES),
    ("devices: [10.0.0.0/25, 192.0.2.9]", {
        "staff": ["10.0.0.0-10.0.0.63"], "lab": DEVICES["lab"], "default": ["192.0.2.9"],
    }),
    ("mode: node", {"default": []}),
])  # fmt: skip
def test_devices_belong_to_the_longest_prefix(tmp_path, egress, devices):
    text = CONFIG.replace("interfaces: [lan]", egress or "interfaces: [lan]")
    _, found = gathered(tmp_path, text)
    assert {group.name: shown(group.devices) for group in found.groups} == devices


def undressed(intervals):
    """Return what is shown of `intervals` but for IPv4 in the dress of IPv6."""
    return [each for each in shown(intervals) if not each.startswith(("64:ff9b::", "2002:"))]


def test_addresses_of_apps(tmp_path):
    _, found = gathered(tmp_path)
    assert {app: undressed(intervals) for app, intervals in found.apps.items()} == {
        "bypass": [],
        "chat": ["203.0.113.0-203.0.113.15", "203.0.113.32-203.0.113.191",
                 "2001:db8:1::-2001:db8:1:ffff:ffff:ffff:ffff:ffff"],
        "video": ["198.51.100.7", "203.0.113.32-203.0.113.63"],
    }  # fmt: skip
    assert undressed(found.doh) == ["9.9.9.9-9.9.9.10", "2620:fe::fe"]


def test_ipv4_in_the_dress_of_ipv6(tmp_path):
    """Where somebody behind us translates, or ends such a tunnel, it is the same address."""
    _, found = gathered(tmp_path, ranges={"chat": ["203.0.113.0/24"], "video": ["-203.0.113.0/28"]})
    chat = ["64:ff9b::cb00:7100-64:ff9b::cb00:71ff", "2002:cb00:7100::-2002:cb00:71ff:ffff:ffff:ffff:ffff:ffff"]
    assert shown(found.apps["chat"])[1:] == chat
    staff = next(group for group in found.groups if group.name == "staff")
    assert shown(staff.passing)[1] == "64:ff9b::cb00:7100-64:ff9b::cb00:710f"


@pytest.mark.parametrize(("ranges", "passing"), [
    ({"chat": ["203.0.113.0/24"], "video": ["192.0.2.1"]}, []),
    ({"chat": ["203.0.113.0/24", "-203.0.113.0/28"]}, []),  # not in the app's set at all
    ({"chat": ["203.0.113.0/24"], "video": ["-203.0.113.0/28"]}, ["203.0.113.0-203.0.113.15"]),  # by another app's list
    ({"chat": ["203.0.113.0/28"], "video": ["-203.0.113.0/24"]}, []),  # the longest prefix wins
])  # fmt: skip
def test_what_an_exception_of_another_list_opens(tmp_path, ranges, passing):
    _, found = gathered(tmp_path, ranges=ranges)
    staff = next(group for group in found.groups if group.name == "staff")
    assert undressed(staff.passing) == passing


def test_what_a_group_does_with_each_app(tmp_path):
    _, found = gathered(tmp_path)
    assert {group.name: (group.enforced, group.noted, group.hygienic) for group in found.groups} == {
        "staff": (("bypass", "chat", "video"), (), True),
        "lab": (("video",), ("chat",), True),  # it blocks something, so its questions come to us
    }
    _, watching = gathered(tmp_path, CONFIG.replace("block: [video], monitor: [chat]", "block: [], monitor: [chat]"))
    assert [group.hygienic for group in watching.groups if group.name == "lab"] == [False]


@pytest.mark.parametrize(("plan", "enforced"), [
    ("app: chat", {"staff": ("bypass", "video"), "lab": ("video",)}),
    ("app: video, stage: groups, groups: [staff]", {"staff": ("bypass", "chat", "video"), "lab": ()}),
    ("app: video, stage: percent", {"staff": ("bypass", "chat"), "lab": ()}),  # the kernel knows no shares
    ("app: chat, stage: all", {"staff": ("bypass", "chat", "video"), "lab": ("video",)}),
])  # fmt: skip
def test_an_app_is_only_noted_for_groups_that_its_rollout_has_not_reached(tmp_path, plan, enforced):
    _, found = gathered(tmp_path, f"{CONFIG}\nrollout: {{plans: [{{name: trial, {plan}}}]}}\n")
    assert {group.name: group.enforced for group in found.groups} == enforced


def test_neighbours_are_joined():
    networks = map(ip_network, ("10.0.0.0/25", "10.0.0.128/25", "10.0.2.0/24"))
    assert shown(of_networks(networks)) == ["10.0.0.0-10.0.0.255", "10.0.2.0-10.0.2.255"]
