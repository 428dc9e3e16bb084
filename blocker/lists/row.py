"""One entry as a number of 64 bits, so that a million of them are an array and not a million objects.

The upper 16 bits say which file, the next 32 which line (or, for an entry of a YAML list, which detail),
the lower 16 are flags.
"""

from typing import Final, NamedTuple

from blocker.policy import Action

MAX_FILES: Final = 1 << 16
MAX_LINES: Final = 1 << 32

EXACT: Final = 1  # the name alone; else also everything below it
PATTERN: Final = 2  # the key is a pattern's tail; the pattern is in the detail
ALLOW: Final = 4
DISABLED: Final = 8  # its switch is off: only `listed` shows it
GUARDED: Final = 16  # at or above a shared parent: never applied to aliases
DETAILED: Final = 32  # the middle number is a detail, not a line
BELOW: Final = 64  # everything below the name, but not itself (RPZ's `*.name`)
FEED: Final = 128  # somebody else's list: its exceptions reach names of feeds only

SHADOW: Final = 2048  # its list only tries it out
SERVER: Final = 4096  # about a zone's name servers; its key has MARK in front, apart from all names that are asked
MARK: Final = b"\xff"
_ANSWER_SHIFT: Final = 8  # three bits: the answer that the list itself asks for
_ANSWERS: Final = (  # only ever appended to
    None, Action.NXDOMAIN, Action.NODATA, Action.DROP, Action.SINKHOLE, Action.TCP_ONLY,
)  # fmt: skip
_ANSWER: Final = 7 << _ANSWER_SHIFT
_OVER_TCP: Final = _ANSWERS.index(Action.TCP_ONLY) << _ANSWER_SHIFT


class Row(NamedTuple):
    """An unpacked entry."""

    file: int
    number: int  # a line, or a detail if `flags` has DETAILED
    flags: int


def pack(number: int, flags: int, file: int = 0) -> int:
    """Return the entry as one number."""
    return file << 48 | number << 16 | flags


def unpack(row: int) -> Row:
    """Return the parts of what `pack` made."""
    return Row(row >> 48, row >> 16 & MAX_LINES - 1, row & 0xFFFF)


def answering(action: Action) -> int:
    """Return the flags of an entry whose list asks for `action`; ValueError if a row cannot say it."""
    return _ANSWERS.index(action) << _ANSWER_SHIFT


def answer_of(flags: int) -> Action | None:
    """Return the action that an entry's list asks for; None if it leaves it to the group."""
    return _ANSWERS[flags >> _ANSWER_SHIFT & 7]


def lets_through(row: int) -> bool:
    """Tell whether the entry is an exception, at least over TCP, and no block."""
    return bool(row & ALLOW) or row & _ANSWER == _OVER_TCP


def kind(row: int) -> int:
    """Return the entry without its line: plain entries of one file with the same flags are of one kind."""
    return row if row & DETAILED else row & ~(MAX_LINES - 1 << 16)
