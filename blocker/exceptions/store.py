"""Keeps exceptions in an SQLite file, and writes every change into an audit log that only grows.

A change and its line of the log are one transaction: the line stands in the store too, and what a crash or a full
disk kept from the log's file is appended the next time. Lines are a chain of hashes (evidence/chain.py), so that
`blocker evidence verify` finds what was altered; a store that is older than its log, put back from a copy perhaps,
is not believed: what was revoked would be in force again.
"""

import contextlib
import fcntl
import json
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from blocker import config as configuration
from blocker.config import Config
from blocker.errors import ConfigError, EvidenceError, ExceptionsError
from blocker.evidence import chain, checkpoint, resume
from blocker.evidence.chain import GENESIS, End
from blocker.exceptions import entry
from blocker.exceptions.entry import Entry, Grant, Person, State
from blocker.exceptions.snapshot import NONE, Snapshot

MAX_OPEN: Final = 1000  # exceptions requested or approved at one time: more are a policy, and belong into lists
_BUSY: Final = 20.0  # seconds to wait for others who write: a disk that is busy takes its time to bring it down
_AGAIN: Final = 0.02  # seconds until a lock is looked at again
_MODE: Final = 0o640
_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE exceptions (id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, ends INTEGER NOT NULL,
                         entry TEXT NOT NULL) STRICT;
CREATE INDEX by_state ON exceptions (state);
CREATE TABLE audit (seq INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT;
CREATE TABLE about (node TEXT NOT NULL) STRICT;
"""

Change = Callable[[Entry], Entry]


class Store:
    """The store; opened for one piece of work and closed again."""

    def __init__(self, file: Path, audit: Path, node: str) -> None:
        """Open the store in `file`, made if it is not there, with its log in `audit`. Raises ExceptionsError."""
        self._file = file
        self._audit = audit
        self._node = node.encode()
        with self._errors():
            new = not file.exists()
            self._db = sqlite3.connect(file, timeout=_BUSY, isolation_level=None)
            try:
                self._prepare_patiently(new=new)
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

    def snapshot(self) -> Snapshot:
        """Return what is approved now. Raises ExceptionsError for a store that is damaged, or older than its log."""
        with self._errors():
            logged = self._logged()
            self._db.execute("BEGIN")
            try:
                (sound,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
                if sound != "ok":
                    raise sqlite3.DatabaseError(sound)
                entries = self.entries()
                counts = dict(self._db.execute("SELECT state, count(*) FROM exceptions GROUP BY state").fetchall())
                end = self._end()
                self._check_log(logged, end)
            finally:
                self._db.execute("ROLLBACK")
        granted = tuple(each.grant for each in entries if each.state is State.APPROVED)
        return Snapshot(granted, end.next - 1, counts)

    def lines(self) -> list[bytes]:
        """Return the lines that the log must hold, in their order. Raises ExceptionsError."""
        with self._errors():
            return [line for (line,) in self._db.execute("SELECT line FROM audit ORDER BY seq")]

    # Changing.

    def add(self, asked: Entry, now: float) -> Entry:
        """Keep a new request, and return it with its number. Raises ExceptionsError."""
        with self._changing():
            (count,) = self._db.execute(
                "SELECT count(*) FROM exceptions WHERE state IN ('requested', 'approved')"
            ).fetchone()
            if count >= MAX_OPEN:
                raise ExceptionsError(
                    f"{count} exceptions are open, which is the most there may be. Revoke some, or change the lists."
                )
            cursor = self._db.execute(
                "INSERT INTO exceptions (state, ends, entry) VALUES (?, ?, '')", (asked.state, asked.grant.ends)
            )
            numbered = replace(asked, grant=replace(asked.grant, id=str(cursor.lastrowid)))
            self._put(numbered, "requested", now)
        self._publish()
        return numbered

    def change(self, number: str, event: str, change: Change, now: float, **more: object) -> Entry:
        """Replace the exception `number` by what `change` makes of it, told as `event`. Raises ExceptionsError."""
        with self._changing():
            former = self.entry(number)
            changed = change(former)
            if changed != former:
                self._put(changed, event, now, **more)
        self._publish()
        return changed

    def settle(self, now: float, ends: Mapping[str, float]) -> int:
        """Write down what time has ended by `now`, and return how many that are; `ends` are earlier ends, by id.

        From then on no clock brings them back. Raises ExceptionsError.
        """
        count = 0
        for each in self.entries():
            number, until = each.grant.id, min(each.grant.ends, math.floor(ends.get(each.grant.id, each.grant.ends)))
            if until <= now:
                self.change(number, "ended", partial(entry.end, now=int(now)), now)
            elif until < each.grant.ends:
                self.change(number, "shortened", partial(entry.shorten, ends=until), now, why="the clock was set back")
            else:
                continue
            count += 1
        return count

    @property
    def seq(self) -> int:
        """The number of the last change, -1 if there was none. Raises ExceptionsError."""
        with self._errors():
            return self._end().next - 1

    def _put(self, changed: Entry, event: str, now: float, **more: object) -> None:
        said = written(changed)
        self._db.execute(
            "UPDATE exceptions SET state = ?, ends = ?, entry = ? WHERE id = ?",
            (changed.state, changed.grant.ends, json.dumps(said), _number(changed.grant.id)),
        )
        self._note(event, now, **more, exception=said)

    def _note(self, event: str, now: float, **more: object) -> None:
        end = self._end()
        if end == GENESIS:
            (line,) = chain.joined(end, [checkpoint.note("start", now, version=1)], self._node, [None])
            self._db.execute("INSERT INTO audit VALUES (?, ?)", (end.next, line))
            end = chain.behind(line, end.next)
        (line,) = chain.joined(end, [checkpoint.note(event, now, **more)], self._node, [None])
        self._db.execute("INSERT INTO audit VALUES (?, ?)", (end.next, line))

    def _end(self) -> End:
        row = self._db.execute("SELECT seq, line FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        return chain.behind(row[1], row[0]) if row is not None else GENESIS

    # The log's file.

    def _logged(self) -> End:
        """Return where the log's file ends. Raises ExceptionsError, OSError."""
        tail = resume.tail([self._audit], self._node)
        if resume.is_foreign(self._audit):
            raise ExceptionsError(f"{self._audit}: does not end with a line of this log. {_HOW}")
        return tail.end if tail is not None else GENESIS

    def _check_log(self, at: End, end: End) -> End:
        """Return `at`, the log's end. Raises ExceptionsError unless it is one of the states up to `end` of the store.

        Who does not keep others from writing must look at the log first, and at the store then.
        """
        path = self._audit
        row = self._db.execute("SELECT line FROM audit WHERE seq = ?", (at.next - 1,)).fetchone()
        if at.next > end.next:
            raise ExceptionsError(
                f"{self._file}: is older than its log, {path}, which knows changes up to {at.next - 1} where the store"
                f" ends with {end.next - 1}. {_HOW}"
            )
        if at != GENESIS and (row is None or chain.behind(row[0], at.next - 1) != at):
            raise ExceptionsError(f"{path}: line {at.next - 1} is not what the store says that it is. {_HOW}")
        return at

    def _publish(self) -> None:
        """Append to the log's file what it does not hold yet."""
        with self._errors(), self._log_file() as descriptor:
            resume.untorn(self._audit)
            at = self._check_log(self._logged(), self._end())
            rows = self._db.execute("SELECT line FROM audit WHERE seq >= ? ORDER BY seq", (at.next,)).fetchall()
            text = b"".join(line for (line,) in rows)
            size = os.fstat(descriptor).st_size
            if os.write(descriptor, text) != len(text):
                os.ftruncate(descriptor, size)
                raise OSError(f"{self._audit}: no space left; the change is made, its line follows with the next one")
            os.fsync(descriptor)

    @contextlib.contextmanager
    def _log_file(self) -> Iterator[int]:
        descriptor = os.open(self._audit, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _give(descriptor, self._audit.parent)
            yield descriptor
        finally:
            os.close(descriptor)

    # SQLite.

    def _prepare_patiently(self, *, new: bool) -> None:
        """Prepare the file; who makes it in the same moment locks us out without SQLite's own patience."""
        deadline = time.monotonic() + _BUSY
        while True:
            try:
                return self._prepare(new=new)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(_AGAIN)

    def _prepare(self, *, new: bool) -> None:
        if self._db.execute("PRAGMA journal_mode").fetchone() != ("wal",):  # setting it would wait for everybody
            self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            with self._writing():
                if not self._db.execute("PRAGMA user_version").fetchone()[0]:
                    for statement in _TABLES.split(";\n"):
                        self._db.execute(statement)
                    self._db.execute("INSERT INTO about VALUES (?)", (self._node.decode(),))
                    self._db.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise ExceptionsError(f"{self._file}: is of version {version}; this blocker knows {_VERSION}. Update it.")
        # The log goes on under the name it began with, whatever the machine is called by now.
        self._node = self._db.execute("SELECT node FROM about").fetchone()[0].encode()
        if new:
            self._file.chmod(_MODE)
            with self._file.open("rb") as file:
                _give(file.fileno(), self._file.parent)

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
    def _changing(self) -> Iterator[None]:
        """Make a change, unless the log does not agree with the store, or cannot be written."""
        with self._errors(), self._writing():
            with self._log_file():
                resume.untorn(self._audit)
                self._check_log(self._logged(), self._end())
            yield

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
            raise ExceptionsError(f"{self._audit}: cannot be written: {why}. Check its folder and space.") from error


_HOW: Final = "Run: blocker exceptions verify"


def opened(found: Config) -> Store:
    """Return the store of a configuration, made if it is not there yet. Raises ExceptionsError, ConfigError."""
    file = configuration.exceptions_file(found)
    try:
        file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError([f"exceptions.file: {file.parent} cannot be made: {error.strerror}"]) from error
    return Store(file, configuration.exceptions_audit(found), configuration.node(found))


def snapshot(found: Config) -> Snapshot:
    """Return what the store of a configuration holds; where there is none, nothing. Raises ExceptionsError."""
    file, audit = configuration.exceptions_file(found), configuration.exceptions_audit(found)
    if not file.exists():
        if audit.exists():
            raise ExceptionsError(f"{file}: is gone, and its log, {audit}, is not. {_HOW}")
        return NONE
    with Store(file, audit, configuration.node(found)) as store:
        return store.snapshot()


def differences(audit: Path, lines: Sequence[bytes], entries: Sequence[Entry]) -> Iterator[str]:
    """Yield how the log's file is not what the store holds of it, and how the store is not what the log says.

    Raises ExceptionsError when the file cannot be read.
    """
    try:
        there = audit.read_bytes().splitlines(keepends=True) if audit.exists() else []
    except OSError as error:
        raise ExceptionsError(f"{audit}: cannot be read: {error.strerror}. Run this as the blocker's user.") from error
    for number, (kept, written_) in enumerate(zip_longest(lines, there), 1):
        if kept != written_:
            what = "is missing" if written_ is None else "is not in the store" if kept is None else "was altered"
            yield f"{audit}:{number}: {what}"
    last: dict[str, Any] = {}
    for line in lines:
        said = json.loads(line).get("exception")
        if said is not None:
            last[said["grant"]["id"]] = said
    for each in entries:
        if last.pop(each.grant.id, None) != json.loads(json.dumps(written(each))):
            yield f"exception {each.grant.id}: the store holds what no line of the log says"
    for missing in last:
        yield f"exception {missing}: the log knows it, and the store does not"


def written(each: Entry) -> dict[str, Any]:
    """Return an exception as plain data."""
    return asdict(each)


def read(text: str) -> Entry:
    """Return the exception in `text`. Raises ExceptionsError."""
    try:
        said = json.loads(text)
        people = {name: Person(**said.pop(name)) for name in ("requested_by", "approved_by", "closed_by")}
        return Entry(**{**said, "grant": Grant.of(said["grant"]), "state": State(said["state"]), **people})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExceptionsError(f"an exception in the store cannot be read: {error}. {_HOW}") from error


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ExceptionsError(f"{text!r} is not the number of an exception. `blocker exceptions list` shows them.")
    return int(text)


def _give(descriptor: int, folder: Path) -> None:
    """Give a file that root has made to the folder's owner, who must be able to go on with it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
