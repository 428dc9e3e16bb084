"""Queries in logs, decided by the lists as they are now."""

import gzip

import pytest

from blocker import names
from blocker.candidates.seen import How
from blocker.errors import LogError
from blocker.simulate import relatives
from blocker.simulate.logs.detect import Format
from blocker.simulate.logs.record import Tally
from blocker.simulate.sides import Side
from tests.simulate.estates import GROUPS, OLD, line, loaded

DNSMASQ = "Nov 23 21:37:51 dnsmasq[812]: query[A] www.game.example from 203.0.113.5\n"


@pytest.fixture(scope="module")
def side(tmp_path_factory):
    folder = tmp_path_factory.mktemp("side")
    return Side.open(loaded(folder / "old", OLD, GROUPS), folder)


def read(path, side, stated=None):
    tally = Tally(str(path))
    return [
        (names.to_text(each.qname), each.how, each.app) for each in relatives.read(path, stated, side, tally)
    ], tally


def test_our_log(tmp_path, side):
    path = tmp_path / "log.jsonl.gz"
    lines = [
        line("www.game.example"), line("help.game.example"), line("cdn.example", via="203.0.113.9"),
        line("plain.example"), line("www.chat.example", "192.0.2.7"),  # its group does not block the app
        "garbage\n", line("a b..example"), line("x.example", at="yesterday"),
        '{"time": 1, "client": 2, "qname": 3, "qtype": 4}\n',
    ]  # fmt: skip
    path.write_bytes(gzip.compress("".join(lines).encode()))
    found, tally = read(path, side)
    assert found == [
        ("www.game.example", How.LISTED, "games"),
        ("help.game.example", How.KNOWN, ""),
        ("cdn.example", How.ADDRESS, "chat"),
        ("plain.example", How.NOTHING, ""),
        ("www.chat.example", How.NOTHING, ""),
    ]
    assert (tally.format, tally.queries, tally.bad) == ("blocker", 7, 2)
    assert tally.examples[0].startswith(f"{path}:6: not a line of ours")


def test_lines_of_our_log_that_are_no_queries_are_passed_over(tmp_path, side):
    path = tmp_path / "log.jsonl"
    note = '{"time":"2026-11-23T10:00:00.000000Z","event":"checkpoint","statement":"s"}\n'
    seen = '{"time":"2026-11-23T10:00:00.000000Z","client":"192.0.2.5","qname":"a.example","destination":"192.0.2.9"}\n'
    own = line("www.game.example").replace('"default"', '"selftest"')
    path.write_text(line("www.game.example") + note + seen + own)
    found, tally = read(path, side)
    assert (len(found), tally.queries, tally.ignored, tally.bad) == (1, 1, 3, 0)


def test_others_logs(tmp_path, side):
    path = tmp_path / "log"
    path.write_text(DNSMASQ)
    assert read(path, side)[0] == [("www.game.example", How.LISTED, "games")]


@pytest.mark.parametrize(("content", "stated", "why"), [
    (b"a.example\nb.example\n", None, "nobody can tell what belongs together"),
    (b"\x28\xb5\x2f\xfd....", None, "zstd cannot be read here"),
    (b"nonsense, and no name\n", None, "no query log that we know"),
    (b"a.example\n", Format.NAMES, "nobody can tell"),
])  # fmt: skip
def test_refused(tmp_path, side, content, stated, why):
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(LogError, match=why):
        read(path, side, stated)
