"""The section on egress: what refers to what, what is written twice, and what cannot work."""

from ipaddress import ip_network

import pytest

from blocker import config
from blocker.config import Endpoint
from blocker.errors import ConfigError

GOOD = """\
listen: ["192.0.2.1:53", "[2001:db8::1]:53"]
groups: [{name: staff, clients: [192.0.2.0/24]}, {name: lab, clients: ["2001:db8::/64"]}]
egress:
  enabled: true
  interfaces: [lan0]
  groups:
    - {name: staff, quic: reject, gate: off}
    - {name: lab, quic: learned, gate: audit, static: [198.51.100.0/24]}
"""


def parsed(tmp_path, text):
    return config.parse(text, "b.yaml", tmp_path)


def test_good(tmp_path):
    found = parsed(tmp_path, GOOD)
    egress = found.egress
    assert (egress.group("staff").quic, egress.group("staff").gate, egress.group("default").quic) == (
        "reject",
        "off",  # which YAML 1.1 reads as false
        "allow",
    )
    assert [egress.group(name).wants_answers for name in ("staff", "lab", "default")] == [False, True, False]
    clients = tuple(network for group in found.groups for network in group.clients)
    assert config.governed(egress, clients) == clients
    assert parsed(tmp_path, found.model_dump_json()).egress == egress


@pytest.mark.parametrize(("old", "new", "problem"), [
    ("name: staff, quic", "name: staf, quic", "there is no group 'staf'; did you mean 'staff'?"),
    ("name: lab, quic", "name: staff, quic", "'staff' is written twice"),
    ("quic: reject", "quic: refuse", "must be allow, reject or learned"),
    ("gate: audit", "gate: log", "must be off, audit or enforce"),
    ("lan0", "'lan0; drop'", "is not the name of a network interface"),
    ("lan0", "a-name-that-is-too-long", "is not the name of a network interface"),
    ("interfaces: [lan0]", "mode: node", "in mode 'node' there is one group, 'default'"),
    ("interfaces: [lan0]", "mode: node\n  devices: [192.0.2.0/24]", "in mode 'node' there are none"),
    ("interfaces: [lan0]", "resolver: ['0.0.0.0:53']", "no place that a packet can be sent to"),
    ("interfaces: [lan0]", "resolver: ['192.0.2.1:53', '192.0.2.2:53']", "there is one of IPv4 already"),
    ("interfaces: [lan0]", "dns: off", "must be redirect or reject"),
    ('"192.0.2.1:53", "[2001:db8::1]:53"', '"127.0.0.1:53"', "all of listen is loopback"),
    ("groups: [{name: staff, clients: [192.0.2.0/24]}, {name: lab, clients: [\"2001:db8::/64\"]}]", "",
     "nobody is governed"),
])  # fmt: skip
def test_refused(tmp_path, old, new, problem):
    with pytest.raises(ConfigError) as caught:
        parsed(tmp_path, GOOD.replace(old, new, 1))
    assert any(problem in each for each in caught.value.problems), caught.value.problems


@pytest.mark.parametrize("user", ["", "root"])
def test_on_a_node_whoever_runs_as_root_may_not_ask_the_upstreams(tmp_path, user):
    with pytest.raises(ConfigError, match="name an account that nothing else runs as"):
        parsed(tmp_path, f"egress: {{enabled: true, mode: node}}\nprocess: {{user: '{user}'}}")
    parsed(tmp_path, "egress: {enabled: true, mode: node}\nprocess: {user: blocker}")


@pytest.mark.parametrize(("said", "expected"), [
    ("", {4: "192.0.2.1:53", 6: "[2001:db8::1]:53"}),
    ("listen: ['127.0.0.1:53', '192.0.2.1:54', '192.0.2.2:55']", {4: "192.0.2.1:54"}),
    ("listen: ['192.0.2.1:53', '0.0.0.0:5353']", {4: "0.0.0.0:5353"}),  # whatever address a device may reach
    ("egress: {resolver: ['192.0.2.9:53']}", {4: "192.0.2.9:53"}),
    ("egress: {dns: reject}", {}),
    ("egress: {mode: node}\nprocess: {user: blocker}\nlisten: ['127.0.0.1:5353']", {4: "127.0.0.1:5353"}),
])  # fmt: skip
def test_where_questions_go(tmp_path, said, expected):
    text = said if "listen" in said else "listen: ['192.0.2.1:53', '[2001:db8::1]:53']\n" + said
    found = parsed(tmp_path, text)
    went = config.redirected(found.egress, found.listen)
    assert {version: str(end) for version, end in went.items()} == expected
    assert all(isinstance(end, Endpoint) for end in went.values())


def test_devices_of_ones_own(tmp_path):
    found = parsed(tmp_path, GOOD.replace("interfaces", "devices: [192.0.2.0/28]\n  interfaces"))
    assert config.governed(found.egress, ()) == (ip_network("192.0.2.0/28"),)
