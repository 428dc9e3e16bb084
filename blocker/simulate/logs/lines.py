"""Text logs: lines of bounded length in, batches of queries out. Pure but for reading the stream it is given."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from blocker.simulate.logs.record import BATCH, BadLineError, Batches, Query, Tally, quoted

MAX_LINE: Final = 4096  # octets: a name of 255 octets, each escaped, and all that stands around it

Parse = Callable[[str], Query | None]
"""Returns the query on a line, None if it is about something else. Raises BadLineError."""

NAME: Final = r"(?P<qname>[!-~]{1,1004})"  # a name as logs write it: printable, odd octets escaped
CLIENT: Final = r"(?P<client>[0-9a-fA-F.:]{2,45})(?:%[\w.-]{1,16})?"


def read(stream: BinaryIO, parse: Parse, tally: Tally) -> Batches:
    """Yield the queries on the lines of `stream`; count the rest in `tally`."""
    batch: list[Query] = []
    for number, line in _lines(stream):
        try:
            if line is None:
                raise BadLineError(f"longer than {MAX_LINE} octets")
            query = parse(line)
        except BadLineError as error:
            tally.refuse(number, str(error))
            continue
        if query is None:
            tally.ignored += 1
            continue
        batch.append(query)
        if len(batch) == BATCH:
            tally.queries += BATCH
            yield batch
            batch = []
    tally.queries += len(batch)
    if batch:
        yield batch


def name(text: str) -> str:
    """Return a name of a log in our form: lower case, no trailing dot but the root's own."""
    return (text[:-1] if text.endswith(".") and not text.endswith("\\.") else text).lower() or "."


def unread(line: str, what: str) -> BadLineError:
    """Return the error for a line that is not of the format."""
    return BadLineError(f"not a line of {what}: {quoted(line)}")


def _lines(stream: BinaryIO) -> Iterator[tuple[int, str | None]]:
    """Yield each line that is not empty with its number; None in place of one that is too long."""
    number = 0
    while chunk := stream.readline(MAX_LINE + 1):
        number += 1
        if len(chunk) > MAX_LINE and not chunk.endswith(b"\n"):
            while (chunk := stream.readline(MAX_LINE + 1)) and not chunk.endswith(b"\n"):
                pass
            yield number, None
        elif line := chunk.decode("utf-8", "replace").strip():
            yield number, line
