"""Pi-hole FTL's database `pihole-FTL.db` (SQLite), with the tables of its early and of its present versions.

Reads only tables, with our own SELECTs: a view in a stranger's file could run for ever.
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from blocker.errors import LogError
from blocker.simulate.logs import lines, times
from blocker.simulate.logs.record import BATCH, BadLineError, Batches, Query, Tally, quoted
from blocker.wire.constants import type_text

MAGIC: Final = b"SQLite format 3\0"
# FTL's own numbers of types (enum query_type in enums.h); 100 and more: 100 + the DNS type
_TYPES: Final = {
    1: "A", 2: "AAAA", 3: "ANY", 4: "SRV", 5: "SOA", 6: "PTR", 7: "TXT", 8: "NAPTR", 9: "MX", 10: "DS", 11: "RRSIG",
    12: "DNSKEY", 13: "NS", 15: "SVCB", 16: "HTTPS",
}  # fmt: skip
# Rows hold a number into the tables of names and clients, or the text itself.
_STORED: Final = """
    SELECT q.id, CAST(q.timestamp AS INTEGER), q.type,
           CASE typeof(q.domain) WHEN 'integer' THEN d.domain ELSE q.domain END,
           CASE typeof(q.client) WHEN 'integer' THEN c.ip ELSE q.client END
    FROM query_storage q LEFT JOIN domain_by_id d ON d.id = q.domain LEFT JOIN client_by_id c ON c.id = q.client
"""
_PLAIN: Final = "SELECT id, CAST(timestamp AS INTEGER), type, domain, client FROM queries"
_NAME: Final = re.compile(lines.NAME)
_CLIENT: Final = re.compile(lines.CLIENT)


def read(path: Path, tally: Tally) -> Batches:
    """Yield the queries in the database at `path`; a bad row is told by its id. Raises LogError."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
            base.execute("PRAGMA trusted_schema = OFF")
            base.execute("PRAGMA cell_size_check = ON")
            base.text_factory = lambda raw: raw.decode("utf-8", "replace")
            rows = base.execute(_select(base, path))
            while some := rows.fetchmany(BATCH):
                batch = [query for row in some if (query := _query(row, tally)) is not None]
                tally.queries += len(batch)
                if batch:
                    yield batch
    except sqlite3.Error as error:
        raise LogError(
            f"{path}: cannot be read as Pi-hole's database: {error}."
            f' Copy it with `sqlite3 {path} ".backup copy.db"` and read the copy.'
        ) from error


def _select(base: sqlite3.Connection, path: Path) -> str:
    found = base.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'")
    tables = {name for (name,) in found.fetchmany(1000)}
    if {"query_storage", "domain_by_id", "client_by_id"} <= tables:
        return _STORED
    if "queries" in tables:
        return _PLAIN
    raise LogError(f"{path}: a database, but not Pi-hole's: it has no queries. Give pihole-FTL.db.")


def _query(row: tuple[object, ...], tally: Tally) -> Query | None:
    number, when, qtype, qname, client = row
    try:
        if not isinstance(when, int) or not isinstance(qtype, int):
            raise BadLineError("its time or type is not a number")
        if not isinstance(qname, str) or not _NAME.fullmatch(qname):
            raise BadLineError(f"{quoted(str(qname))} is not a name")
        if not isinstance(client, str) or not _CLIENT.fullmatch(client):
            raise BadLineError(f"{quoted(str(client))} is not a client's address")
        shown = _TYPES.get(qtype) or type_text(qtype - 100 if qtype >= 100 else 0)
        return Query(times.from_unix(when), client, lines.name(qname), shown)
    except BadLineError as error:
        tally.refuse(number if isinstance(number, int) else 0, f"row: {error}")
        return None
