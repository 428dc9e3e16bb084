"""Puts an accepted name into an operator's list, with who decided it, when, why and on what it rests.

The list is `candidates-APP.yaml` in a folder of lists. It is read as the server reads it before it takes its place, and
it takes it whole; what stood there before can be put back.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from blocker.candidates.finding import Finding
from blocker.errors import CandidateError
from blocker.lists import marked, source
from blocker.lists.must_resolve import MustResolve
from blocker.names import from_text, hostname, to_text
from blocker.policy import Scope

_LONGEST: Final = 1000  # characters of a note (lists/form.py)
_HEAD: Final = """\
# Names that were found in what clients ask, and accepted by people: blocker candidates accept. One decision a line.
app: {app}
entries:
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided, when and why."""

    by: str
    reason: str
    when: float  # unix seconds

    def __post_init__(self) -> None:
        for what, text in (("--by", self.by), ("--reason", self.reason)):
            if not text.strip() or not text.isprintable() or len(text) > 200:
                raise CandidateError(f"{what}: write up to 200 characters on one line; it is kept as provenance.")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let nobody else accept into `folder` meanwhile: of two who add a line each would take the other's away.

    Raises CandidateError.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def file_in(folder: Path, app: str) -> Path:
    """Return the list in `folder` that takes accepted names of `app`."""
    return folder / f"candidates-{app}.yaml"


def refuse(name: str, must: MustResolve) -> str:
    """Return `name` as lists write it. Raises CandidateError or NameFormatError when it must not be blocked."""
    wire = hostname(name)
    if why := must.refuses(wire[::-1]):
        raise CandidateError(f"{name!r} {why}. Accept a narrower name.")
    if (needed := must.covering(wire)) is not None:
        raise CandidateError(f"{name!r} lies below {needed}. Only lists.overrides passes it.")
    return to_text(wire)


def add(path: Path, app: str, name: str, scope: Scope, decision: Decision, finding: Finding | None) -> bytes | None:
    """Add an entry to the list at `path`, and return what stood there before; None: there was no such file.

    Raises CandidateError when the file cannot be written, ListError when what stands there is no list of `app`.
    """
    try:
        before = path.read_bytes() if path.exists() else None
    except OSError as error:
        raise _unwritable(path, error) from error
    text = (before or _HEAD.format(app=app).encode()).decode("utf-8-sig")
    if before is not None:
        there = source.interpret(marked.parse(text, str(path)), built_in=False)
        if there.app != app:
            raise CandidateError(f"{path}: is a list of {there.app!r}, not of {app!r}. Name another file with --to.")
        if any(entry.target == from_text(name) and entry.scope is scope and not entry.allow for entry in there.entries):
            raise CandidateError(f"{path}: {name!r} stands there already.")
    text = text if text.endswith("\n") else text + "\n"
    text += f"  - {{value: {_quoted(name)}, kind: {scope}, note: {_quoted(_note(decision, finding))}}}\n"
    source.interpret(marked.parse(text, str(path)), built_in=False)  # an entry that lands elsewhere is a mistake here
    write(path, text.encode())
    return before


def remove(path: Path, name: str) -> bytes | None:
    """Take the entries for `name` out of the list at `path`, and return what stood there before; None: it has none.

    The file goes with its last entry. Raises CandidateError or ListError when it cannot be read or written.
    """
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(path, error) from error
    text = before.decode("utf-8-sig")
    there = source.interpret(marked.parse(text, str(path)), built_in=False)
    gone = {entry.line for entry in there.entries if entry.target == from_text(name) and not entry.allow}
    if not gone:
        return None
    if len(gone) == len(there.entries):
        write(path, None)
        return before
    kept = "".join(line for at, line in enumerate(text.splitlines(keepends=True), 1) if at not in gone)
    left = source.interpret(marked.parse(kept, str(path)), built_in=False)
    if len(left.entries) != len(there.entries) - len(gone):
        raise CandidateError(f"{path}: {name!r} does not stand on a line of its own. Take it out by hand, and reload.")
    write(path, kept.encode())
    return before


def write(path: Path, content: bytes | None) -> None:
    """Put the file in place whole, or take it away if there is no `content`. Raises CandidateError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        if content is None:
            path.unlink(missing_ok=True)
            return
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _note(decision: Decision, finding: Finding | None) -> str:
    when = f"{datetime.fromtimestamp(decision.when, UTC):%Y-%m-%dT%H:%MZ}"
    said = "; ".join(each.says for each in finding.evidence) if finding is not None else ""
    evidence = (
        f"found by {said} (weight {finding.score:.2f})" if finding is not None and said else "not found by itself"
    )
    return f"accepted {when} by {decision.by}: {decision.reason}; {evidence}"[:_LONGEST]


def _quoted(text: str) -> str:
    return json.dumps("".join(each if each.isprintable() else "?" for each in text), ensure_ascii=False)


def _unwritable(path: Path, error: OSError) -> CandidateError:
    return CandidateError(f"{path}: cannot be written: {error.strerror}. Check its owner, or name a file with --to.")
