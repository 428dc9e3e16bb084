"""A corpus that is no log: one name a line, `#` comments. Pure."""

import re
from typing import Final

from blocker.simulate.logs.lines import Parse, name, unread
from blocker.simulate.logs.record import Query
from blocker.simulate.logs.times import Clock

_NAME: Final = re.compile(r"(?P<qname>(?:(?![#/:,;\"'<>|])[!-~]){1,1004})(?:\s+#.*)?")


def looks(line: str) -> bool:
    """Tell whether `line` is of this format; a single word could also be anything else."""
    found = _NAME.fullmatch(line)
    return line.startswith("#") or (found is not None and "." in found["qname"])


def parser(_clock: Clock) -> Parse:
    """Return what reads a line."""

    def parse(line: str) -> Query | None:
        if line.startswith("#"):
            return None
        found = _NAME.fullmatch(line)
        if found is None:
            raise unread(line, "names, one a line")
        return Query("", "", name(found["qname"]), "")

    return parse
