"""A policy in RPZ's words: each row is a rule that a resolver must find."""

from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocker import names
from blocker.exceptions.entry import Grant
from blocker.policy import decide
from blocker.rpz import zone
from blocker.rpz.zone import WORDS, Report, Word
from tests.rpz.lists import compiled

ORIGIN = names.from_text("rpz.example")


def said(tmp_path, entries, group="default", granted=(), **policy):
    """Return what a list with these entries says, and the report."""
    lines = "".join(f"  - {{{entry}}}\n" for entry in entries)
    index, policies = compiled(tmp_path, {"a.yaml": f"app: a\nentries:\n{lines}"}, granted, **policy)
    report = Report()
    found = list(zone.triggers(index, policies[group], ORIGIN, report))
    assert len({owner for owner, _ in found}) == len(found), "an owner twice"
    return {owner: word.name.lower() for owner, word in found}, report


BLOCK = {"b.example": "sinkhole", "*.b.example": "sinkhole"}


@pytest.mark.parametrize(("entries", "triggers"), [
    (["value: b.example, kind: suffix"], BLOCK),
    (["value: b.example, kind: exact"], {"b.example": "sinkhole"}),  # what is below is nobody's business
    (["value: b.example, kind: suffix, action: allow"], {}),  # nothing to be spared from: it would spare addresses
    (["value: b.example, kind: suffix", "value: a.b.example, kind: suffix"], BLOCK),  # said already
    (["value: b.example, kind: suffix", "value: a.b.example, kind: suffix, action: allow"],
     BLOCK | {"a.b.example": "passthru", "*.a.b.example": "passthru"}),
    # An exception for one name would end the wildcard above for what lies below it: so that is said again.
    (["value: b.example, kind: suffix", "value: a.b.example, kind: exact, action: allow"],
     BLOCK | {"a.b.example": "passthru", "*.a.b.example": "sinkhole"}),
    # A node without a record of its own would end it too (RFC 4592 §2.2.2).
    (["value: b.example, kind: suffix", "value: x.y.b.example, kind: exact, action: allow"],
     BLOCK | {"y.b.example": "sinkhole", "*.y.b.example": "sinkhole",
              "x.y.b.example": "passthru", "*.x.y.b.example": "sinkhole"}),
    # Where no wildcard lies above, a node without a record matches nothing, and should not.
    (["value: b.example, kind: exact", "value: x.y.b.example, kind: suffix"],
     {"b.example": "sinkhole", "x.y.b.example": "sinkhole", "*.x.y.b.example": "sinkhole"}),
    (["value: b.example, kind: suffix, answer: nodata"], {"b.example": "nodata", "*.b.example": "nodata"}),
    (["value: b.example, kind: suffix, answer: loopback"], {"b.example": "loopback", "*.b.example": "loopback"}),
    (["value: 192.0.2.0/24, kind: cidr, exclusive: true"],
     {"24.0.2.0.192.rpz-ip": "sinkhole", "120.200.c000.zz.ff9b.64.rpz-ip": "sinkhole",
      "40.zz.200.c000.2002.rpz-ip": "sinkhole"}),  # NAT64 and 6to4 lead to the same place
    (["value: 192.0.2.0/24, kind: cidr"], {}),  # recorded for the firewall only
    (['value: "2001:db8::/32", kind: cidr, exclusive: true',
      'value: "2001:db8:8000::/33", kind: cidr, exclusive: true, action: allow'],
     {"33.zz.db8.2001.rpz-ip": "sinkhole"}),  # the longest prefix has won already
])  # fmt: skip
def test_triggers(tmp_path, entries, triggers):
    assert said(tmp_path, entries)[0] == triggers


@pytest.mark.parametrize(("action", "word"), [
    ("sinkhole", "sinkhole"), ("nxdomain", "nxdomain"), ("nodata", "nodata"), ("drop", "drop"),
    ("refused", "nxdomain"),  # RPZ cannot refuse
])  # fmt: skip
def test_actions(tmp_path, action, word):
    found, report = said(tmp_path, ["value: b.example, kind: exact"], unlisted={"action": action})
    assert found == {"b.example": word}
    assert report.refused == (action == "refused")


def test_what_is_only_monitored_is_left_out(tmp_path):
    group = {"name": "g", "clients": ["192.0.2.0/24"], "block": [], "monitor": ["a"]}
    found, report = said(tmp_path, ["value: b.example, kind: suffix"], "g", groups=[group])
    assert (found, report.monitored) == ({}, 1)


def test_what_is_in_shadow_is_left_out(tmp_path):
    entries = ["value: b.example, kind: suffix, shadow: true", "value: c.example, kind: exact"]
    triggers, report = said(tmp_path, entries)
    assert (triggers, report.shadow) == ({"c.example": "sinkhole"}, 1)
    assert "1 entries are left out: they are in shadow, or a rollout has not reached the whole group" in zone.told(
        report
    )


def test_patterns_are_counted_and_named(tmp_path):
    entries = ['value: "**.tracker*.example.net", kind: pattern', 'value: "tracker.*", kind: pattern']
    found, report = said(tmp_path, entries)
    assert (found, report.patterns) == ({}, 2)
    assert [each.partition(" ")[0] for each in report.shown] == ["**.tracker*.example.net", "tracker.*"]


def test_a_pattern_for_one_label_does_not_become_a_wildcard_for_all(tmp_path):
    entries = ['value: "*.tracker.example.net", kind: pattern', "value: tracker.example.net, kind: exact"]
    assert said(tmp_path, entries)[0] == {"tracker.example.net": "sinkhole"}


def test_a_name_that_a_pattern_blocks_is_said_where_it_is_listed(tmp_path):
    entries = ['value: "tracker*.b.example", kind: pattern', "value: b.example, kind: suffix",
               "value: tracker1.b.example, kind: exact, action: allow"]  # fmt: skip
    assert said(tmp_path, entries)[0]["tracker1.b.example"] == "passthru"


def test_names_that_do_not_fit_are_counted(tmp_path):
    long = ".".join(["a" * 60] * 4)
    found, report = said(tmp_path, [f"value: {long}, kind: exact"])
    assert (found, report.too_long) == ({}, 1)


@pytest.mark.parametrize("length", [60, 190, 200, 210, 220, 230, 240, 250])
def test_no_owner_is_longer_than_a_name_may_be(tmp_path, length):
    labels, left = [], length - 1
    while left > 0:
        labels.append("z" * min(60, left - 1))
        left -= len(labels[-1]) + 1
    origin = names.from_text(".".join(labels))
    feed = """\
a.example CNAME .
128.1.2.3.4.5.6.7.2001.rpz-ip CNAME .
128.1.2.3.4.5.6.7.2001.rpz-client-ip CNAME .
128.1.2.3.4.5.6.7.2001.rpz-nsip CNAME .
ns.b.example.rpz-nsdname CNAME .
"""
    index, policies = compiled(tmp_path, {}, feed=feed)
    report = Report()
    found = list(zone.triggers(index, policies["default"], origin, report))
    for owner, _ in found:
        names.from_text(f"{owner}.{names.to_text(origin)}")  # else: it is longer than 255 octets
    assert len(found) + report.too_long == 5


def test_special_names_are_each_resolvers_own(tmp_path):
    text = "app: special\ncategory: protocol\nentries:\n  - {value: test, kind: suffix}\n"
    index, policies = compiled(tmp_path, {"special.yaml": text})
    report = Report()
    assert list(zone.triggers(index, policies["default"], ORIGIN, report)) == []
    assert report.special == 1


def test_what_a_feed_says_in_rpz_is_said_again(tmp_path):
    feed = """\
slow.example CNAME rpz-tcp-only.
24.0.2.0.192.rpz-client-ip CNAME .
32.7.2.0.192.rpz-client-ip CNAME rpz-passthru.
64.zz.1.db8.2001.rpz-client-ip CNAME rpz-drop.
32.9.0.51.198.rpz-ip CNAME rpz-tcp-only.
*.bad.net.rpz-nsdname CNAME .
fine.bad.net.rpz-nsdname CNAME rpz-passthru.
ns.bad.org.rpz-nsdname CNAME *.
ns.slow.org.rpz-nsdname CNAME rpz-tcp-only.
32.9.0.0.9.rpz-nsip CNAME rpz-tcp-only.
24.0.113.0.203.rpz-nsip CNAME rpz-drop.
25.0.113.0.203.rpz-nsip CNAME rpz-passthru.
"""
    index, policies = compiled(tmp_path, {}, feed=feed)
    report = Report()
    found = {owner: word.name.lower() for owner, word in zone.triggers(index, policies["default"], ORIGIN, report)}
    clients = {owner.removesuffix(".rpz-client-ip"): word for owner, word in found.items() if "client" in owner}
    assert {owner: word for owner, word in found.items() if owner.startswith(("slow", "32.9"))} == {
        "slow.example": "tcp_only", "32.9.0.51.198.rpz-ip": "tcp_only",
    }  # fmt: skip
    assert {owner: word for owner, word in found.items() if "ns" in owner.rpartition(".")[2]} == {
        "*.bad.net.rpz-nsdname": "nxdomain",
        "fine.bad.net.rpz-nsdname": "passthru", "*.fine.bad.net.rpz-nsdname": "nxdomain",
        "ns.bad.org.rpz-nsdname": "nodata", "25.128.113.0.203.rpz-nsip": "drop",
    }  # fmt: skip
    # The exception reaches the names of its feed alone, and would lift the whole zone there: a gap says less.
    assert clients.pop("64.zz.1.db8.2001") == "drop"
    assert set(clients.values()) == {"nxdomain"}
    assert sum(2 ** (32 - int(owner.partition(".")[0])) for owner in clients) == 255
    assert (report.clients, report.triggers["client"]) == (1, 9)
    assert report.slow_servers == 2  # Unbound would end
    for left_out in ("ranges of clients are left out", "2 rules that leave name servers to TCP are left out"):
        assert any(left_out in line for line in zone.told(report))


@pytest.mark.parametrize(("text", "owner"), [
    ("192.0.2.0/24", "24.0.2.0.192.rpz-ip"),
    ("192.0.2.7/32", "32.7.2.0.192.rpz-ip"),
    ("2001:db8::/32", "32.zz.db8.2001.rpz-ip"),
    ("2001:db8::1/128", "128.1.zz.db8.2001.rpz-ip"),
    ("2001:db8:0:1::/64", "64.zz.1.0.db8.2001.rpz-ip"),
    ("2001:0:0:1:0:0:0:1/128", "128.1.zz.1.0.0.2001.rpz-ip"),  # the longest run
    ("1:0:1:1:1:1:1:1/128", "128.1.1.1.1.1.1.0.1.rpz-ip"),  # one word is no run
    ("::/1", "1.zz.rpz-ip"),
])  # fmt: skip
def test_owner_of(text, owner):
    assert zone.owner_of(ip_network(text), "rpz-ip") == owner


# Any lists: a resolver that follows RFC 4592, and one that takes the longest match, find what decide says.

LABELS = st.sampled_from(["a", "b", "c"])
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "example"]))
ENTRIES = st.lists(
    st.tuples(NAMES, st.sampled_from(["suffix", "exact"]), st.sampled_from(["block", "allow"])), min_size=1, max_size=8
)


def by_closest_encloser(zone_, name):
    """Return what the DNS finds at `name` (RFC 4592 §3.3.1)."""
    if name in zone_:
        return zone_[name]
    nodes = {part for owner in zone_ for part in _uppers(owner)}
    if name in nodes:
        return None
    encloser = next((part for part in _uppers(name)[1:] if part in nodes), "")
    return zone_.get(f"*.{encloser}")


def by_longest_match(zone_, name):
    if name in zone_:
        return zone_[name]
    return next((zone_[f"*.{part}"] for part in _uppers(name)[1:] if f"*.{part}" in zone_), None)


def _uppers(name):
    labels = name.split(".")
    return [".".join(labels[at:]) for at in range(len(labels))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ENTRIES, st.lists(NAMES, min_size=5, max_size=20))
def test_both_kinds_of_resolver_decide_as_we_do(tmp_path_factory, entries, asked):
    folder = tmp_path_factory.mktemp("zone")
    lines = "".join(f"  - {{value: {name}, kind: {kind}, action: {action}}}\n" for name, kind, action in entries)
    index, policies = compiled(folder, {"a.yaml": f"app: a\nentries:\n{lines}"})
    found = dict(zone.triggers(index, policies["default"], ORIGIN, Report()))
    for name in [*asked, *(f"w.{each[0]}" for each in entries)]:
        wanted = WORDS.get(decide(policies["default"], index, names.from_text(name)).action)
        for find in (by_closest_encloser, by_longest_match):
            word = find(found, name)
            assert (None if word is Word.PASSTHRU else word) == wanted, (name, find.__name__, found)


# Exceptions that people have approved.

EXCEPTED = {"a.b.example": "passthru", "*.a.b.example": "passthru"}


@pytest.mark.parametrize(("entries", "excepted", "triggers"), [
    (["value: b.example, kind: suffix"], [("suffix", "a.b.example")], BLOCK | EXCEPTED),
    (["value: b.example, kind: suffix"], [("exact", "a.b.example")],
     BLOCK | {"a.b.example": "passthru", "*.a.b.example": "sinkhole"}),
    (["value: b.example, kind: suffix"], [("suffix", "b.example")], {}),  # nothing is left to say
    (["value: b.example, kind: suffix", "value: x.a.b.example, kind: exact"], [("suffix", "a.b.example")],
     BLOCK | EXCEPTED),  # also over what is listed below it
    (["value: b.example, kind: suffix", "value: d.example, kind: suffix"], [("suffix", "c.example")],
     BLOCK | {"d.example": "sinkhole", "*.d.example": "sinkhole"}),  # nothing to be spared from
    (["value: b.example, kind: suffix"], [("suffix", "z.example"), ("suffix", "a.b.example")], BLOCK | EXCEPTED),
    (["value: b.example, kind: suffix"], [("pattern", "name*.b.example")], BLOCK),  # RPZ has no patterns
    (["value: b.example, kind: suffix"], [("", "")], {}),  # all of the app
])  # fmt: skip
def test_exceptions(tmp_path, entries, excepted, triggers):
    granted = [
        Grant(str(at), "", scope, value, "" if scope else "a", "", "", 0, 10)
        for at, (scope, value) in enumerate(excepted)
    ]
    assert said(tmp_path, entries, granted=granted)[0] == triggers
