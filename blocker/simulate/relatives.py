"""Queries in logs as the search for relatives takes them: decided anew by the lists in force, in the logs' order.

What a log does not know of answers, aliases and addresses, it cannot tell; ours tells it of attempts.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from blocker import names
from blocker.candidates.seen import Seen, of_verdict
from blocker.config import SELFTEST
from blocker.errors import LogError, NameFormatError
from blocker.policy import Verdict
from blocker.simulate.logs import detect
from blocker.simulate.logs.detect import Format, Packing
from blocker.simulate.logs.ours import MAX_LINE, is_other
from blocker.simulate.logs.record import BATCH, BadLineError, Batches, Query, Tally, quoted
from blocker.simulate.sides import Side, read_via

_REMEMBERED: Final = 65536  # verdicts


def read(path: Path, stated: Format | None, side: Side, tally: Tally) -> Iterator[Seen]:
    """Yield what was asked in the log at `path`, of the format `stated` or seen by its content. Raises LogError."""
    if detect.packing(path) is not Packing.ZSTD and detect.is_empty(path):
        tally.format = "empty"
        return
    found = stated or detect.detect(path)
    if found is Format.NAMES:
        raise LogError(f"{path}: names without clients and times are no log: nobody can tell what belongs together.")
    tally.format = found

    @lru_cache(_REMEMBERED)
    def verdict(qname: str, via: str, client: str) -> tuple[names.Name, Verdict]:
        name = names.from_text(qname)
        return name, side.verdict(side.policy_for(client, ""), name, read_via(via))

    for batch in _ours(path, tally) if found is Format.BLOCKER else detect.read(path, found, tally):
        for query in batch:
            try:
                name, said = verdict(query.qname, query.via, query.client)
                when = datetime.fromisoformat(query.time).timestamp()
            except (NameFormatError, ValueError):
                continue
            yield of_verdict(when, query.client.encode(), name, said)


def _ours(path: Path, tally: Tally) -> Batches:
    if detect.packing(path) is Packing.ZSTD:
        raise LogError(f"{path}: zstd cannot be read here. Unpack it first: zstd -d {path}")
    batch: list[Query] = []
    with detect.opened(path) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE), b""), 1):
            try:
                query = _query(line)
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
    yield batch


def _query(line: bytes) -> Query | None:
    """Return the query on `line`; None: it is about something else. Raises BadLineError."""
    try:
        said = json.loads(line)
        if is_other(said) or "destination" in said or said.get("group") == SELFTEST:
            return None  # a connection that named a host asked for nothing
        found = Query(said["time"], said["client"], said["qname"], said["qtype"], said.get("via", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadLineError(f"not a line of ours: {quoted(line.decode('utf-8', 'replace').strip())}") from error
    if not all(isinstance(each, str) for each in found):
        raise BadLineError("a field that must be a text is none")
    return found
