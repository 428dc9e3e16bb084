"""Plain domains, one a line: each name covers everything below it, `@@name` is an exception, `#` begins a comment."""

import re
from collections.abc import Iterable
from typing import Final

from blocker.lists import row
from blocker.lists.formats.draft import MAX_TEXT, NAME, Draft, plain_key

_PLAIN: Final = re.compile(NAME).fullmatch


def read(lines: Iterable[bytes], draft: Draft) -> None:
    """Read lower-case `lines` into `draft`."""
    flags, keep, number_of = draft.flags, draft.keys.append, draft.rows.append
    for number, line in enumerate(lines, 1):
        # The hot line of the whole compiler: 1.4 us a name, half of it for the key.
        if len(line) <= MAX_TEXT and _PLAIN(line):
            keep(plain_key(line))
            number_of(number << 16 | flags)
        elif line:
            read_line(number, line, draft)


def read_line(number: int, line: bytes, draft: Draft) -> None:
    """Read one line that is not just a name."""
    text = draft.text(number, line.partition(b"#")[0])
    if not text:
        return
    allow = text.startswith("@@")
    name = text[2:].lstrip() if allow else text
    name = name[2:] if name.startswith("*.") else name.removeprefix(".")
    draft.keep(number, name, row.ALLOW if allow else 0)
