"""Memory that a worker shares with the processes that count and log: tallies, histograms, journal.

One region per worker slot, mapped by the supervisor before the first fork. One process writes it (the
worker), one reads it (the control process), and neither waits for the other. A worker that is killed
loses no count and no attempt it had answered: both are written here before the answer leaves.

Layout: see the offsets below. All numbers are native 64-bit words unless said otherwise. The compiled
drain (serve/_udp.pyx) writes tallies, histograms and journal records too, by the same offsets.
"""

import mmap
import os
import struct
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from blocker.events import ATTEMPT, ENDINGS, SEARCH, Labels, Outcome
from blocker.fast import Given

WORD: Final = 8  # octets
BUCKETS: Final = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0,
)  # fmt: skip
"""Upper bounds of the duration histograms, seconds."""

HISTOGRAM_WORDS: Final = 32  # per ending: one word per bucket, one for what is above, the sum in ns last
MAX_CELLS: Final = 65536  # distinct outcomes, a hundred or more per group; more share cell 0
CELL_SIZE: Final = 192  # octets: the count, the text's length, the text
MAX_UPSTREAMS: Final = 128  # more than a configuration may name
UPSTREAM_SIZE: Final = 256  # octets: 16 words, then the name's length and the name
UPSTREAM_WORDS: Final = 16
JOURNAL_SIZE: Final = 8 << 20  # octets; a power of two
_SAFE: Final = JOURNAL_SIZE - (1 << 16)  # octets behind the head that nobody overwrites: a record is far below 64 KiB
RECORD_HEAD: Final = struct.Struct("=IHHd16s")  # length of all, flags, octets of the address, unix time, address

COUNTERS_AT: Final = 0
COUNTER_WORDS: Final = 512
HISTOGRAMS_AT: Final = COUNTERS_AT + COUNTER_WORDS * WORD
UPSTREAMS_AT: Final = HISTOGRAMS_AT + len(ENDINGS) * HISTOGRAM_WORDS * WORD
CELLS_AT: Final = UPSTREAMS_AT + MAX_UPSTREAMS * UPSTREAM_SIZE
JOURNAL_AT: Final = (CELLS_AT + MAX_CELLS * CELL_SIZE + 4095) // 4096 * 4096
REGION_SIZE: Final = JOURNAL_AT + JOURNAL_SIZE


class Word(IntEnum):
    """The single numbers of a region, by position."""

    HEAD = 0  # octets ever written to the journal
    TAIL = 1  # octets ever read from it; the reader's
    DROPPED = 2  # journal records that found no room
    CELLS = 3  # cells in use
    PULSE = 4  # monotonic ns of the worker's last sign of life
    GENERATION = 5  # of lists and policy, as loaded by the worker
    PID = 6
    STARTED = 7  # unix seconds
    READY = 8  # 1 once it serves
    CACHE_ENTRIES = 9
    CACHE_BYTES = 10
    CACHE_HITS = 11
    CACHE_MISSES = 12
    CACHE_EVICTED = 13
    PREFETCHES = 14
    COALESCED = 15  # queries that joined one already on its way
    IN_FLIGHT = 16
    TCP_CONNECTIONS = 17
    TCP_REFUSED = 18
    SEND_ERRORS = 19
    ERRORS = 20  # our bugs: exceptions nobody expected
    FAST_ANSWERS = 21  # answered by the drain
    LIMITED = 22  # refused by a limit
    MISMATCHED = 23  # upstream packets that matched nothing (RFC 5452 §9)
    RESTARTS = 24  # of this slot; the supervisor's
    RECEIVED_BYTES = 25
    SENT_BYTES = 26
    LOG_DROPPED = 27  # records of all workers that no log took; the reader's, in the first region only
    IDENTITY = 28  # 48 random bits: which memory this is
    CHAINED = 29  # lines of evidence written; the reader's, in the first region only, as the next ones
    CHECKPOINT = 30  # unix seconds of the last checkpoint
    UNCHAINED = 31  # 1: evidence is wanted, and the chain could not be joined to what was there
    EVIDENCE = 33  # 1: attempts are a chain
    LOSS_NOTED = 32  # lost records that the evidence tells of
    GATE_HELD = 34  # answers that waited for the kernel's sets
    GATE_NS = 35  # how long they waited altogether
    GATE_FAILED = 36  # answers for which the sets were not changed, or not in time
    GATE_PAIRS = 37  # what devices may reach; the egress process's, as the next one
    GATE_EVICTED = 38  # pairs that had to make room
    UNSEARCHED = 39  # octets of records that only the search wanted, and that found no room
    UNJUDGED = 40  # answers that were not told, since their name servers could not be learned
    MALFORMED = 64  # the first of the reasons below
    SINKHOLE = 96  # the first of what sinks/sinkhole.py counts, 32 at the most


MALFORMED_REASONS: Final = (
    "short", "response", "opcode", "counts", "label", "name", "truncated", "trailing", "opt", "option", "version",
    "other",
)  # fmt: skip


class UpstreamWord(IntEnum):
    """The numbers of one upstream, by position."""

    QUERIES = 0
    RESPONSES = 1
    TIMEOUTS = 2
    TCP_QUERIES = 3
    ERRORS = 4
    TIME_NS = 5  # sum of response times
    HEALTHY = 6  # 1 or 0
    SRTT_NS = 7  # smoothed response time
    REFUSALS = 8  # SERVFAIL, REFUSED and the like


class Record(NamedTuple):
    """One journal record."""

    flags: int
    when: float  # unix time
    client: bytes  # 4 or 16 octets
    tail: bytes
    end: int = 0  # octets ever written to the journal up to its end


class Followed(NamedTuple):
    """What one who does not hold the journal up has read of it."""

    records: list[Record]
    position: int  # where to go on
    missed: int  # octets that were overwritten before they were read


class Region:
    """One worker's shared memory, as its writer and its readers see it."""

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        """Map a new anonymous region (zeroed, inherited by forks), or look at `memory`."""
        self.memory = memory if memory is not None else mmap.mmap(-1, REGION_SIZE)
        self.view = memoryview(self.memory)
        self.words = self.view[COUNTERS_AT:HISTOGRAMS_AT].cast("Q")
        if memory is None:
            self.words[Word.IDENTITY] = int.from_bytes(os.urandom(6))
        self._histograms = self.view[HISTOGRAMS_AT:UPSTREAMS_AT].cast("Q")
        self._cells = self.view[CELLS_AT : CELLS_AT + MAX_CELLS * CELL_SIZE].cast("Q")
        self._outcomes: dict[Labels, Outcome] = {}
        self._read_to = self.words[Word.TAIL]
        self.report: Callable[[Exception], None] = lambda _error: None  # shows a bug in the operators' log
        self._reasons = {reason: Word.MALFORMED + at for at, reason in enumerate(MALFORMED_REASONS)}

    # What the worker writes.

    def adopt(self) -> None:
        """Take the region over in a new worker: what a former worker of the slot counted stays."""
        self._outcomes = {
            labels: Outcome(cell, ENDINGS.index(labels.ending), attempt=False)
            for cell, labels, _ in self.cells()
            if cell
        }

    def outcome(self, labels: Labels, *, attempt: bool) -> Outcome:
        """Return the outcome with these labels, making it the first time."""
        known = self._outcomes.get(labels)
        if known is not None and known.attempt == attempt:
            return known
        ending = ENDINGS.index(labels.ending)
        cell = known.cell if known is not None else self._new_cell(labels)
        made = self._outcomes[labels] = Outcome(cell, ending, attempt)
        return made

    def record(self, outcome: Outcome, client: bytes, duration: float, tail: bytes, flags: int) -> None:
        """Count one query that ended so after `duration` seconds, and journal it if `flags` say so."""
        self._count(outcome.cell, outcome.ending, duration)
        if flags:
            self.journal(flags, time.time(), client, tail)

    def give(self, given: Given, client: bytes, duration: float) -> None:
        """Count and journal an answer that the drain gave from a fast table."""
        self.words[Word.FAST_ANSWERS] += 1
        self._count(given.cell, given.ending, duration)
        if given.flags:
            self.journal(given.flags, time.time(), client, given.tail)

    def malformed(self, reason: str) -> None:
        """Count a packet that was not a query we answer."""
        self.words[self._reasons.get(reason, self._reasons["other"])] += 1

    def bug(self, error: Exception) -> None:
        """Count and show an exception that nobody expected."""
        self.words[Word.ERRORS] += 1
        self.report(error)

    def journal(self, flags: int, when: float, client: bytes, tail: bytes) -> None:
        """Append one record; without room it is dropped, and counted as dropped.

        Half of the journal is for attempts alone: while a log cannot be written, queries must not take their room.
        """
        size = (RECORD_HEAD.size + len(tail) + 7) & ~7
        head = self.words[Word.HEAD]
        at = head % JOURNAL_SIZE
        skipped = JOURNAL_SIZE - at if at + size > JOURNAL_SIZE else 0
        room = JOURNAL_SIZE if flags & ATTEMPT else JOURNAL_SIZE // 2
        if head + skipped + size - self.words[Word.TAIL] > room:
            if flags == SEARCH:
                self.words[Word.UNSEARCHED] += size
            else:
                self.words[Word.DROPPED] += 1
            return
        if skipped:  # a length of 0 tells the reader to go on at the start
            struct.pack_into("=I", self.view, JOURNAL_AT + at, 0)
            head += skipped
            at = 0
        start = JOURNAL_AT + at
        RECORD_HEAD.pack_into(self.view, start, RECORD_HEAD.size + len(tail), flags, len(client), when, client)
        self.view[start + RECORD_HEAD.size : start + RECORD_HEAD.size + len(tail)] = tail
        self.words[Word.HEAD] = head + size  # last: only now does the record exist

    def upstream(self, position: int, name: str) -> memoryview:
        """Return the words of the upstream at `position`, labelled `name` from now on."""
        start = UPSTREAMS_AT + position * UPSTREAM_SIZE
        text = name.encode()[:100]
        label = start + UPSTREAM_WORDS * WORD
        words = self.view[start:label].cast("Q")
        if bytes(self.view[label + 1 : label + 1 + len(text)]) != text or self.view[label] != len(text):
            for word in range(UPSTREAM_WORDS):
                words[word] = 0
            self.view[label] = len(text)
            self.view[label + 1 : label + 1 + len(text)] = text
        return words

    # What the readers see.

    def cells(self) -> Iterator[tuple[int, Labels, int]]:
        """Yield number, labels and count of each outcome; cell 0 counts what found no cell of its own."""
        for cell in range(self.words[Word.CELLS] + 1):
            start = CELLS_AT + cell * CELL_SIZE
            count = self._cells[cell * (CELL_SIZE // WORD)]
            size = int.from_bytes(self.view[start + WORD : start + WORD + 2], "little")
            text = bytes(self.view[start + WORD + 2 : start + WORD + 2 + size]).decode()
            labels = Labels._make(text.split("\t")) if text else Labels("other", "other", "other", "local")
            yield cell, labels, count

    def histogram(self, ending: int) -> tuple[list[int], float]:
        """Return the counts per bucket (not accumulated; the last is what was above) and the sum in seconds."""
        base = ending * HISTOGRAM_WORDS
        counts = list(self._histograms[base : base + len(BUCKETS) + 1])
        return counts, self._histograms[base + HISTOGRAM_WORDS - 1] / 1e9

    def upstreams(self) -> Iterator[tuple[str, list[int]]]:
        """Yield name and words of each upstream."""
        for position in range(MAX_UPSTREAMS):
            start = UPSTREAMS_AT + position * UPSTREAM_SIZE
            label = start + UPSTREAM_WORDS * WORD
            size = self.view[label]
            if size:
                yield bytes(self.view[label + 1 : label + 1 + size]).decode(), list(self.view[start:label].cast("Q"))

    def read(self, limit: int = 10_000) -> list[Record]:
        """Return the next records of the journal, `limit` at the most; they are read again until `release`."""
        found, self._read_to = self._records(self.words[Word.TAIL], self.words[Word.HEAD], limit)
        return found

    def _records(self, tail: int, head: int, limit: int) -> tuple[list[Record], int]:
        """Return the records from `tail` until `head`, `limit` at the most, and where the next one begins."""
        found: list[Record] = []
        while tail < head and len(found) < limit:
            at = tail % JOURNAL_SIZE
            start = JOURNAL_AT + at
            if at > JOURNAL_SIZE - RECORD_HEAD.size or not self.memory[start : start + 4].strip(b"\0"):
                tail += JOURNAL_SIZE - at
                continue
            size, flags, octets, when, client = RECORD_HEAD.unpack_from(self.view, start)
            text = self.memory[start + RECORD_HEAD.size : start + size]
            tail += (size + 7) & ~7
            found.append(Record(flags, when, client[:octets], text, tail))
        return found, tail

    def follow(self, position: int, limit: int = 10_000) -> Followed:
        """Read on from `position`, octets ever written, for one who may come late: the journal does not wait for it.

        What was overwritten meanwhile is missed.
        """
        head, tail = self.words[Word.HEAD], self.words[Word.TAIL]
        start = position if tail <= position <= head or 0 <= head - position <= _SAFE else tail
        found, end = self._records(start, head, limit)
        if self.words[Word.HEAD] - start > _SAFE and self.words[Word.TAIL] > start:  # it may have changed while we read
            return Followed([], self.words[Word.TAIL], self.words[Word.TAIL] - position)
        return Followed(found, end, max(0, start - position))

    @property
    def head(self) -> int:
        """Octets ever written to the journal."""
        return self.words[Word.HEAD]

    @property
    def identity(self) -> bytes:
        """Which memory this is, 12 hexadecimal digits: a restart of the whole makes another."""
        return b"%012x" % self.words[Word.IDENTITY]

    def release(self, end: int | None = None) -> None:
        """Give back the room of what was read last: it is written, and survives whatever happens to us.

        `end` is that of the last record that is done with, if not all are.
        """
        self.words[Word.TAIL] = self._read_to if end is None else end

    def _count(self, cell: int, ending: int, duration: float) -> None:
        self._cells[cell * (CELL_SIZE // WORD)] += 1
        base = ending * HISTOGRAM_WORDS
        self._histograms[base + bisect_left(BUCKETS, duration)] += 1
        self._histograms[base + HISTOGRAM_WORDS - 1] += int(duration * 1e9)

    def _new_cell(self, labels: Labels) -> int:
        text = "\t".join(labels).encode()
        cell = self.words[Word.CELLS] + 1
        if cell >= MAX_CELLS or len(text) > CELL_SIZE - WORD - 2:
            return 0
        start = CELLS_AT + cell * CELL_SIZE + WORD
        self.view[start : start + 2] = len(text).to_bytes(2, "little")
        self.view[start + 2 : start + 2 + len(text)] = text
        self.words[Word.CELLS] = cell  # last: only now do readers look at it
        return cell
