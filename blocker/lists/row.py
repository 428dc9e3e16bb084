"""One entry as a number of 64 bits, so that a million of them are an array and not a million objects.

The upper 16 bits say which file, the next 32 which line (or, for an entry of a YAML list, which detail),
the lower 16 are flags.
"""

from typing import Final, NamedTuple

MAX_FILES: Final = 1 << 16
MAX_LINES: Final = 1 << 32

EXACT: Final = 1  # the name alone; else also everything below it
PATTERN: Final = 2  # the key is a pattern's tail; the pattern is in the detail
ALLOW: Final = 4
DISABLED: Final = 8  # its switch is off: only `listed` shows it
GUARDED: Final = 16  # at or above a shared parent: never applied to aliases
DETAILED: Final = 32  # the middle number is a detail, not a line


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
