"""The only yes/no: precedence, aliases, addresses, monitoring."""

from dataclasses import dataclass, replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.lists.pattern import Pattern
from blocker.policy import (
    PASSTHRU,
    Action,
    Policy,
    Scope,
    Staged,
    Treatment,
    Trigger,
    Waiver,
    decide,
    inspect,
    weightier,
)  # fmt: skip
from blocker.waivers import Waivers
from tests.oracle import Table, response, rule

SINKHOLE = Treatment(Action.SINKHOLE)
STAFF = Policy(
    "staff",
    {
        "tiktok": SINKHOLE,
        "wechat": Treatment(Action.NXDOMAIN),
        "bypass": Treatment(Action.REFUSED, monitored=True),
        "canary": SINKHOLE,
        "special": Treatment(Action.NODATA),
    },
    forwarded=(names.from_text("corp.onion"),),
    private_zones=(names.from_text("intranet.example"),),
)
RULES = Table(
    rule("tiktok.com"),
    rule("ads.tiktok.com", allow=True),
    rule("worse.ads.tiktok.com"),
    rule("=only.example"),
    rule("shared.example"), rule("shared.example", allow=True),
    rule("other.example"), rule("other.example", "wechat", allow=True),
    rule("wechat.com", "wechat"),
    rule("elsewhere.example", "kaspersky"),  # staff does not look at it
    rule("both.example", "bypass"), rule("both.example", "wechat"),
    rule("dns.example", "bypass"), rule("free.dns.example", "bypass", allow=True),
    rule("deep.wechat.com", "bypass"),
    rule("free.wechat.com", "bypass", allow=True),
    rule("mask.icloud.com", "canary", answer=Action.NXDOMAIN),
    rule("onion", "special", quiet=True), rule("localhost", "special", answer=Action.LOOPBACK, quiet=True),
    rule("akamaized.net", guarded=True),
    rule("v.akamaized.net"),
    rule("**.*tiktokcdn*.com"),
    rule("203.0.113.0/24"), rule("203.0.113.64/26", allow=True), rule("203.0.113.65/32", "wechat"),
    rule("198.51.100.0/24", "bypass"),
    rule("2001:db8:bad::/48"),
    rule("feed.example", feed=True), rule("free.feed.example", feed=True, allow=True),
    rule("ours.example"), rule("free.ours.example", feed=True, allow=True),
    rule("wx.example", "wechat", feed=True), rule("free.wx.example", feed=True, allow=True),
)  # fmt: skip


@pytest.mark.parametrize(
    ("qname", "action", "listed", "monitored"),
    [
        ("tiktok.com", "sinkhole", "tiktok.com", False),
        ("a.b.tiktok.com", "sinkhole", "tiktok.com", False),  # below a listed name
        ("nottiktok.com", "passthru", None, False),  # a label border, not the end of a text
        ("com", "passthru", None, False),
        ("ads.tiktok.com", "passthru", "ads.tiktok.com", False),  # the more specific exception
        ("x.ads.tiktok.com", "passthru", "ads.tiktok.com", False),
        ("x.worse.ads.tiktok.com", "sinkhole", "worse.ads.tiktok.com", False),  # and a block below it again
        ("only.example", "sinkhole", "only.example", False),
        ("not.only.example", "passthru", None, False),  # exact is not a suffix
        ("shared.example", "passthru", "shared.example", False),  # at the same name the exception wins
        ("other.example", "passthru", "other.example", False),  # whichever app it stands with
        ("wechat.com", "nxdomain", "wechat.com", False),  # the action is the app's
        ("elsewhere.example", "passthru", None, False),  # an app this group does not block
        ("both.example", "nxdomain", "both.example", False),  # enforced beats monitored
        ("dns.example", "passthru", "dns.example", True),
        ("x.deep.wechat.com", "nxdomain", "wechat.com", False),  # a monitored match shields nothing
        ("free.wechat.com", "nxdomain", "wechat.com", False),  # nor does an exception of a monitored app
        ("free.dns.example", "passthru", None, False),  # which ends the monitoring alone
        ("mask.icloud.com", "nxdomain", "mask.icloud.com", False),  # the rule's own answer
        ("x.onion", "nodata", "onion", False),
        ("x.corp.onion", "passthru", None, False),  # a forwarded zone is served by somebody
        ("a.localhost", "loopback", "localhost", False),
        ("akamaized.net", "sinkhole", "akamaized.net", False),  # asked for by name: the guard is for aliases
        ("v1-tiktokcdn-us.com", "sinkhole", "**.*tiktokcdn*.com", False),
        ("free.feed.example", "passthru", None, False),  # a feed's exception from its own app's feeds
        ("free.ours.example", "sinkhole", "ours.example", False),  # but no stranger lifts a ban of ours
        ("free.wx.example", "nxdomain", "wx.example", False),  # nor another app's
        (".", "passthru", None, False),
    ],
)
def test_decide(qname, action, listed, monitored):
    verdict = decide(STAFF, RULES, names.from_text(qname))
    assert (verdict.action, verdict.rule and verdict.rule.value, verdict.monitored) == (action, listed, monitored)
    assert verdict.trigger is (Trigger.QNAME if verdict.rule else Trigger.NONE)
    assert verdict.via == ""


def test_no_match_is_the_one_passthru():
    assert decide(STAFF, RULES, names.from_text("www.example.com")) is PASSTHRU
    assert (
        inspect(STAFF, RULES, names.from_text("www.example.com"), response("www.example.com 1 A 192.0.2.1")) is PASSTHRU
    )


@pytest.mark.parametrize(
    ("records", "action", "trigger", "listed", "via"),
    [
        ("q. 1 CNAME a.tiktok.com", "sinkhole", "alias", "tiktok.com", "a.tiktok.com"),
        ("q. 1 CNAME a.example\na.example 1 CNAME b.wechat.com", "nxdomain", "alias", "wechat.com", "b.wechat.com"),
        ("q. 1 DNAME tiktok.com", "sinkhole", "alias", "tiktok.com", "tiktok.com"),
        ("q. 1 CNAME ads.tiktok.com", "passthru", "none", None, ""),  # an exception
        ("q. 1 CNAME x.akamaized.net", "passthru", "none", None, ""),  # the guard
        ("q. 1 CNAME x.v.akamaized.net", "sinkhole", "alias", "v.akamaized.net", "x.v.akamaized.net"),
        ("q. 1 HTTPS 0 www.tiktok.com", "sinkhole", "alias", "tiktok.com", "www.tiktok.com"),
        ("q. 1 SVCB 1 www.tiktok.com alpn=h2", "sinkhole", "alias", "tiktok.com", "www.tiktok.com"),
        ("q. 1 HTTPS 1 . ipv4hint=192.0.2.1,203.0.113.1", "sinkhole", "response-ip", "203.0.113.0/24", "203.0.113.1"),
        ("q. 1 HTTPS 1 . ipv6hint=2001:db8:bad::1", "sinkhole", "response-ip", "2001:db8:bad::/48", "2001:db8:bad::1"),
        ("q. 1 A 203.0.113.1", "sinkhole", "response-ip", "203.0.113.0/24", "203.0.113.1"),
        ("q. 1 A 203.0.113.70", "passthru", "none", None, ""),  # the longer prefix is an exception
        ("q. 1 A 203.0.113.65", "nxdomain", "response-ip", "203.0.113.65/32", "203.0.113.65"),
        ("q. 1 A 192.0.2.1\nq. 1 A 203.0.113.1", "sinkhole", "response-ip", "203.0.113.0/24", "203.0.113.1"),
        ("q. 1 A 10.0.0.1", "nodata", "response-ip", "private addresses", "10.0.0.1"),
        ("q. 1 HTTPS 1 . ipv4hint=10.0.0.1", "nodata", "response-ip", "private addresses", "10.0.0.1"),
        ("q. 1 CNAME dns.example\ndns.example 1 A 10.0.0.1", "nodata", "response-ip", "private addresses", "10.0.0.1"),
        ("q. 1 CNAME dns.example", "passthru", "alias", "dns.example", "dns.example"),  # monitored
        ("q. 1 A 198.51.100.1", "passthru", "response-ip", "198.51.100.0/24", "198.51.100.1"),  # monitored
        ("q. 1 CNAME dns.example\ndns.example 1 CNAME tiktok.com", "sinkhole", "alias", "tiktok.com", "tiktok.com"),
        ("q. 1 MX 5 tiktok.com", "passthru", "none", None, ""),  # mail to somebody is not an alias
    ],
)  # fmt: skip
def test_inspect(records, action, trigger, listed, via):
    verdict = inspect(STAFF, RULES, names.from_text("q"), response(records, name="q"))
    assert (verdict.action, verdict.trigger, verdict.rule and verdict.rule.value, verdict.via) == (
        action, trigger, listed, via,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("qname", "rebinding", "action"),
    [
        ("www.example.com", True, "nodata"),
        ("www.example.com", False, "passthru"),
        ("a.intranet.example", True, "passthru"),  # an exception
        ("notintranet.example", True, "nodata"),
    ],
)
def test_rebinding(qname, rebinding, action):
    policy = Policy("staff", {}, rebinding=rebinding, private_zones=STAFF.private_zones)
    found = response(f"{qname} 1 A 192.168.1.1", name=qname)
    assert inspect(policy, RULES, names.from_text(qname), found).action == action


def test_an_exception_for_a_range_is_not_one_for_private_addresses():
    index = Table(rule("10.1.0.0/16", allow=True))
    assert inspect(STAFF, index, b"\1q\0", response("q 1 A 10.1.2.3", name="q")).action == "nodata"


def test_an_address_behind_nat64_is_the_address_inside():
    """RFC 6052: where a network translates, phones are given such addresses, and their packets go to the one inside."""
    listed = response("q. 1 AAAA 64:ff9b::203.0.113.1", name="q")
    assert inspect(STAFF, RULES, b"\1q\0", listed).rule.value == "203.0.113.0/24"
    mapped = response("q. 1 AAAA ::ffff:203.0.113.1", name="q")
    assert inspect(STAFF, RULES, b"\1q\0", mapped).rule.value == "203.0.113.0/24"
    tunnelled = response("q. 1 AAAA 2002:cb00:7101::1", name="q")
    assert inspect(STAFF, RULES, b"\1q\0", tunnelled).rule.value == "203.0.113.0/24"
    private = response("q. 1 AAAA 64:ff9b::10.1.2.3", name="q")
    assert inspect(STAFF, RULES, b"\1q\0", private).rule.app == "rebinding"


@dataclass
class Facts:
    """What a response would say."""

    aliases: tuple[bytes, ...]
    addresses: tuple[bytes, ...]


WORDS = st.sampled_from(["tiktok.com", "ads.tiktok.com", "x.example", "wechat.com", "akamaized.net", "dns.example"])


@given(st.lists(WORDS, max_size=4), st.lists(st.sampled_from(["192.0.2.1", "203.0.113.1", "10.0.0.1"]), max_size=3))
def test_one_blocked_part_blocks_the_whole(aliases, addresses):
    """The order of the parts does not matter for whether something is blocked."""
    blocked = {"tiktok.com", "wechat.com", "203.0.113.1", "10.0.0.1"}
    facts = Facts(tuple(map(names.from_text, aliases)), tuple(ip_address(each).packed for each in addresses))
    verdict = inspect(STAFF, RULES, b"\1q\0", facts)
    assert (verdict.action is not Action.PASSTHRU) == bool(blocked.intersection(aliases + addresses))


@given(st.lists(st.sampled_from(["tiktok", "wechat", "bypass"]), min_size=1, max_size=3), st.booleans())
def test_a_listed_name_is_blocked_exactly_when_an_enforced_app_lists_it(apps, allowed):
    table = Table(*(rule("x.example", app) for app in apps), *([rule("x.example", allow=True)] if allowed else []))
    verdict = decide(STAFF, table, names.from_text("x.example"))
    enforced = any(not STAFF.apps[app].monitored for app in apps)
    assert (verdict.action is not Action.PASSTHRU) == (enforced and not allowed)


SHADOW = Table(
    rule("new.example", shadow=True),
    rule("free.new.example", shadow=True, allow=True),
    rule("tiktok.com"), rule("video.tiktok.com", shadow=True), rule("free.tiktok.com", shadow=True, allow=True),
    rule("both.example", shadow=True), rule("both.example", "wechat"),
    rule("seen.example", shadow=True), rule("seen.example", "bypass"),
    rule("dns.example", "bypass"), rule("x.dns.example", shadow=True),
    rule("open.example", allow=True), rule("deep.open.example", shadow=True), rule("shut.example", shadow=True),
    rule("open.shut.example", allow=True),
    rule("bad.example", "bypass"), rule("free.bad.example", "bypass", allow=True, shadow=True),
    rule("fed.example", feed=True, origin="trial"), rule("ok.fed.example", feed=True, allow=True, origin="other"),
    rule("fed2.example", feed=True, origin="other"), rule("ok.fed2.example", feed=True, allow=True, origin="trial"),
    rule("tried.example", origin="tried.txt"), rule("weixin.example", "wechat", origin="tried.txt"),
    rule("kav.example", "kaspersky"), rule("in.example", "canary", origin="in.txt"),
    rule("203.0.113.0/24", shadow=True), rule("198.51.100.0/24", "bypass"),
    rule("203.0.113.64/26", allow=True, shadow=True), rule("203.0.0.0/16", "wechat"),
)  # fmt: skip
STAGED = Policy(
    "staff",
    {**STAFF.apps, "kaspersky": SINKHOLE},
    staged_apps={"kaspersky": Staged("kav", shadow=True), "canary": Staged("probe", shadow=True)},
    staged_lists={
        "tried.txt": Staged("tried", shadow=True), "trial": Staged("trial", shadow=True),
        "in.txt": Staged("pilot", shadow=False),
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("qname", "action", "listed", "noted", "rollout"),
    [
        ("a.new.example", "passthru", "new.example", "shadow", ""),
        ("free.new.example", "passthru", None, "", ""),  # it would be an exception to what would be blocked
        ("video.tiktok.com", "sinkhole", "tiktok.com", "", ""),  # what is in shadow shields nothing
        ("free.tiktok.com", "sinkhole", "tiktok.com", "", ""),  # and an exception in shadow lifts no ban
        ("both.example", "nxdomain", "both.example", "", ""),
        ("seen.example", "passthru", "seen.example", "monitored", ""),  # monitored goes before shadow
        ("x.dns.example", "passthru", "dns.example", "monitored", ""),  # even if the one in shadow says it closer
        ("deep.open.example", "passthru", "deep.open.example", "shadow", ""),  # it would beat the exception above
        ("open.shut.example", "passthru", "open.shut.example", "", ""),  # which beats what is above it
        ("free.bad.example", "passthru", "bad.example", "monitored", ""),  # nor does it end the monitoring
        ("tried.example", "passthru", "tried.example", "shadow", "tried"),  # the rollout of a file
        ("weixin.example", "passthru", "weixin.example", "shadow", "tried"),  # of whichever app
        ("kav.example", "passthru", "kav.example", "shadow", "kav"),  # the rollout of an app
        ("ok.fed.example", "passthru", None, "", ""),  # a feed's exception, for another feed of the app
        ("fed.example", "passthru", "fed.example", "shadow", "trial"),
        ("ok.fed2.example", "sinkhole", "fed2.example", "", ""),  # but not one that is only tried
        ("in.example", "passthru", "in.example", "shadow", "probe"),  # of two rollouts the one that holds it back
    ],
)
def test_shadow(qname, action, listed, noted, rollout):
    verdict = decide(STAGED, SHADOW, names.from_text(qname))
    kind = "shadow" if verdict.shadow else "monitored" if verdict.monitored else ""
    assert (verdict.action, verdict.rule and verdict.rule.value, kind, verdict.rollout) == (
        action, listed, noted, rollout,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("records", "action", "listed", "shadow"),
    [
        ("q. 1 CNAME a.new.example", "passthru", "new.example", True),
        ("q. 1 CNAME a.new.example\na.new.example 1 CNAME tiktok.com", "sinkhole", "tiktok.com", False),
        ("q. 1 CNAME a.new.example\na.new.example 1 CNAME dns.example", "passthru", "dns.example", False),  # monitored
        ("q. 1 CNAME dns.example\ndns.example 1 CNAME a.new.example", "passthru", "dns.example", False),
        ("q. 1 CNAME a.new.example\na.new.example 1 A 198.51.100.1", "passthru", "198.51.100.0/24", False),
        ("q. 1 A 203.0.113.1", "nxdomain", "203.0.0.0/16", False),  # by what is enforced around it
        ("q. 1 A 203.0.113.65", "nxdomain", "203.0.0.0/16", False),
        ("q. 1 HTTPS 0 tried.example", "passthru", "tried.example", True),
    ],
)
def test_shadow_inside_answers(records, action, listed, shadow):
    verdict = inspect(STAGED, SHADOW, names.from_text("q"), response(records, name="q"))
    assert (verdict.action, verdict.rule and verdict.rule.value, verdict.shadow) == (action, listed, shadow)


def test_a_stage_that_has_reached_a_client_enforces_and_says_whose_it_is():
    policy = Policy("staff", {"canary": SINKHOLE}, staged_lists={"in.txt": Staged("pilot", shadow=False)})
    verdict = decide(policy, SHADOW, names.from_text("in.example"))
    assert (verdict.action, verdict.shadow, verdict.rollout) == (Action.SINKHOLE, False, "pilot")
    still = decide(policy, Table(rule("in.example", "canary", shadow=True, origin="in.txt")), b"\2in\7example\0")
    assert (still.action, still.shadow, still.rollout) == (Action.PASSTHRU, True, "pilot")  # its list holds it back


LABELS = st.sampled_from(["a", "b", "c", "d.a", "a.b", "b.c", "x.a.b"])
RULE = st.builds(
    rule,
    LABELS.flatmap(lambda name: st.sampled_from([name, f"={name}"])),
    st.sampled_from(["tiktok", "wechat", "bypass"]),
    allow=st.booleans(),
    shadow=st.booleans(),
    feed=st.booleans(),
    origin=st.sampled_from(["kept", "trial"]),
)


@given(st.lists(RULE, max_size=8), LABELS, st.booleans())
def test_shadow_changes_no_verdict_but_the_one_that_would_note_nothing(rules, name, staged):
    """Compared with lists that have no such entry."""
    policy = Policy("staff", STAFF.apps, staged_lists={"trial": Staged("r", shadow=True)} if staged else {})
    present = [each for each in rules if not (each.shadow or (staged and each.origin == "trial"))]
    qname = names.from_text(name)
    without, verdict = decide(policy, Table(*present), qname), decide(policy, Table(*rules), qname)
    assert verdict.action is without.action
    assert verdict == without or (verdict.shadow and not without.monitored)


@given(st.lists(RULE, max_size=6), st.lists(LABELS, max_size=3), st.lists(st.sampled_from(["203.0.113.1", "10.0.0.1"])))
def test_shadow_changes_no_answer_either(rules, aliases, addresses):
    ranges = [rule("203.0.113.0/24", "wechat", shadow=True), rule("203.0.113.0/25", allow=True, shadow=True)]
    facts = Facts(tuple(map(names.from_text, aliases)), tuple(ip_address(each).packed for each in addresses))
    present = [each for each in rules if not each.shadow]
    without = inspect(STAFF, Table(*present), b"\1q\0", facts)
    verdict = inspect(STAFF, Table(*rules, *ranges), b"\1q\0", facts)
    assert verdict.action is without.action
    assert verdict == without or (verdict.shadow and not without.monitored)


def test_what_is_noted_of_two():
    nothing, shadow, monitored = PASSTHRU, decide(STAGED, SHADOW, b"\3new\7example\0"), decide(
        STAGED, SHADOW, b"\3dns\7example\0"
    )  # fmt: skip
    other = decide(STAGED, SHADOW, b"\5tried\7example\0")
    for first, then, noted in (
        (nothing, shadow, shadow), (shadow, nothing, shadow), (shadow, other, shadow),
        (shadow, monitored, monitored), (monitored, shadow, monitored), (nothing, nothing, nothing),
    ):  # fmt: skip
        assert weightier(first, then) is noted


# Exceptions that people have approved.


def waived(*waivers, apps=None, **more):
    return replace(STAFF, apps={**STAFF.apps, **(apps or {})}, waivers=Waivers.of(waivers), **more)


def named(text, number="7", app="", scope=Scope.SUFFIX):
    return Waiver(number, "INC-1", scope, names.from_text(text), app=app)


HELP = named("help.tiktok.com")
WHOLE = Waiver("8", "INC-2", app="tiktok")
WAIVED_APP = Treatment(Action.SINKHOLE, monitored=True, waiver=WHOLE)


@pytest.mark.parametrize(
    ("policy", "qname", "action", "used"),
    [
        (waived(HELP), "help.tiktok.com", "passthru", HELP),
        (waived(HELP), "www.help.tiktok.com", "passthru", HELP),  # and all below it
        (waived(HELP), "tiktok.com", "sinkhole", None),  # nothing that it does not name
        (waived(HELP), "nothelp.tiktok.com", "sinkhole", None),
        (waived(named("tiktok.com", scope=Scope.EXACT)), "www.tiktok.com", "sinkhole", None),
        (waived(named("tiktok.com")), "x.worse.ads.tiktok.com", "passthru", named("tiktok.com")),  # and lower entries
        (waived(Waiver("9", scope=Scope.PATTERN, pattern=Pattern.parse("**.*tiktok*.com"))), "v-tiktokcdn.com",
         "passthru", Waiver("9", scope=Scope.PATTERN, pattern=Pattern.parse("**.*tiktok*.com"))),
        (waived(named("both.example")), "both.example", "passthru", named("both.example")),
        (waived(named("both.example", app="wechat")), "both.example", "passthru", named("both.example", app="wechat")),
        (waived(named("wechat.com", app="tiktok")), "wechat.com", "nxdomain", None),  # another app's block holds
        (waived(named("mask.icloud.com")), "mask.icloud.com", "passthru", named("mask.icloud.com")),
        (waived(named("onion")), "x.onion", "nodata", None),  # house-keeping must be named
        (waived(named("onion", app="special")), "x.onion", "passthru", named("onion", app="special")),
        (waived(apps={"tiktok": WAIVED_APP}), "www.tiktok.com", "passthru", WHOLE),
        (waived(apps={"tiktok": WAIVED_APP}), "wechat.com", "nxdomain", None),
        # A block by what it does not name holds, however less specific.
        (waived(apps={"tiktok": WAIVED_APP}), "video.wechat.com", "nxdomain", None),
        # What a list allows stays allowed: an exception never blocks more.
        (waived(apps={"tiktok": WAIVED_APP}), "free.wechat.com", "nxdomain", None),
        (waived(apps={"wechat": replace(WAIVED_APP, waiver=WHOLE)}), "other.example", "passthru", None),
    ],
)  # fmt: skip
def test_an_exception_lifts_what_it_names_and_nothing_else(policy, qname, action, used):
    verdict = decide(policy, RULES, names.from_text(qname))
    assert (verdict.action, verdict.waiver) == (action, used)
    assert verdict.monitored is (used is not None)


@pytest.mark.parametrize(
    ("policy", "records", "action", "used"),
    [
        # A name that may be asked may be told, whatever its answer points at ...
        (waived(named("q.example")), "q.example. 1 CNAME a.tiktok.com", "passthru", "7"),
        (waived(named("q.example")), "q.example. 1 CNAME a.wechat.com\na.wechat.com 1 A 203.0.113.1", "passthru", "7"),
        (waived(named("q.example")), "q.example. 1 A 203.0.113.65", "passthru", "7"),
        # ... as far as the exception goes.
        (waived(named("q.example", app="tiktok")), "q.example. 1 CNAME a.wechat.com", "nxdomain", None),
        (waived(named("q.example", app="tiktok")), "q.example. 1 A 203.0.113.1", "passthru", "7"),
        (waived(named("q.example", app="tiktok")), "q.example. 1 A 203.0.113.65", "nxdomain", None),
        # An alias that it names passes; what lies behind the alias does not.
        (waived(HELP), "q.example. 1 CNAME help.tiktok.com", "passthru", "7"),
        (waived(HELP), "q.example. 1 CNAME help.tiktok.com\nhelp.tiktok.com 1 CNAME x.tiktok.com", "sinkhole", None),
        (waived(HELP), "q.example. 1 CNAME help.tiktok.com\nhelp.tiktok.com 1 A 203.0.113.1", "sinkhole", None),
        (waived(apps={"tiktok": WAIVED_APP}), "q.example. 1 CNAME a.tiktok.com\na.tiktok.com 1 A 203.0.113.1",
         "passthru", "8"),
        (waived(apps={"tiktok": WAIVED_APP}), "q.example. 1 A 203.0.113.65", "nxdomain", None),
        # Nothing lifts rebinding.
        (waived(named("q.example")), "q.example. 1 A 10.0.0.1", "nodata", None),
    ],
)  # fmt: skip
def test_an_exception_holds_for_the_answer_too(policy, records, action, used):
    verdict = inspect(policy, RULES, names.from_text("q.example"), response(records, name="q.example"))
    assert (verdict.action, verdict.waiver and verdict.waiver.id) == (action, used)


LISTED = ("tiktok.com", "ads.tiktok.com", "worse.ads.tiktok.com", "both.example", "deep.wechat.com", "free.wechat.com",
          "shared.example", "other.example", "feed.example", "free.ours.example", "onion")  # fmt: skip


@given(
    st.lists(st.builds(named, st.sampled_from(LISTED), app=st.sampled_from(["", "tiktok", "wechat"])), max_size=3),
    st.sampled_from([{}, {"tiktok": WAIVED_APP}, {"wechat": WAIVED_APP}]),
    st.sampled_from(LISTED),
    st.sampled_from(["", "x.", "a.b."]),
)
def test_an_exception_never_blocks_more(waivers, apps, listed, below):
    name = names.from_text(below + listed)
    before, after = decide(STAFF, RULES, name), decide(waived(*waivers, apps=apps), RULES, name)
    assert after.action is before.action or (after.action is Action.PASSTHRU and after.waiver is not None)
