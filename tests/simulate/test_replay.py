"""A log with a known answer; and that simulation says of each name what the decisions say one by one."""

import gzip
import lzma

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocker import names
from blocker.errors import LogError
from blocker.simulate.changes import Kind, difference
from blocker.simulate.engine import Engine
from blocker.simulate.replay import replay
from blocker.simulate.sides import Side
from blocker.simulate.sources import source
from tests.simulate.estates import GROUPS, NEW, OLD, line, loaded

LOG = [
    line("www.game.example"),  # blocked by both
    line("help.game.example"), line("help.game.example", "203.0.113.78", "2026-11-23T11:00:00.000000Z"),
    line("help.game.example", "192.0.2.7"),
    line("a.new.example"), line("a.new.example"), line("a.new.example", "198.51.100.3"),
    line("far.example"),  # games before, toys now
    line("cdn.example", via="203.0.113.9"),  # was blocked for its address
    line("plain.example"), line("plain.example", "192.0.2.7"),
    "garbage\n", line("a b.example"), line("..", "192.0.2.7"),
]  # fmt: skip
SAID = {
    ("newly blocked", "help.game.example", "", "games", "default", 2, 2),
    ("newly blocked", "help.game.example", "", "games", "staff", 1, 1),
    ("newly blocked", "a.new.example", "", "games", "default", 2, 1),
    ("newly monitored", "a.new.example", "", "games", "lab", 1, 1),
    ("answered otherwise", "far.example", "", "toys", "default", 1, 1),
    ("newly allowed", "cdn.example", "203.0.113.9", "chat", "default", 1, 1),
}


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sides")
    return [Side.open(loaded(folder / name, lists, GROUPS), folder) for name, lists in (("old", OLD), ("new", NEW))]


def simulated(sides, paths, *, guard=lambda _name: "", limit=None, **times):
    with Engine.opened(memory=64, threads=1) as engine:
        return replay(engine, source(engine, paths, None, **times), *sides, guard, limit=limit)


def told(report):
    return {(str(each.kind), each.qname, each.via, each.app, each.group, each.queries, each.clients)
            for each in report.changes}  # fmt: skip


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text("".join(LOG))
    return path


def test_a_log_with_a_known_answer(sides, log):
    report = simulated(sides, [log])
    assert told(report) == SAID
    assert (report.queries, report.names, report.clients, report.bad) == (11, 6, 4, 3)
    assert report.logs[0].examples == [f"{log}:12: not a line of JSON: 'garbage'"]
    assert (report.status, report.more, report.violations) == (1, 0, [])
    first = next(each for each in report.changes if (each.qname, each.group) == ("help.game.example", "default"))
    assert (first.first[11:13], first.last[11:13]) == ("10", "11")
    assert first.before.startswith("allowed: games, exception help.game.example (suffix), ")
    assert first.after.endswith("games.txt:1")
    totals = {(str(each.kind), each.app, each.group, each.names, each.queries, each.clients) for each in report.totals}
    assert ("newly blocked", "games", "default", 2, 4, 2) in totals  # two names by two clients, one of them for both
    assert len(totals) == 5


@pytest.mark.parametrize("packed", [gzip.compress, lzma.compress])
def test_packed_logs_and_several(sides, log, packed, tmp_path):
    (tmp_path / "old").write_bytes(packed("".join(LOG[:7]).encode()))
    log.write_text("".join(LOG[7:]))
    assert told(simulated(sides, [tmp_path / "old", log])) == SAID


def test_logs_of_different_programs(sides, log, tmp_path):
    other = tmp_path / "dnsmasq.log"
    other.write_text(
        "Nov 23 10:00:00 dnsmasq[8]: query[A] Help.game.example from 203.0.113.77\n"
        "Nov 23 10:00:00 dnsmasq[8]: query[A] from\n"
    )
    report = simulated(sides, [log, other])
    assert ("newly blocked", "help.game.example", "", "games", "default", 3, 2) in told(report)
    assert (report.queries, report.bad) == (12, 4)
    assert {tally.format: tally.queries for tally in report.logs} == {"blocker": 11, "dnsmasq": 1}


def test_names_that_must_resolve_come_first(sides, log):
    report = simulated(sides, [log], guard=lambda name: "ministry" if name == names.from_text("a.new.example") else "")
    assert [(each.qname, each.group, each.must_resolve) for each in report.violations] == [
        ("a.new.example", "default", "ministry")
    ]
    assert "a.new.example" not in {each.qname for each in report.changes if each.kind is Kind.BLOCKED}
    assert report.status == 3


def test_limit(sides, log):
    report = simulated(sides, [log], limit=2)
    assert (len(report.changes), report.more, len(report.totals)) == (2, 4, 5)
    assert [each.queries for each in report.changes] == [2, 2]


def test_times(sides, log):
    report = simulated(sides, [log], since="2026-11-23T10:30:00.000000Z", until="2026-11-23T12:00:00.000000Z")
    assert {(each.qname, each.queries) for each in report.changes} == {("help.game.example", 1)}


def test_nothing_changes(sides, log):
    report = simulated([sides[0], sides[0]], [log])
    assert (report.totals, report.changes, report.status) == ([], [], 0)


def test_nothing_to_go_by(sides, tmp_path):
    (tmp_path / "q.jsonl").write_text('{"qname":\n')
    with pytest.raises(LogError, match="no query could be read"):
        simulated(sides, [tmp_path / "q.jsonl"])


def test_a_configuration_that_moves_clients(tmp_path, sides):
    moved = GROUPS.replace("198.51.100.0/24", "192.0.2.128/25")
    old = sides[0]
    new = Side.open(loaded(tmp_path / "new", OLD, moved), tmp_path)
    (tmp_path / "q.jsonl").write_text(line("game.example", "192.0.2.200") + line("game.example", "192.0.2.1"))
    (change,) = simulated([old, new], [tmp_path / "q.jsonl"]).changes
    assert (change.kind, change.group, change.queries) == (Kind.MONITORED, "staff -> lab", 1)


LABELS = st.sampled_from(["www", "help", "game", "far", "new", "chat", "toys", "example", "notgame"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(st.lists(st.tuples(
    st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join((*labels, "example"))),
    st.sampled_from(["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"]),
), min_size=1, max_size=30))  # fmt: skip
def test_it_agrees_with_the_decisions_one_by_one(sides, tmp_path, asked):
    (tmp_path / "q.jsonl").write_text("".join(line(*each) for each in asked))
    old, new = sides
    expected = {}
    for qname, client in asked:
        name = names.from_text(qname)
        found = difference(old.verdict(old.policy_for(client, ""), name), new.verdict(new.policy_for(client, ""), name))
        if found is not None:
            key = (found.kind, found.app, qname, new.policy_for(client, "").group)
            expected[key] = expected.get(key, 0) + 1
    report = simulated(sides, [tmp_path / "q.jsonl"])
    assert {(each.kind, each.app, each.qname, each.group): each.queries for each in report.changes} == expected
