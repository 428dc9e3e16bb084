"""Keeps exceptions in an SQLite file, and writes every change into an audit log that only grows (audit.py).

A change and its line of the log are one transaction: the line stands in the store too, and what a crash or a full
disk kept from the log's file is appended the next time. A store that is older than its log, put back from a copy
perhaps, is not believed: what was revoked would be in force again. Nor is an approved exception of which the log's
last line on it says something else.

The exceptions that an installed bundle brings are not kept here. That they have ended is: no clock brings them back.
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final

from blocker import config as configuration
from blocker.config import Config
from blocker.errors import ConfigError, EvidenceError, ExceptionsError
from blocker.exceptions import entry
from blocker.exceptions.audit import HOW, Audit, Sign, give
from blocker.exceptions.entry import Entry, Grant, Person, State
from blocker.exceptions.snapshot import NONE, Snapshot
from blocker.policy import Scope

MAX_OPEN: Final = 1000  # exceptions requested or approved at one time: more are a policy, and belong into lists
_BUSY: Final = 20.0  # seconds to wait for others who write: a disk that is busy takes its time to bring it down
_AGAIN: Final = 0.02  # seconds until a lock is looked at again
_MODE: Final = 0o640
_TABLES: Final = (  # of each version, what it added to the one before
    """
CREATE TABLE exceptions (id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, ends INTEGER NOT NULL,
                         entry TEXT NOT NULL) STRICT;
CREATE INDEX by_state ON exceptions (state);
CREATE TABLE audit (seq INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
CREATE TABLE about (node TEXT NOT NULL) STRICT
""",
    """
CREATE TABLE bundled (identity TEXT PRIMARY KEY, ends INTEGER NOT NULL) STRICT;
CREATE INDEX by_exception ON audit (json_extract(CAST(line AS TEXT), '$.exception.grant.id'))
""",
)
_LAST_LINE: Final = """
SELECT line FROM audit WHERE json_extract(CAST(line AS TEXT), '$.exception.grant.id') = ? ORDER BY seq DESC LIMIT 1
"""

Change = Callable[[Entry], Entry]


class Store:
    """The store; opened for one piece of work and closed again."""

    def __init__(self, file: Path, audit: Path, node: str, sign: Sign | None = None) -> None:
        """Open the store in `file`, made if it is not there, with its log in `audit`. Raises ExceptionsError.

        `sign` signs the log's checkpoints; it may raise ConfigError. None: there are none.
        """
        self.unsigned = ""  # why a change could not be signed; empty: all were, or there is nothing to sign with
        self._file = file
        self._audit_file = audit
        with self._errors():
            new = not file.exists()
            self._db = sqlite3.connect(file, timeout=_BUSY, isolation_level=None)
            try:
                self._prepare_patiently(node, new=new)
                # The log goes on under the name it began with, whatever the machine is called by now.
                (kept,) = self._db.execute("SELECT node FROM about").fetchone()
                self._audit = Audit(self._db, audit, kept.encode(), sign)
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> "Store":
        """Return the store, to be closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    # Reading.

    def entries(self, *, every: bool = False) -> list[Entry]:
        """Return the open exceptions, or `every` one, in the order of their numbers. Raises ExceptionsError."""
        where = "" if every else "WHERE state IN ('requested', 'approved')"
        with self._errors():
            return [read(text) for (text,) in self._db.execute(f"SELECT entry FROM exceptions {where} ORDER BY id")]  # noqa: S608

    def entry(self, number: str) -> Entry:
        """Return the exception `number`. Raises ExceptionsError."""
        with self._errors():
            row = self._db.execute("SELECT entry FROM exceptions WHERE id = ?", (_number(number),)).fetchone()
        if row is None:
            raise ExceptionsError(f"there is no exception {number}. `blocker exceptions list` shows those there are.")
        return read(row[0])

    def snapshot(self, bundled: Sequence[Grant] = (), *, local: bool = True) -> Snapshot:
        """Return what is approved now, if `local` approvals count, and those `bundled` that are not over.

        Raises ExceptionsError for a store that is damaged, is older than its log, or says what its log does not.
        """
        with self._errors():
            logged = self._audit.logged()
            self._db.execute("BEGIN")
            try:
                (sound,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
                if sound != "ok":
                    raise sqlite3.DatabaseError(sound)
                approved = [each for each in self.entries() if each.state is State.APPROVED]
                counts = dict(self._db.execute("SELECT state, count(*) FROM exceptions GROUP BY state").fetchall())
                end = self._audit.end
                self._audit.check(logged, end)
                for each in approved:
                    self._check_told(each)
                ends = self.bundled()
            finally:
                self._db.execute("ROLLBACK")
        own = [each.grant for each in approved] if local else []
        brought = [replace(each, ends=min(each.ends, ends.get(each.identity, each.ends))) for each in bundled]
        return Snapshot((*own, *(each for each in brought if each.ends > entry.OVER)), end.next - 1, counts)

    def bundled(self) -> dict[str, int]:
        """Return the ends of a bundle's exceptions that are over, or end earlier than they say, by their identity.

        Raises ExceptionsError.
        """
        with self._errors():
            return dict(self._db.execute("SELECT identity, ends FROM bundled").fetchall())

    def lines(self) -> list[bytes]:
        """Return the lines that the log must hold, in their order. Raises ExceptionsError."""
        with self._errors():
            return self._audit.lines()

    @property
    def seq(self) -> int:
        """The number of the log's last line, -1 if there is none. Raises ExceptionsError."""
        with self._errors():
            return self._audit.end.next - 1

    # Changing.

    def add(self, asked: Entry, now: float) -> Entry:
        """Keep a new request, and return it with its number. Raises ExceptionsError, ConfigError."""
        with self._changing(now):
            (count,) = self._db.execute(
                "SELECT count(*) FROM exceptions WHERE state IN ('requested', 'approved')"
            ).fetchone()
            if count >= MAX_OPEN:
                raise ExceptionsError(
                    f"{count} exceptions are open, which is the most there may be. Revoke some, or change the lists."
                )
            patterns = sum(each.grant.scope == Scope.PATTERN for each in self.entries())
            if asked.grant.scope == Scope.PATTERN and patterns >= entry.MAX_PATTERNS:
                raise ExceptionsError(
                    f"{patterns} exceptions for patterns are open, which is the most there may be. Name names, or"
                    " revoke some."
                )
            cursor = self._db.execute(
                "INSERT INTO exceptions (state, ends, entry) VALUES (?, ?, '')", (asked.state, asked.grant.ends)
            )
            numbered = replace(asked, grant=replace(asked.grant, id=str(cursor.lastrowid)))
            self._put(numbered, "requested", now)
        return numbered

    def change(self, number: str, event: str, change: Change, now: float) -> Entry:
        """Replace the exception `number` by what `change` makes of it, told as `event`.

        Raises ExceptionsError; ConfigError where a change that loosens the ban cannot be signed.
        """
        with self._changing(now, loosens=event == "approved"):
            former = self.entry(number)
            changed = change(former)
            if changed != former:
                self._put(changed, event, now)
        return changed

    def settle(self, now: float, ends: Mapping[str, float], bundled: Sequence[Grant] = ()) -> int:
        """Write down what time has ended by `now`, and return how many that are; `ends` are earlier ends, by id.

        From then on no clock brings them back, nor a bundle those that came `bundled`. Raises ExceptionsError.
        """
        own = [(each, entry.until(each.grant, now, ends)) for each in self.entries()]
        own = [(each, until) for each, until in own if until < each.grant.ends]
        known = self.bundled()
        brought = [(each, entry.until(each, now, ends)) for each in bundled]
        brought = [(each, until) for each, until in brought if until < known.get(each.identity, each.ends)]
        if not own and not brought:
            return 0
        with self._changing(now):
            for each, until in own:
                former = self.entry(each.grant.id)  # somebody may have revoked it since
                change = partial(entry.shorten, ends=until) if until else partial(entry.end, now=int(now))
                if (changed := change(former)) != former:
                    self._put(changed, _event(until), now)
            for grant, until in brought:
                self._db.execute("INSERT OR REPLACE INTO bundled VALUES (?, ?)", (grant.identity, until))
                self._audit.note(_event(until), now, bundled=replace(grant, ends=until).said())
        return len(own) + len(brought)

    def catch_up(self, now: float) -> None:
        """Sign and publish what a crash, a full disk or a key that was not there has kept from it.

        Raises ExceptionsError.
        """
        with self._errors():
            if self._audit.is_sealed:
                self._audit.publish()
                return
        with self._changing(now):
            pass

    def _put(self, changed: Entry, event: str, now: float) -> None:
        said = written(changed)
        self._db.execute(
            "UPDATE exceptions SET state = ?, ends = ?, entry = ? WHERE id = ?",
            (changed.state, changed.grant.ends, json.dumps(said), _number(changed.grant.id)),
        )
        self._audit.note(event, now, exception=said)

    def _check_told(self, approved: Entry) -> None:
        row = self._db.execute(_LAST_LINE, (approved.grant.id,)).fetchone()
        if row is None or json.loads(row[0])["exception"] != plain(approved):
            raise ExceptionsError(f"exception {approved.grant.id}: the store holds what no line of its log says. {HOW}")

    # SQLite.

    def _prepare_patiently(self, node: str, *, new: bool) -> None:
        """Prepare the file; who makes it in the same moment locks us out without SQLite's own patience."""
        deadline = time.monotonic() + _BUSY
        while True:
            try:
                return self._prepare(node, new=new)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(_AGAIN)

    def _prepare(self, node: str, *, new: bool) -> None:
        if self._db.execute("PRAGMA journal_mode").fetchone() != ("wal",):  # setting it would wait for everybody
            self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if self._version() < len(_TABLES):
            with self._writing():
                version = self._version()
                for statement in ";".join(_TABLES[version:]).split(";"):
                    self._db.execute(statement)
                if version == 0:
                    self._db.execute("INSERT INTO about VALUES (?)", (node,))
                self._db.execute(f"PRAGMA user_version = {len(_TABLES)}")
        elif (version := self._version()) > len(_TABLES):
            known = len(_TABLES)
            raise ExceptionsError(f"{self._file}: is of version {version}; this blocker knows {known}. Update it.")
        if new:
            self._file.chmod(_MODE)
            with self._file.open("rb") as file:
                give(file.fileno(), self._file.parent)

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextlib.contextmanager
    def _changing(self, now: float, *, loosens: bool = False) -> Iterator[None]:
        """Make a change, unless the log does not agree with the store or cannot be written; sign it, and publish it.

        One that `loosens` the ban is not made unsigned where there should be a signature.
        """
        with self._errors():
            with self._writing():
                self._audit.ready()
                yield
                if not self._audit.is_sealed:
                    try:
                        self._audit.seal(now)
                    except ConfigError as error:
                        if loosens:
                            raise
                        self.unsigned = str(error)
            self._audit.publish()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ExceptionsError(
                f"{self._file}: cannot be used: {error}. Check its permissions and space; if it is damaged, put a copy"
                " back, or move it and its log away and ask for exceptions anew."
            ) from error
        except EvidenceError as error:
            raise ExceptionsError(str(error)) from error
        except OSError as error:
            why = error.strerror or str(error)
            raise ExceptionsError(
                f"{self._audit_file}: cannot be written: {why}. Check its folder and space."
            ) from error


def opened(found: Config) -> Store:
    """Return the store of a configuration, made if it is not there yet. Raises ExceptionsError, ConfigError."""
    file, audit = configuration.exceptions_file(found), configuration.exceptions_audit(found)
    if audit.exists() and not file.exists():
        raise ExceptionsError(f"{file}: is gone, and its log, {audit}, is not. {HOW}")
    try:
        file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError([f"exceptions.file: {file.parent} cannot be made: {error.strerror}"]) from error
    path = found.evidence.key_file
    return Store(file, audit, _log_name(found), partial(_sign, path) if path else None)


def is_used(found: Config) -> bool:
    """Tell whether anybody has ever kept an exception here. Raises ConfigError."""
    return configuration.exceptions_file(found).exists() or configuration.exceptions_audit(found).exists()


def snapshot(found: Config, bundled: Sequence[Grant] = ()) -> Snapshot:
    """Return the exceptions that this node has: those of its store, unless only signed ones count here, and `bundled`.

    Raises ExceptionsError, ConfigError.
    """
    if not is_used(found):
        return replace(NONE, granted=tuple(bundled))
    with opened(found) as store:
        return store.snapshot(bundled, local=found.takes_local_exceptions)


def written(each: Entry) -> dict[str, object]:
    """Return an exception as data."""
    return asdict(each)


def plain(each: Entry) -> object:
    """Return an exception as it reads back from JSON."""
    return json.loads(json.dumps(written(each)))


def read(text: str) -> Entry:
    """Return the exception in `text`. Raises ExceptionsError."""
    try:
        said = json.loads(text)
        people = {name: Person(**said.pop(name)) for name in ("requested_by", "approved_by", "closed_by")}
        return Entry(**{**said, "grant": Grant.of(said["grant"]), "state": State(said["state"]), **people})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExceptionsError(f"an exception in the store cannot be read: {error}. {HOW}") from error


def _event(until: int) -> str:
    return "shortened" if until else "ended"


def _log_name(found: Config) -> str:
    """Return what the log calls itself: no line or checkpoint of it passes for one of the attempt log's chain."""
    return f"{configuration.node(found)[:53]}.exceptions"


def _sign(key_file: Path, statement: str, comment: str) -> str:
    from blocker.evidence import keys  # cryptography takes its time to load

    return keys.signer(key_file)(statement, comment)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ExceptionsError(f"{text!r} is not the number of an exception. `blocker exceptions list` shows them.")
    return int(text)
