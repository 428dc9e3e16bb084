"""Logs as one table."""

import gzip

import pytest

from blocker.errors import LogError
from blocker.simulate.engine import Engine
from blocker.simulate.logs.detect import Format
from blocker.simulate.sources import find_bad, source
from tests.simulate.estates import line


@pytest.fixture(scope="module")
def engine():
    with Engine.opened(memory=64, threads=1) as found:
        yield found


def test_columns_of_all_parts_agree(engine, tmp_path):
    (tmp_path / "q.jsonl").write_text(line("a.example", "192.0.2.1"))
    (tmp_path / "d.log").write_text("Nov 23 21:37:51 dnsmasq[8]: query[A] b.example from 192.0.2.2\n")
    found = source(engine, [tmp_path / "q.jsonl", tmp_path / "d.log"], None)
    rows = set(engine.rows(f"SELECT qname, client, grp, via FROM ({found.select})"))
    assert rows == {("a.example", "192.0.2.1", "default", None), ("b.example", "192.0.2.2", "", "")}


def test_bad_lines_have_no_time_and_are_counted_all_the_same(engine, tmp_path):
    (tmp_path / "q.jsonl").write_text("garbage\n" + line("a.example"))
    found = source(engine, [tmp_path / "q.jsonl"], None, since="2030")
    assert list(engine.rows(f"SELECT qname FROM ({found.select})")) == [(None,)]
    assert find_bad(found, 1).examples == [f"{tmp_path}/q.jsonl:1: not a line of JSON: 'garbage'"]


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")])
def test_an_empty_log_among_others_is_none_to_complain_of(engine, tmp_path, content):
    (tmp_path / "q.jsonl").write_text(line("a.example", "192.0.2.1"))
    (tmp_path / "today").write_bytes(content)
    found = source(engine, [tmp_path / "today", tmp_path / "q.jsonl"], None)
    assert [row[0] for row in engine.rows(f"SELECT qname FROM ({found.select})")] == ["a.example"]
    assert [(tally.format, tally.queries) for tally in found.tallies] == [("empty", 0)]
    with pytest.raises(LogError, match="nobody has asked"):
        source(engine, [tmp_path / "today"], None)


def test_names_are_no_log(engine, tmp_path):
    (tmp_path / "names.txt").write_text("a.example\n")
    with pytest.raises(LogError, match="blocker coverage"):
        source(engine, [tmp_path / "names.txt"], Format.NAMES)
