"""A checkpoint: a signed statement that a node's chain stood at this line, with this hash, at this time.

Pure. It is a line of the chain itself, and a copy of it goes into a file that is meant to leave the machine. What is
signed is the statement, text that minisign can check too; see docs/evidence.md.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from blocker.evidence import chain
from blocker.evidence.chain import End

_STATEMENT: Final = re.compile(
    r"blocker evidence checkpoint\n"
    r"node ([A-Za-z0-9._-]{1,64})\n"
    r"seq ([0-9]{1,18})\n"
    r"hash ([0-9a-f]{64})\n"
    r"time ([0-9T:.Z-]{20,30})\n"
    r"end (yes|no)\n"
)
_MARK: Final = b'"event":"checkpoint"'
LOST: Final = "lost"
_LOST_MARK: Final = b'"event":"lost"'
_HEADING: Final = "file"
_HEADING_MARK: Final = b'"event":"file"'


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint states; nothing of it is to be believed before its signature was checked."""

    node: str
    number: int  # of the last line that it covers
    hash: bytes  # of that line, 64 hexadecimal digits
    time: str  # UTC, ISO 8601
    final: bool  # the chain was closed in order: only the checkpoint itself follows
    statement: str  # the above, as it is signed
    signature: str = ""  # the text of a `.minisig` file; empty: not signed
    end: End | None = None  # of the chain, behind the checkpoint's own line


def statement(node: str, end: End, now: float, *, final: bool) -> str:
    """Return what is signed of a chain that stands at `end` at unix time `now`."""
    return (
        f"blocker evidence checkpoint\nnode {node}\nseq {end.next - 1}\nhash {end.hash.decode()}\n"
        f"time {time_text(now)}\nend {'yes' if final else 'no'}\n"
    )


def body(said: str, signature: str, now: float) -> bytes:
    """Return the line of a checkpoint up to what the chain adds."""
    return note("checkpoint", now, statement=said, **({"signature": signature} if signature else {}))


def note(event: str, now: float, **more: object) -> bytes:
    """Return a line of ours between the records, up to what the chain adds."""
    return json.dumps({"time": time_text(now), "event": event, **more}, separators=(",", ":"))[:-1].encode()


@dataclass(frozen=True, slots=True)
class Heading:
    """What the first line of a later file states: enough to check the file without those before it."""

    before: bytes  # hash of the line before, 64 hexadecimal digits
    kept_from: int  # number of the first line that the node still keeps: older ones it has removed itself


def heading(before: bytes, kept_from: int, now: float) -> bytes:
    """Return the first line of a later file, up to what the chain adds."""
    return note(_HEADING, now, before=before.decode(), kept_from=kept_from)


def parse_heading(line: bytes) -> Heading | None:
    """Return the heading in `line`; None: it is none, or cannot be read."""
    if line.find(_HEADING_MARK, 0, 80) < 0:
        return None
    try:
        said = json.loads(line)
        return Heading(said["before"].encode(), int(said["kept_from"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def lost(line: bytes) -> int:
    """Return how many records the note in `line` says were lost; 0 if it says nothing of it."""
    if line.find(_LOST_MARK, 0, 80) < 0:
        return 0
    try:
        return max(0, int(json.loads(line)["records"]))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return 0


def time_text(now: float) -> str:
    """Return unix time `now` as records write it."""
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def is_one(line: bytes) -> bool:
    """Tell whether `line` looks like a checkpoint; a record's own words cannot: their quotes are escaped."""
    return line.startswith(b'{"time":"') and line.find(_MARK, 0, 80) > 0


def parse(line: bytes) -> Checkpoint | None:
    """Return the checkpoint in `line` (without its line end); None: there is none, or it cannot be read."""
    entry = chain.parse(line)
    try:
        said = json.loads(line)
        text, signature = said["statement"], said.get("signature", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if entry is None or not isinstance(text, str) or not isinstance(signature, str):
        return None
    match = _STATEMENT.fullmatch(text)
    if match is None:
        return None
    node, number, own, time, final = match.groups()
    return Checkpoint(
        node, int(number), own.encode(), time, final == "yes", text, signature, End(entry.number + 1, entry.hash)
    )
