"""The attempt log and the query log: journal records in, one line of JSON each out.

Knows nothing of what a record is about: its `tail` is ready made (events.tail). Built for speed, since a full
query log has a line for each query: see the comments, and the figures in tests/bench/results.md.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from blocker.config import Evidence, Log
from blocker.events import ATTEMPT, QUERY
from blocker.evidence.chain import Place
from blocker.evidence.writer import Chained
from blocker.sinks import privacy
from blocker.sinks.logfile import Destination, LogFile, Stdout
from blocker.sinks.region import Record

_MAX_CLIENTS: Final = 65536  # texts kept; some 10 MB


class QueryLog:
    """Writes records where the configuration wants them. `write` never raises."""

    def __init__(
        self, log: Log, evidence: Evidence | None = None, node: str = "", copies: Path = Path("checkpoints")
    ) -> None:
        """Take the section `log`, and `evidence` if the attempts of `node` are to be a chain.

        `copies` is the file that takes a copy of every checkpoint. Raises ConfigError when the key of hashed
        addresses, or the one that signs checkpoints, is not there.
        """
        self.chained: Chained | None = None  # the attempts, if they are a chain
        self._end = b',"node":"%b"}\n' % node.encode() if node else b"}\n"
        self._shown = privacy.shown(log)
        self._clients: dict[bytes, bytes] = {}
        self._second = -1
        self._time = b""
        self._destinations: list[tuple[int, Destination]] = []  # journal flags, and where such records go
        self._chained_flags = 0
        self._kept: Destination | None = None  # the one of the chain
        if log.attempts == log.queries:  # then a record that belongs into both is written once
            self._add(ATTEMPT | QUERY, log.attempts, log)
        else:
            self._add(ATTEMPT, log.attempts, log)
            self._add(QUERY, log.queries, log)
        if evidence is not None and evidence.chain and log.attempts != "off":
            flags, destination = self._destinations.pop(0)
            self._chained_flags = flags
            sign = None
            if evidence.key_file is not None:
                from blocker.evidence import keys  # cryptography: not for those who only fork us

                sign = keys.signer(evidence.key_file)
            path = None if log.attempts == "stdout" else Path(log.attempts)
            self.chained = Chained(destination, path, evidence, node, copies, sign)
            self._kept = destination

    @property
    def dropped(self) -> int:
        """Lines that could not be written."""
        return sum(destination.dropped for destination in self._all())

    def begin(self, now: float) -> None:
        """Open the files: that one cannot be written must be said before the first attempt is lost to it."""
        for _, destination in self._destinations:
            destination.write((), now)

    def is_ready(self, now: float) -> bool:
        """Tell whether it is worth offering records: evidence that cannot be written waits in the journals."""
        return self.chained is None or self.chained.is_ready(now)

    def write(self, records: Sequence[Record], now: float, journal: bytes = b"") -> int:
        """Write `records` of one journal at unix time `now`, one write per destination.

        Returns how many, from the first on, are done with; the others wait until evidence can be written again.
        """
        if self.chained is not None:
            records = self._write_chained(self.chained, records, now, journal)
        for flags, destination in self._destinations:
            end = self._end if flags & ATTEMPT else b"}\n"
            if lines := self._lines(records, flags, end):
                destination.write(lines, now)
        return len(records)

    def tick(self, now: float) -> None:
        """Do what time brings, records or not."""
        if self.chained is not None:
            self.chained.tick(now)

    def reopen(self) -> None:
        """Look anew for the files; others have moved them. May be called by another thread."""
        for destination in self._all():
            destination.reopen()

    def hurry(self) -> None:
        """Try what failed once more, whatever its pause: the end is near."""
        for destination in self._all():
            destination.hurry()

    def close(self, now: float) -> None:
        """Close the files at unix time `now`, the chain of evidence with a last checkpoint."""
        if self.chained is not None:
            self.chained.close(now)
        for destination in self._all():
            destination.close()

    def _all(self) -> Iterator[Destination]:
        if self._kept is not None:
            yield self._kept
        for _, destination in self._destinations:
            yield destination

    def _write_chained(
        self, chained: Chained, records: Sequence[Record], now: float, journal: bytes
    ) -> Sequence[Record]:
        """Write the attempts among `records`, and return those records that are done with."""
        chosen = [record for record in records if record.flags & self._chained_flags]
        if not chosen:
            return records
        places = [Place(journal, record.end) for record in chosen]
        taken = chained.write(self._lines(chosen, self._chained_flags, b""), places, now)
        if taken == len(chosen):
            return records
        return [record for record in records if record.end < chosen[taken].end]

    def _add(self, flags: int, where: str | Path, log: Log) -> None:
        if where == "stdout":
            self._destinations.append((flags, Stdout()))
        elif where != "off":
            self._destinations.append((flags, LogFile(Path(where), log.rotation)))

    def _lines(self, records: Iterable[Record], wanted: int, end: bytes) -> list[bytes]:
        found: list[bytes] = []
        add = found.append
        clients, last, begin = self._clients, self._second, self._time
        for flags, when, client, tail, _ in records:
            if not flags & wanted:
                continue
            second = int(when)
            if second != last:
                begin = b'{"time":"%b.' % time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
                last = second
            middle = clients.get(client)
            if middle is None:
                middle = self._client(client)
            add(b"%b%06d%b%b%b" % (begin, (when - second) * 1e6, middle, tail, end))
        self._second, self._time = last, begin
        return found

    def _client(self, client: bytes) -> bytes:
        """Return and keep what stands between the time and the tail of a client's lines."""
        if len(self._clients) >= _MAX_CLIENTS:
            self._clients.clear()
        made = self._clients[client] = b'Z","client":"%b",' % self._shown(client).encode()
        return made
