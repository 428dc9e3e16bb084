"""What an attempt outside DNS looks like in the log and in the counts."""

import json

import pytest

from blocker.egress import attempt
from blocker.egress.attempt import FOREIGN_DNS, UNRESOLVED, Flow
from blocker.events import ATTEMPT, Basis
from blocker.policy import PASSTHRU, Action, Policy, Rule, Scope, Staged, Treatment, Trigger, Verdict
from blocker.sinks.region import Region

V4, V6 = bytes((192, 0, 2, 9)), bytes.fromhex("20010db8000000000000000000000009")
BANNED = bytes((198, 51, 100, 7))
RANGE = Rule("wechat", "198.51.100.0/24", Scope.CIDR, allow=False, source="own.yaml:3", reference="ca-1")
OPEN = Rule("wechat", "198.51.100.0/28", Scope.CIDR, allow=True, source="own.yaml:4")
POLICY = Policy("staff", {"wechat": Treatment(Action.SINKHOLE)})
STAGED = Policy("staff", POLICY.apps, staged_apps={"wechat": Staged("trial", shadow=True)})
NOTING = Policy("lab", {"wechat": Treatment(Action.SINKHOLE, monitored=True)})


class Lists:
    """An index that knows some ranges."""

    def __init__(self, *rules):
        self.rules = rules

    def find(self, _name):
        return ()

    def find_address(self, address):
        return self.rules if address == BANNED else ()


@pytest.mark.parametrize(("policy", "rules", "address", "app", "expected"), [
    (POLICY, [RANGE], BANNED, "", (Action.REFUSED, "own.yaml:3", False)),
    (POLICY, [RANGE], BANNED, "tiktok", (Action.REFUSED, "own.yaml:3", False)),  # the lists know better
    (NOTING, [RANGE], BANNED, "", (Action.PASSTHRU, "own.yaml:3", True)),
    (POLICY, [OPEN, RANGE], BANNED, "", (Action.PASSTHRU, "own.yaml:4", False)),
    (POLICY, [RANGE], V4, "wechat", (Action.REFUSED, "learned", False)),  # no list holds it
    (NOTING, [RANGE], V4, "wechat", (Action.PASSTHRU, "learned", True)),
    (STAGED, [RANGE], BANNED, "", (Action.PASSTHRU, "own.yaml:3", True)),  # in shadow
    (STAGED, [RANGE], V4, "wechat", (Action.PASSTHRU, "learned", True)),
    (POLICY, [RANGE], V4, "", (Action.PASSTHRU, None, False)),
])  # fmt: skip
def test_a_connection_to_an_address(policy, rules, address, app, expected):
    verdict = attempt.to_address(policy, Lists(*rules), address, app)
    assert (verdict.action, verdict.rule and verdict.rule.source, verdict.monitored) == expected


@pytest.mark.parametrize(("flow", "verdict", "name", "expected"), [
    (Flow(V4, BANNED, 443, "tcp"), attempt.refused(Trigger.ADDRESS, RANGE), "", {
        "group": "staff", "destination": "198.51.100.7", "port": 443, "transport": "tcp", "outcome": "blocked",
        "app": "wechat", "entry": "own.yaml:3", "value": "198.51.100.0/24", "trigger": "address", "action": "refused",
        "reference": "ca-1",
    }),
    (Flow(V6, V6, 0, "icmp"), attempt.refused(Trigger.UNRESOLVED, UNRESOLVED, monitored=True), "", {
        "group": "staff", "destination": "2001:db8::9", "transport": "icmp", "outcome": "upstream", "app": "unresolved",
        "entry": "built-in", "value": "addresses that no answer told", "trigger": "unresolved", "action": "monitor",
    }),
    (Flow(V4, V6, 443, "tcp"), attempt.to_address(STAGED, Lists(), V6, "wechat"), "", {
        "group": "staff", "destination": "2001:db8::9", "port": 443, "transport": "tcp", "outcome": "upstream",
        "app": "wechat", "entry": "learned", "value": "learned address", "trigger": "address", "action": "shadow",
        "rollout": "trial",
    }),
    (Flow(V4, BANNED, 443, "udp"), attempt.as_connection(Verdict(Action.SINKHOLE, Trigger.QNAME, RANGE),
                                                         Trigger.QUIC_SNI), "w.example", {
        "group": "staff", "qname": "w.example", "destination": "198.51.100.7", "port": 443, "transport": "udp",
        "outcome": "blocked", "app": "wechat", "entry": "own.yaml:3", "value": "198.51.100.0/24",
        "trigger": "quic-sni", "action": "refused", "reference": "ca-1",
    }),
])  # fmt: skip
def test_what_a_line_says(flow, verdict, name, expected):
    said = json.loads(b"{%b}" % attempt.tail(flow, "staff", verdict, Basis("l1", "p1"), name))
    assert said.pop("entry_id").startswith(verdict.rule.app)
    assert said == expected | {"list": "l1", "policy": "p1"}


def test_an_attempt_is_counted_and_journaled_and_nothing_else_is():
    region = Region()
    flow = Flow(V4, BANNED, 53, "udp")
    attempt.record(region, flow, "staff", attempt.refused(Trigger.FOREIGN_DNS, FOREIGN_DNS), Basis())
    attempt.record(region, flow, "staff", PASSTHRU, Basis())
    attempt.record(region, flow, "staff", attempt.as_connection(PASSTHRU, Trigger.SNI), Basis())
    (record,) = region.read()
    assert (record.flags, record.client) == (ATTEMPT, V4)
    counted = [(labels.app, labels.trigger, labels.action, count) for _, labels, count in region.cells() if count]
    assert counted == [("bypass", "foreign-dns", "refused", 1)]
