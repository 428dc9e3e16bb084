"""Candidates on disk: what was found, and what people decided on it. SQLite, so that a crash leaves it whole.

The search writes what it finds, commands write decisions; both may at once. A name that was dismissed comes back only
for evidence of another kind than it had then; one that was accepted does not come back.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from blocker.candidates.finding import Evidence, Finding, Kind
from blocker.errors import CandidateError

FILE: Final = "candidates.sqlite"  # in the state folder
MAX_OPEN: Final = 1000  # the weakest make room for stronger ones
_PATIENCE: Final = 5.0  # seconds to wait for another writer
_VERSION: Final = 1
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS candidates (
        name TEXT NOT NULL, app TEXT NOT NULL, state TEXT NOT NULL, score REAL NOT NULL, evidence TEXT NOT NULL,
        names TEXT NOT NULL, clients INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
        by TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', decided REAL NOT NULL DEFAULT 0,
        known TEXT NOT NULL DEFAULT '', PRIMARY KEY (name, app)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS seen (
        app TEXT NOT NULL, kind TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (app, kind)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS search (
        one INTEGER PRIMARY KEY CHECK (one = 1), looked REAL NOT NULL, missed INTEGER NOT NULL
    ) STRICT;
"""


class State(StrEnum):
    """What people said of a candidate."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finding, and what became of it."""

    finding: Finding
    state: State
    first: float  # unix seconds at which it was found
    last: float  # and last seen
    by: str = ""
    reason: str = ""
    decided: float = 0.0  # unix seconds


@dataclass(frozen=True, slots=True)
class Counts:
    """What metrics tell."""

    open: Mapping[str, int] = field(default_factory=dict)  # by app
    seen: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by app and kind of evidence
    looked: float = 0.0  # unix seconds of the last look at queries
    missed: int = 0  # octets of records that were gone before the search came to them


class Store:
    """The candidates in one state folder."""

    def __init__(self, state: Path) -> None:
        """Use the file in the `state` folder; `put` makes it."""
        self.path = state / FILE

    def put(self, findings: Iterable[Finding], now: float, missed: int = 0) -> tuple[Finding, ...]:
        """Keep `findings`, and return those that are new or open again. `missed` octets were not looked at.

        Raises CandidateError.
        """
        with self._opened(make=True) as db:
            new = tuple(finding for finding in findings if _put(db, finding, now))
            db.execute(
                "DELETE FROM candidates WHERE state = 'open' AND rowid NOT IN"
                " (SELECT rowid FROM candidates WHERE state = 'open' ORDER BY score DESC, last DESC LIMIT ?)",
                (MAX_OPEN,),
            )
            db.execute(
                "INSERT INTO search VALUES (1, ?, ?) ON CONFLICT DO UPDATE SET looked = ?, missed = missed + ?",
                (now, missed, now, missed),
            )
        return new

    def decide(self, name: str, app: str, state: State, by: str, reason: str, now: float) -> None:
        """Let the candidate be decided; one that was never found is kept as decided too. Raises CandidateError."""
        with self._opened(make=True) as db:
            db.execute(
                "INSERT INTO candidates"
                " (name, app, state, score, evidence, names, clients, first, last, by, reason, decided) VALUES"
                " (:name, :app, :state, 0, '[]', '[]', 0, :now, :now, :by, :reason, :now) ON CONFLICT DO UPDATE"
                " SET state = :state, by = :by, reason = :reason, decided = :now, known = evidence",
                {"name": name, "app": app, "state": state, "by": by, "reason": reason, "now": now},
            )

    def forget(self, is_decided: Callable[[str], bool]) -> int:
        """Let go of open candidates that lists have decided on meanwhile; return how many. Raises CandidateError."""
        with self._opened() as db:
            waiting = [name for (name,) in db.execute("SELECT DISTINCT name FROM candidates WHERE state = 'open'")]
            gone = [(name,) for name in waiting if is_decided(name)]
            db.executemany("DELETE FROM candidates WHERE state = 'open' AND name = ?", gone)
        return len(gone)

    def all(self) -> tuple[Candidate, ...]:
        """Return every candidate, the open ones first and the most likely first. Raises CandidateError."""
        with self._opened() as db:
            found = db.execute(
                "SELECT name, app, state, evidence, names, clients, first, last, by, reason, decided FROM candidates"
                " ORDER BY state != 'open', score DESC, name"
            )
            return tuple(map(_candidate, found))

    def counts(self) -> Counts:
        """Return what metrics tell. Raises CandidateError."""
        with self._opened() as db:
            waiting = db.execute("SELECT app, count(*) FROM candidates WHERE state = 'open' GROUP BY app")
            seen = db.execute("SELECT app, kind, n FROM seen")
            open_ = {str(app): int(n) for app, n in waiting}
            looked, missed = db.execute("SELECT looked, missed FROM search").fetchone() or (0.0, 0)
            return Counts(open_, {(str(app), str(kind)): int(n) for app, kind, n in seen}, looked, missed)

    def set_aside(self) -> Path:
        """Move a damaged file out of the way, and return where to. Raises CandidateError."""
        target = self.path.with_suffix(".damaged")
        try:
            self.path.replace(target)
        except OSError as error:
            raise CandidateError(
                f"{self.path}: cannot be moved: {error.strerror}. Check its folder's owner."
            ) from error
        return target

    @contextmanager
    def _opened(self, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the database in one transaction; without `make`, an empty one in memory where there is no file."""
        there = self.path.exists()
        try:
            if make and not there:
                self._make()
            with closing(sqlite3.connect(self.path if make or there else ":memory:", timeout=_PATIENCE)) as db:
                if db.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):
                    raise CandidateError(f"{self.path}: is of a newer blocker. Run that one.")
                if make or not there:
                    db.executescript(_SCHEMA)
                    db.execute(f"PRAGMA user_version = {_VERSION}")
                with db:
                    yield db
        except (sqlite3.Error, OSError) as error:
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            how = "It is damaged" if damaged else "Check its owner, and the space on its disk"
            raise CandidateError(f"{self.path}: cannot be used: {error}. {how}.", damaged=damaged) from error

    def _make(self) -> None:
        """Make the file for whom the folder belongs to: root's command must not lock the service out."""
        os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o640))
        owner = self.path.parent.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.chown(self.path, owner.st_uid, owner.st_gid)


def _put(db: sqlite3.Connection, finding: Finding, now: float) -> bool:
    """Keep one finding; tell whether it is new, or open again."""
    row = db.execute(
        "SELECT state, evidence, known FROM candidates WHERE name = ? AND app = ?", (finding.name, finding.app)
    ).fetchone()
    state, evidence, known = row or ("", "[]", "")
    if state == State.ACCEPTED:
        return False
    if state == State.DISMISSED and not finding.kinds - _kinds(known):
        return False
    for kind in finding.kinds - _kinds(evidence):
        db.execute("INSERT INTO seen VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (finding.app, kind))
    db.execute(
        "INSERT INTO candidates (name, app, state, score, evidence, names, clients, first, last)"
        " VALUES (:name, :app, 'open', :score, :evidence, :names, :clients, :now, :now) ON CONFLICT DO UPDATE"
        " SET state = 'open', score = :score, evidence = :evidence, names = :names, clients = :clients, last = :now",
        {
            "name": finding.name, "app": finding.app, "score": finding.score, "now": now,
            "evidence": json.dumps([(each.kind, each.weight, each.says) for each in finding.evidence]),
            "names": json.dumps(finding.names), "clients": finding.clients,
        },
    )  # fmt: skip
    return state != State.OPEN


def _kinds(evidence: str) -> set[Kind]:
    return {Kind(kind) for kind, _, _ in json.loads(evidence or "[]")}


def _candidate(row: tuple[str, str, str, str, str, int, float, float, str, str, float]) -> Candidate:
    name, app, state, evidence, some, clients, first, last, by, reason, decided = row
    found = tuple(Evidence(Kind(kind), weight, says) for kind, weight, says in json.loads(evidence))
    return Candidate(
        Finding(name, app, found, tuple(json.loads(some)), clients), State(state), first, last, by, reason, decided
    )
