"""The attempt log and the query log: journal records in, one line of JSON each out.

Knows nothing of what a record is about: its `tail` is ready made (events.tail). Built for speed, since a full
query log has a line for each query: see the comments, and the figures in tests/bench/results.md.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from blocker.config import Log
from blocker.events import ATTEMPT, QUERY
from blocker.sinks import privacy
from blocker.sinks.logfile import Destination, LogFile, Stdout
from blocker.sinks.region import Record

_MAX_CLIENTS: Final = 65536  # texts kept; some 10 MB


class QueryLog:
    """Writes records where the configuration wants them. `write` never raises."""

    def __init__(self, log: Log) -> None:
        """Take the section `log`. Raises ConfigError when the key of hashed addresses is not there."""
        self._shown = privacy.shown(log)
        self._clients: dict[bytes, bytes] = {}
        self._second = -1
        self._time = b""
        self._destinations: list[tuple[int, Destination]] = []  # journal flags, and where such records go
        if log.attempts == log.queries:  # then a record that belongs into both is written once
            self._add(ATTEMPT | QUERY, log.attempts, log)
        else:
            self._add(ATTEMPT, log.attempts, log)
            self._add(QUERY, log.queries, log)

    @property
    def dropped(self) -> int:
        """Lines that could not be written."""
        return sum(destination.dropped for _, destination in self._destinations)

    def write(self, records: Sequence[Record], now: float) -> None:
        """Write `records` at unix time `now`, one write per destination."""
        for flags, destination in self._destinations:
            if lines := self._lines(records, flags):
                destination.write(lines, now)

    def reopen(self) -> None:
        """Look anew for the files; others have moved them. May be called by another thread."""
        for _, destination in self._destinations:
            destination.reopen()

    def close(self) -> None:
        """Close the files."""
        for _, destination in self._destinations:
            destination.close()

    def _add(self, flags: int, where: str | Path, log: Log) -> None:
        if where == "stdout":
            self._destinations.append((flags, Stdout()))
        elif where != "off":
            self._destinations.append((flags, LogFile(Path(where), log.rotation)))

    def _lines(self, records: Iterable[Record], wanted: int) -> list[bytes]:
        found: list[bytes] = []
        add = found.append
        clients, last, begin = self._clients, self._second, self._time
        for flags, when, client, tail in records:
            if not flags & wanted:
                continue
            second = int(when)
            if second != last:
                begin = b'{"time":"%b.' % time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
                last = second
            middle = clients.get(client)
            if middle is None:
                middle = self._client(client)
            add(b"%b%06d%b%b}\n" % (begin, (when - second) * 1e6, middle, tail))
        self._second, self._time = last, begin
        return found

    def _client(self, client: bytes) -> bytes:
        """Return and keep what stands between the time and the tail of a client's lines."""
        if len(self._clients) >= _MAX_CLIENTS:
            self._clients.clear()
        made = self._clients[client] = b'Z","client":"%b",' % self._shown(client).encode()
        return made
