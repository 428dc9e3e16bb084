"""Our own log: DuckDB reads it; what is bad is shown."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.events import tail
from blocker.policy import PASSTHRU
from blocker.simulate.engine import Engine
from blocker.simulate.logs import ours
from blocker.simulate.logs.record import Tally

GOOD = b'{"time":"2026-11-23T21:37:51.935964Z","client":"192.0.2.5","group":"staff","qname":"a.example","qtype":"A"}\n'


@pytest.fixture(scope="module")
def engine():
    with Engine.opened(memory=64, threads=1) as found:
        yield found


def read(engine, content):
    path = engine.new_file(".jsonl")
    path.write_bytes(content)
    return list(
        engine.rows(f"SELECT time, client, grp, qname, via FROM ({ours.select([engine.linked(path, '.jsonl')])})")
    )


def bad(content):
    tally = Tally("q.jsonl")
    ours.find_bad(io.BytesIO(content), tally)
    return tally.examples


def test_a_line_as_the_server_writes_it(engine):
    said = tail("staff", names.from_text(r"od\"d.example"), 1, "udp", 0, "cache", PASSTHRU).decode()
    line = f'{{"time":"2026-11-23T21:37:51.935964Z","client":"192.0.2.5",{said}}}\n'.encode()
    assert read(engine, line) == [
        ("2026-11-23T21:37:51.935964Z", "192.0.2.5", "staff", names.to_text(names.from_text(r"od\"d.example")), None)
    ]


@pytest.mark.parametrize("line", [
    b'{"time":"2026-11-23T21:37:51.935964Z","event":"checkpoint","statement":"s","node":"dns1","seq":2,"hash":"9b"}\n',
    b'{"time":"2026-11-23T21:37:51.935964Z","client":"192.0.2.5","group":"staff","destination":"203.0.113.9"}\n',
    GOOD.replace(b"staff", b"selftest"),
])  # fmt: skip
def test_lines_of_the_log_that_are_no_queries_are_not_bad(engine, line):
    content = GOOD + line + GOOD
    assert [row[3] for row in read(engine, content)] == ["a.example"] * 2
    assert bad(content) == []


@pytest.mark.parametrize(("line", "why"), [
    (b"garbage\n", "q.jsonl:2: not a line of JSON: 'garbage'"),
    (b"{\n", "q.jsonl:2: not a line of JSON: '{'"),
    (b"[1]\n", "q.jsonl:2: not an object of JSON"),
    (b'{"client":"192.0.2.5"}\n', "q.jsonl:2: it has no qname"),
    (GOOD.replace(b'"192.0.2.5"', b"null"), "q.jsonl:2: it has no client"),
])  # fmt: skip
def test_bad_lines(engine, line, why):
    content = GOOD + line + GOOD
    assert [row[3] for row in read(engine, content)].count("a.example") == 2
    assert [row[3] for row in read(engine, content)].count(None) == 1
    assert bad(content) == [why]


def test_a_log_that_is_being_written(engine):
    assert [row[3] for row in read(engine, GOOD + GOOD[:-20])] == ["a.example", None]


@given(st.binary(max_size=200))
def test_any_octets(content):
    assert len(bad(content)) <= 3
