"""Puts the first octets of one direction of a TCP connection in order. Pure, and bounded.

Segments may be lost, doubled, overlap, overtake or contradict each other (octets.py). An octet that is sent as urgent
is taken out of the stream by most receivers, so that the stream is read with it and without it.
"""

from collections.abc import Iterator
from typing import Final

from blocker.egress.hello.seen import LIMIT
from blocker.egress.octets import Readings

_MAX_URGENT: Final = 16  # octets
_HALF: Final = 1 << 31  # sequence numbers run round (RFC 9293 §3.4)
_WHOLE: Final = 1 << 32


class Stream:
    """The beginning of a stream, whose first octet has the sequence number `base`."""

    __slots__ = ("_readings", "_shifted", "_urgent", "base")

    def __init__(self, base: int) -> None:
        self.base = base
        self._readings = Readings(LIMIT)
        self._urgent: set[int] = set()
        self._shifted = False  # by the last segment another octet is out of band

    def feed(self, sequence: int, payload: bytes, urgent: int = -1) -> bool:
        """Take a segment; return whether there is something else to read.

        Octet number `urgent` of it, or of what follows it, is out of band; less than zero: none is.
        """
        at = distance(self.base, sequence)
        if at < 0:  # before the beginning: a keep-alive, or a segment of another connection
            at, payload, urgent = 0, payload[-at:], urgent + at
        new = urgent >= 0 and len(self._urgent) < _MAX_URGENT and at + urgent not in self._urgent
        if new:
            self._urgent.add(at + urgent)
        self._shifted = new
        return self._readings.feed(at, payload) or new

    def news(self) -> Iterator[bytes]:
        """Yield what is there without a gap, in every way to read it that the last segment has changed."""
        for data in self._readings.beginnings(changed=not self._shifted):
            yield data
            if self._urgent:
                yield bytes(octet for at, octet in enumerate(data) if at not in self._urgent)

    def seal(self) -> None:
        """Take nothing any more but what contradicts what is there."""
        self._readings.seal()

    @property
    def is_plain(self) -> bool:
        """Whether there is one way to read it so far."""
        return self._readings.agree and not self._urgent

    @property
    def size(self) -> int:
        """How many octets are held."""
        return self._readings.size

    @property
    def end(self) -> int:
        """How many of them are in order."""
        return self._readings.end


def distance(base: int, sequence: int) -> int:
    """Return how far `sequence` lies behind `base`; less than zero: before it."""
    return (sequence - base + _HALF) % _WHOLE - _HALF
