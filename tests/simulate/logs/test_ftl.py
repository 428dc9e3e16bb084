"""Pi-hole's database."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocker.errors import LogError
from blocker.simulate.logs import ftl
from blocker.simulate.logs.record import Query, Tally
from tests.simulate.logs.formats import AT

# As FTL makes them (src/database/query-table.h), without the columns that we do not read.
STORED = """
CREATE TABLE query_storage (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, timestamp INTEGER NOT NULL,
  type INTEGER NOT NULL, status INTEGER NOT NULL, domain INTEGER NOT NULL, client INTEGER NOT NULL);
CREATE TABLE domain_by_id (id INTEGER PRIMARY KEY, domain TEXT NOT NULL);
CREATE TABLE client_by_id (id INTEGER PRIMARY KEY, ip TEXT NOT NULL, name TEXT);
CREATE VIEW queries AS SELECT * FROM query_storage;
INSERT INTO domain_by_id VALUES (1, 'www.tiktok.com');
INSERT INTO client_by_id VALUES (1, '192.0.2.5', NULL);
"""
PLAIN = """CREATE TABLE queries (id INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, type INTEGER NOT NULL,
  status INTEGER NOT NULL, domain TEXT NOT NULL, client TEXT NOT NULL, forward TEXT);"""


def made(path, schema, rows):
    with closing(sqlite3.connect(path)) as base:
        base.executescript(schema)
        table = "query_storage" if schema is STORED else "queries"
        base.executemany(f"INSERT INTO {table} (timestamp, type, status, domain, client) VALUES (?, ?, 0, ?, ?)", rows)
        base.commit()
    return path


def read(path):
    tally = Tally("ftl.db")
    return [query for batch in ftl.read(path, tally) for query in batch], tally


@pytest.mark.parametrize(("schema", "row", "query"), [
    (STORED, (1795469871, 1, 1, 1), Query(AT, "192.0.2.5", "www.tiktok.com", "A")),  # numbers into tables
    (STORED, (1795469871, 16, "A.Example", "2001:db8::5"), Query(AT, "2001:db8::5", "a.example", "HTTPS")),
    (STORED, (1795469871.5, 2, 1, 1), Query(AT, "192.0.2.5", "www.tiktok.com", "AAAA")),  # newer: fractions
    (PLAIN, (1795469871, 9, "a.example", "192.0.2.5"), Query(AT, "192.0.2.5", "a.example", "MX")),
    (PLAIN, (1795469871, 357, "a.example", "192.0.2.5"), Query(AT, "192.0.2.5", "a.example", "CAA")),
    (PLAIN, (1795469871, 1, "a name", "192.0.2.5"), "ftl.db:1: row: 'a name' is not a name"),
    (PLAIN, (1795469871, 1, "a.example", "laptop"), "ftl.db:1: row: 'laptop' is not a client's address"),
    (PLAIN, (-1, 1, "a.example", "192.0.2.5"), "ftl.db:1: row: -1 is not a unix time"),
    (STORED, (1795469871, 1, 7, 1), "ftl.db:1: row: 'None' is not a name"),  # a number that leads nowhere
])  # fmt: skip
def test_rows(tmp_path, schema, row, query):
    found, tally = read(made(tmp_path / "ftl.db", schema, [row]))
    if isinstance(query, str):
        assert (found, tally.bad, tally.examples) == ([], 1, [query])
    else:
        assert (found, tally.queries, tally.bad) == ([query], 1, 0)


def test_a_database_of_something_else(tmp_path):
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as base:
        base.executescript("CREATE TABLE other (a)")
    with pytest.raises(LogError, match="it has no queries"):
        read(path)


def test_a_view_is_not_asked(tmp_path):
    """It could run for ever."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as base:
        base.executescript(
            "CREATE VIEW queries AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
            " SELECT id, id AS timestamp, 1 AS type, 'a.example' AS domain, '192.0.2.1' AS client FROM n"
        )
    with pytest.raises(LogError, match="it has no queries"):
        read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(at=st.integers(100, 8191), octets=st.binary(min_size=1, max_size=64))
def test_a_damaged_database(tmp_path, at, octets):
    path = tmp_path / "ftl.db"
    path.unlink(missing_ok=True)
    whole = made(path, STORED, [(1795469871, 1, 1, 1)] * 20).read_bytes()
    path.write_bytes(whole[:at] + octets + whole[at + len(octets) :])
    try:
        found, _ = read(path)
    except LogError:
        return
    assert len(found) <= 10_000
