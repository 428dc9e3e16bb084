"""What upstreams said, for as long as they said so. Policy-free: every hit is inspected again by the line.

Pure: time is an argument, in whole seconds of a clock that never goes back. Bounded in bytes; the entry
that goes first is the oldest that was not asked for since it was last looked at (second chance).
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from blocker.answer import aged
from blocker.wire.constants import NOERROR, NXDOMAIN, SERVFAIL
from blocker.wire.response import Response

_OVERHEAD: Final = 600  # octets an entry costs beside its bytes ...
_PART: Final = 90  # ... and for each record, address and alias (measured: 681 in all with one, 780 with an alias)
NOTHING_SAID: Final = Response(SERVFAIL, SERVFAIL, (0, 0, 0), b"", (), None, 0, None, False, (), (), False, b"")
"""What is kept where no upstream said anything (RFC 9520 §2)."""
_SLACK: Final = 1000  # replaced entries that may wait in the queue, beside as many as there are others
_PREFETCH_SHARE: Final = 10  # the last tenth of a lifetime
_PREFETCH_LEAST: Final = 9  # seconds: a shorter life is not worth refreshing


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's bounds; seconds, except `size` in octets."""

    size: int = 64 << 20
    min_ttl: int = 0
    max_ttl: int = 86400
    max_negative_ttl: int = 3600
    failure_ttl: int = 5
    stale_for: int = 86400
    prefetch: bool = True


class Entry:  # written out: the generated __init__ would stay uncompiled
    """One kept response."""

    __slots__ = (
        "asked", "expires", "key", "passed", "refresh", "response", "retry", "size", "stored",
    )  # fmt: skip

    def __init__(self, key: bytes, response: Response, stored: int, expires: int, refresh: int, size: int) -> None:
        self.key = key
        self.response = response
        self.stored = stored  # second
        self.expires = expires  # second from which it is stale
        self.refresh = refresh  # second from which one more hit should ask upstream anew
        self.size = size  # octets
        self.asked: bool = False
        self.passed: Any = None  # the policy that inspected it last and found nothing
        # Second until which a stale entry is given at once, its upstreams having failed (RFC 8767 §5).
        self.retry: int = 0


def lifetime(response: Response, limits: Limits) -> int:
    """Return the seconds `response` may be kept; 0: not at all (it failed oddly, or has no TTL to go by).

    The least TTL of a positive answer; the SOA's of a negative one (RFC 2308 §5), without SOA none; a
    failure as configured (RFC 9520 §3.2).
    """
    if response.rcode == SERVFAIL:
        return limits.failure_ttl
    if response.rcode not in (NOERROR, NXDOMAIN):
        return 0
    if response.rcode == NXDOMAIN or not response.answered:
        if response.negative_ttl is None or response.least_ttl is None:
            return 0
        return min(max(min(response.negative_ttl, response.least_ttl), limits.min_ttl), limits.max_negative_ttl)
    if response.least_ttl is None:
        return 0
    return min(max(response.least_ttl, limits.min_ttl), limits.max_ttl)


class Cache:
    """Responses by question (`Query.key`)."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.size = 0  # octets, estimated
        self.evicted = 0
        self._entries: dict[bytes, Entry] = {}
        # Oldest first; what was replaced meanwhile is still in it. A dict knows its oldest key too, but looks
        # for it through everything that was deleted before it.
        self._queue: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes, now: int) -> Entry | None:
        """Return what is kept for `key`; the caller compares `expires` and `refresh` with `now`.

        A stale entry is returned as long as RFC 8767 allows, for use when the upstreams fail.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires + self.limits.stale_for <= now:
            self._drop(key)
            return None
        entry.asked = True
        return entry

    def put(self, key: bytes, response: Response, now: int) -> Entry | None:
        """Keep `response`, its TTLs brought within the limits; return its entry, or None if it is not kept.

        A failure never displaces an answer that can still be given stale (RFC 8767 §4).
        """
        seconds = lifetime(response, self.limits)
        if not seconds:
            return None
        limits = self.limits
        if response.rcode == SERVFAIL:
            former = self._entries.get(key)
            if former is not None and former.response.rcode != SERVFAIL and limits.stale_for:
                former.retry = now + seconds
                return None
        elif response.least_ttl is not None:
            ceiling = limits.max_ttl if response.answered else seconds
            if response.greatest_ttl > ceiling or response.least_ttl < limits.min_ttl:
                response.sections = _within(response, limits.min_ttl, ceiling)
        if key in self._entries:
            self._drop(key)
        refresh = now + seconds
        if self.limits.prefetch and seconds > _PREFETCH_LEAST:
            refresh -= seconds // _PREFETCH_SHARE
        parts = len(response.ttl_offsets) + len(response.addresses) + len(response.aliases)
        size = _OVERHEAD + _PART * parts + len(key) + len(response.sections)
        entry = Entry(key, response, now, now + seconds, refresh, size)
        self._entries[key] = entry
        self._queue.append(entry)
        self.size += entry.size
        if len(self._queue) > 2 * len(self._entries) + _SLACK:  # else what was replaced would stay for ever
            self._queue = deque(each for each in self._queue if self._entries.get(each.key) is each)
        if self.size > self.limits.size:
            self._evict()
        return entry

    def look_again(self) -> None:
        """Have each response inspected again, and told as news, at its next hit."""
        for entry in self._entries.values():
            entry.passed = None

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._queue.clear()
        self.size = 0

    def _drop(self, key: bytes) -> None:
        self.size -= self._entries.pop(key).size

    def _evict(self) -> None:
        while self.size > self.limits.size and self._entries:
            entry = self._queue.popleft()
            if self._entries.get(entry.key) is not entry:
                continue
            if entry.asked:
                entry.asked = False
                self._queue.append(entry)
            else:
                self._drop(entry.key)
                self.evicted += 1


def _within(response: Response, floor: int, ceiling: int) -> bytes:
    """Return the sections with every TTL brought to `floor` at least and `ceiling` at most, in seconds."""
    sections = response.sections
    low = [at for at in response.ttl_offsets if int.from_bytes(sections[at : at + 4]) < floor]
    high = [at for at in response.ttl_offsets if int.from_bytes(sections[at : at + 4]) > ceiling]
    return aged(aged(sections, low, 0, ceiling=floor), high, 0, ceiling=ceiling)
