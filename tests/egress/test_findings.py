"""What is seen means what the policy of the device's group says of it."""

from dataclasses import replace

import pytest

from blocker import names
from blocker.egress import findings
from blocker.egress.attempt import Flow
from blocker.egress.findings import Setting
from blocker.egress.flows import OPENED, Sight
from blocker.egress.hello.seen import Hello, Record, Request
from blocker.policy import PASSTHRU, Action, Policy, Staged, Treatment, Trigger
from blocker.wire.query import parse_query
from tests.egress.wire import DEVICE, SERVER, packed
from tests.oracle import Table, ask, rule

RULES = Table(
    rule("tiktok.com"), rule("help.tiktok.com", allow=True), rule("weixin.qq.com", "wechat"),
    rule("dns.example", "bypass"), rule("localhost", "special", answer=Action.NODATA, quiet=True),
    rule("203.0.113.0/24", "wechat"), rule("203.0.113.200/32", "wechat", allow=True), rule("9.9.9.9/32", "bypass"),
)  # fmt: skip
SINKHOLE = Treatment(Action.SINKHOLE)
STAFF = Policy("staff", dict.fromkeys(("tiktok", "wechat", "bypass", "special"), SINKHOLE))
LAB = Policy("lab", {"tiktok": Treatment(Action.SINKHOLE, monitored=True), "wechat": SINKHOLE})
OURS = packed("192.0.2.1")
SETTING = Setting(RULES, frozenset({OURS}), references={"wechat": "ca-1"})


def sight(what, to=SERVER, port=443, transport="tcp"):
    return Sight(Flow(packed(DEVICE), packed(to) if isinstance(to, str) else to, port, transport), 40000, what)


def hello(name):
    return Hello(names.from_text(name))


def request(host, path=b"/", upgrade=b""):
    return Request(b"GET", path, names.from_text(host) if host else None, upgrade)


def asked(name):
    return parse_query(ask(name))


CLIENT_RECORD = Record(0x16, 0xF104, from_server=False)
REFUSED = Action.REFUSED


@pytest.mark.parametrize(("seen", "trigger", "app"), [
    (sight(hello("www.tiktok.com")), Trigger.SNI, "tiktok"),
    (sight(hello("www.tiktok.com"), transport="udp"), Trigger.QUIC_SNI, "tiktok"),
    (sight(hello("dns.example")), Trigger.SNI, "bypass"),  # DoH by name
    (sight(request("www.tiktok.com"), port=80), Trigger.HTTP_HOST, "tiktok"),
    (sight(Hello(names.from_text("a.example"), more=(names.from_text("www.tiktok.com"),))), Trigger.SNI, "tiktok"),
    (sight(Hello(names.from_text("www.tiktok.com"), more=(names.from_text("a.example"),))), Trigger.SNI, "tiktok"),
    (sight(replace(request("a.example"), more=(names.from_text("b.example"), names.from_text("tiktok.com"))), port=80),
     Trigger.HTTP_HOST, "tiktok"),
    (sight(request("weixin.qq.com"), port=8080), Trigger.HTTP_HOST, "wechat"),
    (sight(request("unknown.example", b"/mmtls/00112233"), port=80), Trigger.MMTLS, "wechat"),
    (sight(request(None, b"/", b"mmtls"), port=8080), Trigger.MMTLS, "wechat"),
    (sight(CLIENT_RECORD, port=443), Trigger.MMTLS, "wechat"),
    (sight(asked("tiktok.com"), port=53, transport="udp"), Trigger.FOREIGN_DNS, "tiktok"),
    (sight(asked("unknown.example"), port=53, transport="udp"), Trigger.FOREIGN_DNS, "bypass"),
    (sight(asked("localhost"), port=53), Trigger.FOREIGN_DNS, "bypass"),
    (sight(OPENED, port=853), Trigger.FOREIGN_DNS, "bypass"),  # DoT
    (sight(OPENED, "9.9.9.9"), Trigger.ADDRESS, "bypass"),  # DoH by address
    (sight(OPENED, "203.0.113.9", 8080), Trigger.ADDRESS, "wechat"),
    (sight(OPENED, packed("::ffff:203.0.113.9")), Trigger.ADDRESS, "wechat"),
])  # fmt: skip
def test_what_is_refused(seen, trigger, app):
    verdict, _ = findings.judge(STAFF, SETTING, seen)
    assert (verdict.action, verdict.trigger, verdict.rule.app) == (REFUSED, trigger, app)


@pytest.mark.parametrize("seen", [
    sight(hello("www.example")),
    sight(Hello(None)),
    sight(hello("help.tiktok.com")),  # an exception
    sight(hello("localhost")),  # house-keeping: nobody's attempt
    sight(request(None)),
    sight(asked("tiktok.com"), OURS, 53),  # our resolver decides on it itself
    sight(OPENED, OURS, 853),
    sight(hello("dns.example"), OURS, 853),  # over TLS too
    sight(OPENED),
    sight(OPENED, port=53),  # the question comes next
    sight(OPENED, "203.0.113.200"),
])  # fmt: skip
def test_what_passes(seen):
    verdict, _ = findings.judge(STAFF, SETTING, seen)
    assert verdict.action is Action.PASSTHRU
    assert not verdict.monitored


@pytest.mark.parametrize(("seen", "trigger"), [
    (sight(hello("www.tiktok.com")), Trigger.SNI),
    (sight(OPENED, "203.0.113.9"), Trigger.NONE),
    (sight(asked("unknown.example"), port=53), Trigger.NONE),  # this group does not look at `bypass`
])  # fmt: skip
def test_a_group_that_is_only_watched(seen, trigger):
    policy = Policy("lab", {"tiktok": Treatment(Action.SINKHOLE, monitored=True)})
    verdict, _ = findings.judge(policy, SETTING, seen)
    assert (verdict.action, verdict.trigger) == (Action.PASSTHRU, trigger)
    assert verdict.monitored is (trigger is not Trigger.NONE)


def test_what_no_list_holds_rests_on_the_decision_of_its_app():
    verdict, _ = findings.judge(STAFF, SETTING, sight(CLIENT_RECORD))
    assert (verdict.rule.source, verdict.rule.reference) == ("built-in", "ca-1")


def test_an_app_that_is_rolled_out_is_noted_until_its_rollout_has_come():
    for shadow, action in ((True, Action.PASSTHRU), (False, REFUSED)):
        policy = replace(STAFF, staged_apps={"wechat": Staged("trial", shadow=shadow)})
        for what in (CLIENT_RECORD, request("weixin.qq.com")):
            verdict, _ = findings.judge(policy, SETTING, sight(what, port=8080))
            assert (verdict.action, verdict.shadow, verdict.rollout) == (action, shadow, "trial")


def test_who_only_looks_still_says_which_rollout_it_is():
    policy = replace(STAFF, staged_apps={"wechat": Staged("trial", shadow=False)})
    noted = findings.noted(findings.judge(policy, SETTING, sight(request("weixin.qq.com"), port=8080))[0])
    assert (noted.action, noted.monitored, noted.shadow, noted.rollout) == (Action.PASSTHRU, True, False, "trial")


def test_mmtls_to_a_banned_host_in_a_group_that_allows_wechat():
    policy = Policy("some", {"tiktok": SINKHOLE})
    verdict, name = findings.judge(policy, SETTING, sight(request("tiktok.com", b"/mmtls/00"), port=80))
    assert (verdict.trigger, name) == (Trigger.HTTP_HOST, names.from_text("tiktok.com"))


@pytest.mark.parametrize(("told", "to", "port", "trigger"), [
    (False, SERVER, 443, Trigger.UNRESOLVED),
    (True, SERVER, 443, Trigger.NONE),
    (False, "10.1.2.3", 443, Trigger.NONE),  # inside, nobody needs DNS
    (False, "203.0.113.9", 443, Trigger.ADDRESS),  # there is more to say
    (False, SERVER, 53, Trigger.NONE),
])  # fmt: skip
def test_a_connection_without_resolution(told, to, port, trigger):
    setting = Setting(RULES, frozenset({OURS}), lambda _client, _address: told)
    verdict, _ = findings.judge(STAFF, setting, sight(OPENED, to, port))
    assert verdict.trigger is trigger
    assert verdict.monitored is (trigger is Trigger.UNRESOLVED)


@pytest.mark.parametrize(("seen", "trigger"), [
    (sight(OPENED, "203.0.113.9"), Trigger.NONE),
    (sight(OPENED, port=853), Trigger.NONE),
    (sight(asked("tiktok.com"), port=53), Trigger.NONE),
    (sight(hello("tiktok.com")), Trigger.SNI),
    (sight(CLIENT_RECORD), Trigger.MMTLS),
])  # fmt: skip
def test_where_the_kernel_judges_addresses_only_what_is_said_is_left(seen, trigger):
    verdict, _ = findings.judge(STAFF, Setting(RULES, frozenset({OURS}), kernel=True), seen)
    assert verdict.trigger is trigger


def test_who_only_looks_notes_what_would_have_been_refused():
    refused, _ = findings.judge(STAFF, SETTING, sight(hello("tiktok.com")))
    noted = findings.noted(refused)
    assert (noted.action, noted.monitored, noted.rule) == (Action.PASSTHRU, True, refused.rule)
    assert findings.noted(PASSTHRU) is PASSTHRU
