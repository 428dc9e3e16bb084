"""Somebody else's list, read with tolerance: what cannot be used is skipped, counted and shown.

Decides which of a stranger's lines come into force: none that is malformed or beyond us, and none that would
block a public suffix or a name that must resolve. Where the file came from is none of its business.
"""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from itertools import compress
from pathlib import Path
from typing import Final

from blocker import addresses, names
from blocker.errors import ListError
from blocker.lists import ranges, row
from blocker.lists.formats import adblock, detect, dnsmasq, domains, hosts, rpz, wildcard
from blocker.lists.formats.draft import MAX_NAMES, MAX_PROBLEMS, Draft, NamesFile, lines_of
from blocker.lists.marked import MAX_SIZE
from blocker.lists.must_resolve import MustResolve
from blocker.lists.source import Entry
from blocker.policy import Scope, Trigger

AUTO: Final = "auto"
_READERS: Final[dict[str, tuple[Callable[[Iterable[bytes], Draft], None], Scope]]] = {
    "domains": (domains.read, Scope.SUFFIX),
    "hosts": (hosts.read, Scope.EXACT),
    "wildcard": (wildcard.read, Scope.SUFFIX),
    "adblock": (adblock.read, Scope.SUFFIX),
    "dnsmasq": (dnsmasq.read, Scope.SUFFIX),
    "rpz": (rpz.read, Scope.EXACT),
}
_REACH: Final = row.ALLOW | row.BELOW | row.EXACT
FORMATS: Final = (AUTO, *_READERS)


@dataclass(frozen=True, slots=True)
class FeedFile:
    """The copy of a feed on disk, and what the configuration says of it."""

    name: str  # the feed's name in the configuration
    app: str  # the app its names belong to, or their category
    path: Path  # the copy on disk
    format: str = AUTO  # one of FORMATS
    category: bool = False  # `app` is one: no decision bans it


@dataclass(frozen=True, slots=True)
class Rejected:
    """What could not be used of a feed, in lines."""

    bad: int = 0  # malformed
    unsupported: int = 0  # well formed, but beyond us
    refused: int = 0  # would block what must not be blocked
    samples: tuple[str, ...] = ()  # at most 20, `file:line: why`

    @property
    def total(self) -> int:
        """Return the number of lines."""
        return self.bad + self.unsupported + self.refused


def read(file: FeedFile, must: MustResolve) -> tuple[NamesFile, Rejected]:
    """Return the names in a feed's copy, and what could not be used of it.

    Raises ListError when it is no list at all: a web page, binary, empty, too large, or not one line that is a rule.
    """
    try:
        if file.path.stat().st_size > MAX_SIZE:
            raise ListError([f"{file.path}: the feed is larger than {MAX_SIZE >> 20} MiB. Use a smaller one."])
        written = file.path.read_bytes()
    except OSError as error:
        why = f"{file.path}: cannot be read: {error.strerror}. Check the path and its permissions."
        raise ListError([why]) from error
    return parse(written, file, must)


def parse(written: bytes, file: FeedFile, must: MustResolve) -> tuple[NamesFile, Rejected]:
    """Return the names in `written`, the content of a feed's copy, as `read` does."""
    if why := detect.refusal(written):
        raise ListError([f"{file.path}:1: {why}. Check the feed's address; the copy before it stays in force."])
    known = file.format if file.format != AUTO else detect.detect(written)
    reader, scope = _READERS[known]
    draft = Draft(str(file.path), row.FEED)
    if (lines := written.count(b"\n")) > MAX_NAMES:  # readers add the ordinary name of a line uncounted
        raise ListError([f"{file.path}:1: {lines} lines, and {MAX_NAMES} are the most. Use a smaller list."])
    reader(lines_of(written), draft)
    _refuse(draft, must)
    if not draft.keys and not draft.ranges and not draft.refused_lines:
        said = (draft.problems + draft.gaps)[:1] or ["it holds only comments"]
        how = f"not one line is a rule, read as {known}: {said[0]}"
        raise ListError([f"{file.path}:1: {how} Check the feed's address and format."])
    # What was refused is told first: somebody should look at why a list wants to block that.
    samples = [
        *draft.refusals[: MAX_PROBLEMS // 2],
        *draft.problems[: MAX_PROBLEMS // 2],
        *draft.gaps,
        *draft.problems,
        *draft.refusals,
    ]
    found = NamesFile(
        str(file.path),
        file.app,
        scope,
        draft.keys,
        draft.rows,
        tuple(draft.ranges),
        feed=file.name,
        format=known,
        category=file.category,
    )
    rejected = Rejected(
        draft.bad_lines, draft.unsupported_lines, draft.refused_lines, tuple(dict.fromkeys(samples))[:MAX_PROBLEMS]
    )
    return found, rejected


def _refuse(draft: Draft, must: MustResolve) -> None:
    """Take out what must not be blocked."""
    written, draft.ranges = draft.ranges, []
    for entry in written:
        if why := _why_not(entry):
            draft.refuse(entry.line, f"{entry.value} {why}")
        else:
            draft.ranges.append(entry)
    suspects = must.suspects(draft.keys) | draft.tops
    suspects |= {row.MARK + key for key in must.suspects([key.removeprefix(row.MARK) for key in draft.servers])}
    if not suspects:
        return
    weighed: dict[tuple[bytes, int], str] = {}  # a hostile list says the same a million times
    keep = bytearray(b"\1") * len(draft.keys)
    for at, key in enumerate(draft.keys):
        if key not in suspects:
            continue
        flags = draft.rows[at] & _REACH
        if (key, flags) not in weighed:
            weighed[key, flags] = _why(key.removeprefix(row.MARK), flags, must)
        if why := weighed[key, flags]:
            keep[at] = 0
            draft.refuse(
                row.unpack(draft.rows[at]).number, f"{names.to_text(key.removeprefix(row.MARK)[::-1])!r} {why}"
            )
    draft.keys = list(compress(draft.keys, keep))
    draft.rows = array("Q", compress(draft.rows, keep))


def _why_not(entry: Entry) -> str:
    """Return why answers that hold an address of the range, or come from one, must not be blocked; empty: they may."""
    if entry.allow or entry.trigger is Trigger.CLIENT_IP or not isinstance(entry.target, IPv4Network | IPv6Network):
        return ""
    if ranges.too_wide_of_others(entry.target):
        return "is too wide a range for a list of somebody else's"
    if entry.trigger is None and addresses.holds_private(entry.target):
        return "is a private network, as yours may be; protection.rebinding keeps public names from pointing there"
    return ""


def _why(key: bytes, flags: int, must: MustResolve) -> str:
    if flags & row.ALLOW:
        return ""
    return must.refuses(key, itself=not flags & row.BELOW, below=not flags & row.EXACT)
