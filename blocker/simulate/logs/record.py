"""What every reader of a log yields, and what it says of the lines it could not read. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

EXAMPLES: Final = 3  # bad lines shown per log
BATCH: Final = 4096  # queries yielded at once
_SHOWN: Final = 80  # characters of a bad line that are shown


class Query(NamedTuple):
    """One query of one client."""

    time: str  # UTC, `2026-11-23T21:37:51.935964Z`: sorts as text; empty: the log does not say
    client: str  # as the log has it: an address, a prefix or a hash
    qname: str  # lower case, no trailing dot
    qtype: str
    via: str = ""  # aliases and addresses in the answer, parted by spaces, where the log knows them


Batches = Iterator[list[Query]]


class BadLineError(ValueError):
    """A line, row or frame that is not what its format promises; the text says why."""


@dataclass(slots=True)
class Tally:
    """What was read of one log."""

    file: str
    format: str = ""
    queries: int = 0
    ignored: int = 0  # lines that are in order, but about something else than a client's query
    bad: int = 0
    examples: list[str] = field(default_factory=list)  # `file:line: why`, of the first bad ones

    def refuse(self, number: int, why: str) -> None:
        """Count the bad line `number` (from 1)."""
        self.bad += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{self.file}:{number}: {why}")


def quoted(line: str) -> str:
    """Return the beginning of a stranger's line, safe to print."""
    return ascii(line if len(line) <= _SHOWN else line[:_SHOWN] + "...")
