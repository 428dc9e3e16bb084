"""Looking names and addresses up, against looking through every entry."""

from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocker import names
from blocker.config import Lists
from blocker.events import entry_id
from blocker.lists import compile as compiling
from blocker.lists.feed import FeedFile
from blocker.lists.gather import gather
from blocker.lists.index import Index
from blocker.policy import Action, Scope

A = """\
app: a
switches:
  on: {default: true, about: x}
  off: {default: false, about: x}
entries:
  - {value: game.example, kind: suffix, answer: nodata}
  - {value: help.game.example, kind: suffix, action: allow}
  - {value: exact.example, kind: exact}
  - {value: off.game.example, kind: suffix, switch: off, role: web, note: "why"}
  - {value: on.example, kind: suffix, switch: on}
  - {value: "**.game*.cdn.example", kind: pattern}
  - {value: "**.gamezone.**", kind: pattern}
  - {value: "**.gamezone.shop.*", kind: pattern, action: allow}
  - {value: "**.offgame.**", kind: pattern, switch: off}
  - {value: 192.0.2.0/24, kind: cidr, exclusive: true}
  - {value: 192.0.2.128/25, kind: cidr, exclusive: true, action: allow}
  - {value: 198.51.100.0/24, kind: cidr}
  - {value: 203.0.113.0/24, kind: cidr, exclusive: true, switch: off}
  - {value: "2001:db8::/32", kind: cidr, exclusive: true}
  - {value: tried.example, kind: suffix, shadow: true}
"""
FILES = {"a.yaml": A, "b.txt": "game.example\nplain.example\n@@yes.plain.example\n", "c.hosts": "0.0.0.0 h.example\n"}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return opened(tmp_path_factory.mktemp("index"), FILES)


def opened(folder, files):
    for name, content in files.items():
        (folder / name).write_text(content)
    compiling.build(gather(Lists(built_in=False, directories=(folder,))), folder / "index")
    return Index.open(folder / "index")


def shown(found):
    return [[f"{rule.source.rpartition('/')[2]}{' allow' * rule.allow}" for rule in rules] for rules in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("game.example", [["a.yaml:6", "b.txt:1"]]),  # one tuple per listed name
        ("w.game.example", [["a.yaml:6", "b.txt:1"]]),
        ("x.help.game.example", [["a.yaml:7 allow"], ["a.yaml:6", "b.txt:1"]]),  # the most specific first
        ("off.game.example", [["a.yaml:6", "b.txt:1"]]),  # an entry whose switch is off is absent
        ("on.example", [["a.yaml:10"]]),
        ("notgame.example", []),  # a label border, not a string suffix
        ("exact.example", [["a.yaml:8"]]),
        ("w.exact.example", []),
        ("h.example", [["c.hosts:1"]]),
        ("w.h.example", []),
        ("a.yes.plain.example", [["b.txt:3 allow"], ["b.txt:2"]]),
        ("game7.cdn.example", [["a.yaml:11"]]),  # a pattern with a literal end is found under that end
        ("cdn.example", []),
        ("w.gamezone.fr", [["a.yaml:12"]]),
        ("gamezone.shop.fr", [["a.yaml:12", "a.yaml:13 allow"]]),  # floating patterns come together
        ("gamezone.fr.game.example", [["a.yaml:6", "b.txt:1"], ["a.yaml:12"]]),  # and last
        ("offgame.fr", []),
        ("example", []),
        (".", []),
    ],
)
def test_find(index, text, found):
    name = names.from_text(text)
    assert shown(index.find(name)) == found
    assert shown(index.find(name)) == found  # as remembered


def test_nothing_is_one_constant(index):
    assert index.find(names.from_text("w.example.org")) is index.find(names.from_text("v.example.org")) == ()


def test_rules_say_where_they_come_from(index):
    ((first, second),) = index.find(names.from_text("game.example"))
    assert (first.app, first.value, first.scope, first.answer) == ("a", "game.example", Scope.SUFFIX, Action.NODATA)
    assert (second.app, second.value, second.scope, second.answer) == ("b", "game.example", Scope.SUFFIX, None)


def test_entries_in_shadow_say_so_and_where_they_come_from(index):
    ((tried,),) = index.find(names.from_text("www.tried.example"))
    ((other, _),) = index.find(names.from_text("www.game.example"))
    assert (tried.shadow, tried.origin, other.shadow) == (True, "a.yaml", False)


def test_feeds_say_where_they_come_from(tmp_path):
    (tmp_path / "copy").write_text("# a list\na.example\n@@b.a.example\n")
    sources = gather(Lists(built_in=False), feeds=[FeedFile("ads", "games", tmp_path / "copy", "auto")])
    compiling.build(sources, tmp_path / "index")
    index = Index.open(tmp_path / "index")
    ((free,), (rule,)) = index.find(names.from_text("w.b.a.example"))
    assert (rule.app, rule.source, rule.allow, rule.feed) == ("games", f"{tmp_path}/copy:2", False, True)
    assert (rule.origin, index.origins) == ("ads", ("ads",))
    assert (free.app, free.source, free.allow, free.feed) == ("games", f"{tmp_path}/copy:3", True, True)


ZONE = """\
$ORIGIN rpz.test.
@ SOA a. b. 1 2 3 4 5
bad.example CNAME .
*.bad.example CNAME *.
help.bad.example CNAME rpz-passthru.
quiet.example CNAME rpz-drop.
walled.example A 192.0.2.9
24.0.2.0.192.rpz-ip CNAME .
slow.example CNAME rpz-tcp-only.
24.0.100.51.198.rpz-client-ip CNAME .
32.7.100.51.198.rpz-client-ip CNAME rpz-passthru.
*.bad.net.rpz-nsdname CNAME .
ok.bad.net.rpz-nsdname CNAME rpz-passthru.
24.0.113.0.203.rpz-nsip CNAME .
"""


@pytest.mark.parametrize(
    ("asked", "scope", "answer", "allow", "line"),
    [
        ("bad.example", "exact", "nxdomain", False, 3),
        ("w.bad.example", "below", "nodata", False, 4),
        ("help.bad.example", "exact", None, True, 5),
        ("quiet.example", "exact", "drop", False, 6),
        ("walled.example", "exact", "sinkhole", False, 7),
        ("192.0.2.7", "cidr", "nxdomain", False, 8),
        ("slow.example", "exact", "tcp-only", False, 9),
    ],
)
def test_a_policy_zone_keeps_its_answers(tmp_path, asked, scope, answer, allow, line):
    (tmp_path / "copy").write_text(ZONE)
    feeds = [FeedFile("zone", "threats", tmp_path / "copy", "auto")]
    compiling.build(gather(Lists(built_in=False), feeds=feeds), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    if scope == "cidr":
        rule = index.find_address(ip_address(asked).packed)[0]
    else:
        rule = index.find(names.from_text(asked))[0][0]
    assert (rule.scope, rule.answer, rule.allow, rule.source) == (scope, answer, allow, f"{tmp_path}/copy:{line}")
    assert rule.feed


def test_a_name_that_a_feed_repeats_costs_a_query_nothing(tmp_path):
    (tmp_path / "copy").write_text("@@a.example\na.example\n" * 500 + "@@b.example\n")
    (tmp_path / "other").write_text("a.example\n" * 500)
    feeds = [FeedFile(name, "threats", tmp_path / name, "domains") for name in ("copy", "other")]
    compiling.build(gather(Lists(built_in=False), feeds=feeds), tmp_path / "index")
    (found,) = Index.open(tmp_path / "index").find(names.from_text("www.a.example"))
    assert [(rule.allow, rule.source.rpartition("/")[2]) for rule in found] == [
        (True, "copy:1"), (False, "copy:2"), (False, "other:1"),
    ]  # fmt: skip


def test_a_policy_zone_speaks_of_clients(tmp_path):
    (tmp_path / "copy").write_text(ZONE)
    feeds = [FeedFile("zone", "threats", tmp_path / "copy", "auto")]
    compiling.build(gather(Lists(built_in=False), feeds=feeds), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    assert index.judges_clients
    found = index.find_client(ip_address("198.51.100.7").packed)
    assert [(rule.value, rule.allow, rule.answer, rule.trigger) for rule in found] == [
        ("198.51.100.7/32", True, None, "client-ip"), ("198.51.100.0/24", False, "nxdomain", "client-ip"),
    ]  # fmt: skip
    assert len({entry_id(rule) for rule in found}) == 2
    assert index.find_client(ip_address("198.51.101.7").packed) == index.find_client(ip_address("::1").packed) == ()
    assert index.find_address(ip_address("198.51.100.7").packed) == ()  # nothing of it is about answers
    assert [value for _, key, _, value in index.walk() if not key] == [
        "192.0.2.0/24", "client-ip 198.51.100.0/24", "client-ip 198.51.100.7/32", "nsip 203.0.113.0/24",
    ]  # fmt: skip
    assert list(map(len, (list(index.client_stretches(4)), list(index.client_stretches(16))))) == [3, 0]


def test_a_policy_zone_speaks_of_name_servers(tmp_path):
    (tmp_path / "copy").write_text(ZONE)
    feeds = [FeedFile("zone", "threats", tmp_path / "copy", "auto")]
    compiling.build(gather(Lists(built_in=False), feeds=feeds), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    assert index.judges_servers
    assert index.judges_server_addresses
    assert index.find_server(names.from_text("bad.net")) == index.find_server(names.from_text("xbad.net")) == ()
    ((rule,),) = index.find_server(names.from_text("ns.x.bad.net"))
    assert (rule.value, rule.trigger, rule.scope, rule.answer) == ("bad.net", "nsdname", "below", "nxdomain")
    assert [rule.allow for rules in index.find_server(names.from_text("ok.bad.net")) for rule in rules] == [True, False]
    # Nothing of it is about names that are asked.
    assert index.find(names.from_text("ns.x.bad.net")) == ()
    asked = {names.to_text(name) for name, _ in index.ordered()}
    assert asked == {"slow.example", "bad.example", "help.bad.example", "walled.example", "quiet.example"}
    assert [names.to_text(name) for name, _ in index.ordered_servers()] == ["bad.net", "ok.bad.net"]
    assert {names.to_text(index.name_at(place)) for place in index.places()["threats"]}.isdisjoint({"bad.net"})
    (held,) = index.find_server_address(ip_address("203.0.113.9").packed)
    assert (held.value, held.trigger) == ("203.0.113.0/24", "nsip")


def test_lists_that_say_nothing_of_name_servers_cost_nothing(tmp_path):
    compiling.build(gather(Lists()), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    assert (index.judges_servers, index.judges_server_addresses, index.judges_clients) == (False, False, False)
    assert index.find_server(names.from_text("ns.tiktok.com")) == ()


def test_below_a_name_is_not_the_name(tmp_path):
    (tmp_path / "copy").write_text("*.bad.example CNAME .\n")
    feeds = [FeedFile("zone", "threats", tmp_path / "copy", "rpz")]
    compiling.build(gather(Lists(built_in=False), feeds=feeds), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    assert index.find(names.from_text("bad.example")) == ()
    assert len(index.find(names.from_text("a.b.bad.example"))) == 1


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([b"x\x04game", b"example"], []),  # the octet 4 inside a label only looks like a border
        ([b"\x04game", b"example"], []),
        ([b"w", b"x\x04game", b"example"], []),
        ([b"\x04game\x07example"], []),
        ([b"x\x04game", b"game", b"example"], [["a.yaml:6", "b.txt:1"]]),
        ([b"\0", b"game", b"example"], [["a.yaml:6", "b.txt:1"]]),
        ([b"a.b", b"game", b"example"], [["a.yaml:6", "b.txt:1"]]),
    ],
)
def test_crafted_labels(index, labels, found):
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    assert shown(index.find(name)) == found


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("192.0.2.1", ["a.yaml:15"]),
        ("192.0.2.129", ["a.yaml:16 allow", "a.yaml:15"]),  # the longest prefix first
        ("192.0.3.0", []),
        ("192.0.1.255", []),
        ("198.51.100.1", []),  # not exclusive: recorded for the egress part
        ("203.0.113.1", []),  # its switch is off
        ("2001:db8::1", ["a.yaml:19"]),
        ("2001:db9::1", []),
        ("::", []),
    ],
)
def test_find_address(index, address, found):
    assert shown([index.find_address(ip_address(address).packed)]) == [found]


def test_listed_shows_what_is_off_as_well(index):
    found = index.listed(names.from_text("off.game.example"))
    assert [(each.rule.value, each.active, each.switch) for each in found] == [
        ("off.game.example", False, "off"),
        ("game.example", True, ""),
        ("game.example", True, ""),
    ]
    assert (found[0].role, found[0].note) == ("web", "why")
    (floating,) = index.listed(names.from_text("offgame.fr"))
    assert (floating.rule.value, floating.active) == ("**.offgame.**", False)


@dataclass(frozen=True)
class Plain:
    """An entry of the reference."""

    labels: tuple[bytes, ...]
    exact: bool
    line: int

    def covers(self, labels):
        return labels == self.labels if self.exact else labels[-len(self.labels) :] == self.labels


LABEL = st.sampled_from([b"a", b"b", b"aa", b"ab"])
LISTED = st.lists(LABEL, min_size=2, max_size=4).map(tuple)
CRAFTED = LABEL | st.sampled_from([b"a\1b", b"\1a", b"b\2aa", b"\2ab\1b", b"\0", b"\2"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(LISTED, min_size=1, max_size=12),
    st.lists(LISTED, max_size=12),
    st.lists(st.lists(CRAFTED, max_size=6).map(tuple), min_size=5, max_size=20),
)
def test_find_as_the_reference(tmp_path, suffixes, exacts, asked):
    files = {
        "s.txt": "\n".join(".".join(label.decode() for label in labels) for labels in suffixes),
        "x.hosts": "\n".join("0.0.0.0 " + ".".join(label.decode() for label in labels) for labels in exacts),
    }
    index = opened(tmp_path, files)
    # What a file repeats counts once, where it stands first.
    entries = [Plain(each, False, at) for at, each in enumerate(suffixes, 1) if each not in suffixes[: at - 1]]
    entries += [Plain(each, True, at) for at, each in enumerate(exacts, 1) if each not in exacts[: at - 1]]
    for labels in (*asked, *suffixes, *((b"a", *each) for each in suffixes)):
        matching = [each for each in entries if each.covers(labels)]
        wanted = [
            [f"{'x.hosts' if each.exact else 's.txt'}:{each.line}" for each in matching if len(each.labels) == size]
            for size in sorted({len(each.labels) for each in matching}, reverse=True)
        ]
        name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
        assert shown(index.find(name)) == wanted


def test_memos_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("blocker.lists.index._REMEMBERED", 4)
    index = opened(tmp_path, FILES)
    for at in range(50):
        assert shown(index.find(names.from_text(f"w{at}.game.example"))) == [["a.yaml:6", "b.txt:1"]]
    assert len(index._remembered) <= 4


def test_an_index_outlives_its_file(tmp_path):
    index = opened(tmp_path, FILES)
    (tmp_path / "index").unlink()
    assert index.find(names.from_text("game.example"))


def test_places_lead_to_every_blocked_name_in_force(index):
    places = index.places()
    named = {app: {names.to_text(index.name_at(place)) for place in some} for app, some in places.items()}
    assert named == {
        "a": {"game.example", "exact.example", "on.example", "tried.example"},
        "b": {"game.example", "plain.example"},
        "c": {"h.example"},
    }


def test_a_category_is_no_app_and_says_so_whatever_file_comes_first(tmp_path):
    (tmp_path / "malware.txt").write_text("own.example\n")  # an operator's file adds to it
    (tmp_path / "copy").write_text("theirs.example\n")
    feeds = [FeedFile("threats", "malware", tmp_path / "copy", "domains", category=True)]
    sources = gather(Lists(built_in=False, directories=(tmp_path / "malware.txt",)), feeds=feeds)
    compiling.build(sources, tmp_path / "index")
    index = Index.open(tmp_path / "index")
    about = index.apps["malware"]
    assert (about.category, about.reference, about.entries) == ("content", "", 2)
    found = [index.find(names.from_text(asked)) for asked in ("own.example", "theirs.example")]
    reasons = {rule.reason for ((rule,),) in found}
    assert reasons == {"Names of this category are blocked by the policy of this network."}
