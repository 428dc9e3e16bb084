"""Adblock-style rules: the part that speaks of names, as AdGuard Home and Pi-hole read it.

`||name^` is the name and everything below it, `|name^` and a plain name are the name alone, `||*.name^` what lies
below it, a `|` at the end changes nothing, `@@` before a rule makes an exception. `$important` and `$badfilter` count
within their file; hosts lines may stand between. All else needs to see a web page or a whole address and is counted
as unsupported.
"""

import re
from array import array
from collections.abc import Iterable
from itertools import compress
from typing import Final

from blocker import names
from blocker.lists import row
from blocker.lists.formats import hosts
from blocker.lists.formats.draft import MAX_TEXT, NAME, Draft, plain_key

_PLAIN: Final = re.compile(rb"\|\|(" + NAME + rb")\^").fullmatch
_RULE: Final = re.compile(r"(?P<lead>\|\|?)?(?P<star>\*\.)?(?P<name>[^\s/^|*$:?=&,~]+)(?P<end>\^\|?|\|)?").fullmatch
_PAGE: Final = re.compile(r"#[@?$%]{0,2}#|\$@?\$")  # hides parts of pages, or runs scripts in them
_REACH: Final = row.ALLOW | row.EXACT | row.BELOW

_Rule = tuple[bytes, int, bool]  # key, flags that say what it reaches, important


def read(lines: Iterable[bytes], draft: Draft) -> None:
    """Read lower-case `lines` into `draft`."""
    flags, keep, number_of = draft.flags, draft.keys.append, draft.rows.append
    reader = _Reader(draft)
    for number, line in enumerate(lines, 1):
        if (found := _PLAIN(line)) and len(line) <= MAX_TEXT + 3:
            keep(plain_key(found[1]))
            number_of(number << 16 | flags)
        elif line:
            reader.read_line(number, line)
    reader.settle()


class _Reader:
    """Reads the lines that are not just `||name^`, and remembers what they say about others."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._important: set[int] = set()  # positions in draft.keys
        self._cancelled: set[_Rule] = set()

    def read_line(self, number: int, line: bytes) -> None:
        draft = self._draft
        text = draft.text(number, line)
        if text.startswith(("!#include", "!#if")):  # rules are missing here, or are not meant for all
            draft.unsupported(number, f"{text!r} is an order to a browser's blocker, which is not followed")
            return
        if not text or text.startswith(("!", "#", "[")):
            return
        first, *more = text.split(maxsplit=1)
        if more and hosts.is_address(first):
            hosts.read_line(number, line, draft)
        elif _PAGE.search(text):
            draft.unsupported(number, f"{text!r} is about the inside of a web page")
        elif text.removeprefix("@@").startswith("/"):
            draft.unsupported(number, f"{text!r} is a regular expression or a path, not a name")
        else:
            self._rule(number, text)

    def _rule(self, number: int, text: str) -> None:
        pattern, _, said = text.removeprefix("@@").partition("$")
        options = set(said.split(",")) if said else set[str]()
        if beyond := sorted(options - {"important", "badfilter"}):
            self._draft.unsupported(number, f"{text!r}: ${beyond[0]} is not something that a name alone can tell")
            return
        found = _RULE(pattern.strip())
        if found is None:
            self._beyond(number, text, pattern)
            return
        lead, star, name, end = found.group("lead", "star", "name", "end")
        if hosts.is_address(name) or name.startswith(("-", ".")):
            self._draft.unsupported(number, f"{text!r} is not about a whole name")
        elif star:
            self._keep(number, text, name, row.BELOW, options)
        elif lead == "||":
            self._keep(number, text, name, 0, options)
        elif bool(lead) == bool(end):
            self._keep(number, text, name, row.EXACT, options)
        else:  # `name^` and `|name` match inside of other names too
            self._draft.unsupported(number, f"{text!r} is a part of a name; write ||name^")

    def _beyond(self, number: int, text: str, pattern: str) -> None:
        if any(char in pattern for char in "*/:?=&~"):
            what = "a wildcard inside a name" if "*" in pattern else "a web address, not a name"
            self._draft.unsupported(number, f"{text!r} is {what}")
        else:
            self._draft.bad(number, f"{text!r} is not a rule. Write ||name^ or @@||name^")

    def _keep(self, number: int, text: str, name: str, reach: int, options: set[str]) -> None:
        draft = self._draft
        reach |= row.ALLOW if text.startswith("@@") else 0
        at = len(draft.keys)
        draft.keep(number, name, reach)
        if len(draft.keys) == at:
            return
        if "badfilter" in options:
            self._cancelled.add((draft.keys.pop(), draft.rows.pop() & _REACH, "important" in options))
        elif "important" in options:
            self._important.add(at)

    def settle(self) -> None:
        """Take out the rules that `$badfilter` cancels, and the exceptions that an `$important` block overrides."""
        draft = self._draft
        if not self._cancelled and not self._important:
            return
        important = [at for at in self._important if not draft.rows[at] & row.ALLOW]
        strong = {draft.keys[at] for at in important if not draft.rows[at] & row.EXACT}
        alone = {draft.keys[at] for at in important}
        keep = bytearray(b"\1") * len(draft.keys)
        for at, key in enumerate(draft.keys):
            reach = draft.rows[at] & _REACH
            if (key, reach, at in self._important) in self._cancelled:
                keep[at] = 0
            elif reach & row.ALLOW and at not in self._important:
                above = any(upper[::-1] in strong for upper in names.parents(key[::-1]))
                keep[at] = not (above or (reach & row.EXACT and key in alone))
        draft.keys = list(compress(draft.keys, keep))
        draft.rows = array("Q", compress(draft.rows, keep))
