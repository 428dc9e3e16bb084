"""Wildcard domains: `*.name` lines as Blocky and others read them, for the name itself and everything below it."""

import re
from collections.abc import Iterable
from typing import Final

from blocker.lists.formats import domains
from blocker.lists.formats.draft import MAX_TEXT, NAME, Draft, plain_key

_WILD: Final = re.compile(rb"\*\." + NAME).fullmatch


def read(lines: Iterable[bytes], draft: Draft) -> None:
    """Read lower-case `lines` into `draft`; a name without a star means the same."""
    flags, keep, number_of = draft.flags, draft.keys.append, draft.rows.append
    for number, line in enumerate(lines, 1):
        if len(line) <= MAX_TEXT and _WILD(line):
            keep(plain_key(line[2:]))
            number_of(number << 16 | flags)
        elif line:
            domains.read_line(number, line, draft)
