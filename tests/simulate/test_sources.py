"""Logs as one table."""

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


def test_names_are_no_log(engine, tmp_path):
    (tmp_path / "names.txt").write_text("a.example\n")
    with pytest.raises(LogError, match="blocker coverage"):
        source(engine, [tmp_path / "names.txt"], Format.NAMES)
