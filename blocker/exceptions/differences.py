"""How the audit log's file, the lines that the store holds of it, and what the store says now are not the same."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from blocker.errors import ExceptionsError
from blocker.exceptions.entry import Entry, Grant
from blocker.exceptions.store import Store, plain


def differences(audit: Path, store: Store) -> Iterator[str]:
    """Yield what differs, and where. Raises ExceptionsError when one of them cannot be read."""
    try:
        there = audit.read_bytes().splitlines(keepends=True) if audit.exists() else []
    except OSError as error:
        raise ExceptionsError(f"{audit}: cannot be read: {error.strerror}. Run this as the blocker's user.") from error
    lines = store.lines()
    for number, (kept, written) in enumerate(zip_longest(lines, there), 1):
        if kept != written:
            what = "is missing" if written is None else "is not in the store" if kept is None else "was altered"
            yield f"{audit}:{number}: {what}"
    yield from _untold(lines, store.entries(every=True), store.bundled())


def _untold(lines: Sequence[bytes], entries: Sequence[Entry], bundled: Mapping[str, int]) -> Iterator[str]:
    """Yield what the store says now and the lines do not, and the other way round."""
    last: dict[str, Any] = {}
    ends: dict[str, int] = {}
    for line in lines:
        said = json.loads(line)
        if (exception := said.get("exception")) is not None:
            last[exception["grant"]["id"]] = exception
        if (brought := said.get("bundled")) is not None:
            grant = Grant.of(brought)
            ends[grant.identity] = grant.ends
    for each in entries:
        if last.pop(each.grant.id, None) != plain(each):
            yield f"exception {each.grant.id}: the store holds what no line of the log says"
    for missing in last:
        yield f"exception {missing}: the log knows it, and the store does not"
    for identity in sorted(ends.keys() | bundled.keys()):
        if ends.get(identity) != bundled.get(identity):
            yield f"exception {json.loads(identity)['id']}: the log and the store say different ends of it"
