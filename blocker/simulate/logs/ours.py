"""Our own attempt log and query log: DuckDB reads these lines itself, which is many times as fast as Python.

What it could not read it says by a NULL; `find_bad` then looks for the first such lines, for people. The notes of
a chain of evidence, and attempts outside DNS that named nothing, are in order, and no queries. What the self-test asks
is nobody's: in time it goes through whole lists, and each of their entries would look as if devices asked for it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Final

from blocker.config import SELFTEST
from blocker.simulate.logs.record import EXAMPLES, Tally, quoted

MAX_LINE: Final = 1 << 16  # octets of a line; ours are below 2,000
_FIELDS: Final = ("qname", "client")  # without these a line says nothing, ...
_OTHERS: Final = ("event", "destination")  # ... unless it is about something else


def select(files: Sequence[str]) -> str:
    """Return the SELECT of the query lines in `files`, as SQL texts of their names; bad lines have a NULL qname.

    What a line does not say is NULL too: turning it into a text here, line by line, would cost a quarter of the time.
    """
    return f"""
        SELECT time, client, "group" AS grp, via, CASE WHEN client IS NOT NULL THEN qname END AS qname
        FROM read_json([{", ".join(files)}], format = 'newline_delimited', ignore_errors = true,
                       maximum_object_size = {MAX_LINE},
                       columns = {{time: 'VARCHAR', client: 'VARCHAR', "group": 'VARCHAR', qname: 'VARCHAR',
                                  via: 'VARCHAR', event: 'VARCHAR', destination: 'VARCHAR'}})
        WHERE (qname IS NOT NULL OR (event IS NULL AND destination IS NULL))
          AND "group" IS DISTINCT FROM '{SELFTEST}'
    """  # noqa: S608 the names are ours: links in our own folder


def find_bad(stream: BinaryIO, tally: Tally) -> None:
    """Note the first bad lines of `stream` in `tally`, without counting them."""
    number = 0
    while len(tally.examples) < EXAMPLES and (line := stream.readline(MAX_LINE)):
        number += 1
        if (why := _bad(line)) is not None:
            tally.examples.append(f"{tally.file}:{number}: {why}")


def is_other(said: Mapping[str, object]) -> bool:
    """Tell whether a line is in order and about something else than a query."""
    return said.get("qname") is None and any(said.get(field) is not None for field in _OTHERS)


def _bad(line: bytes) -> str | None:
    if not line.strip():
        return None
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return f"not a line of JSON: {quoted(line.decode('utf-8', 'replace').strip())}"
    if not isinstance(said, dict):
        return "not an object of JSON"
    if is_other(said):
        return None
    missing = [field for field in _FIELDS if not isinstance(said.get(field), str)]
    return f"it has no {' and no '.join(missing)}" if missing else None
