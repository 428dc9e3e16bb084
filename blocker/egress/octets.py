"""Puts octets together that come in pieces: in any order, twice, overlapping. Pure, and bounded.

Whoever wants to hide what it says lets pieces contradict each other: one that its server never hears, and one that it
does. Nobody here can know which, so each reading is kept, and what any of them says counts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final, Self

MOST: Final = 8  # readings; of more, that in which each first word counts, and that in which each last one does
_MAX_RUNS: Final = 1024  # with gaps between them; what would begin another one is passed over


class Readings:
    """The first octets of something, as every reading has them."""

    __slots__ = ("_changed", "_limit", "_newest", "_readings")

    def __init__(self, limit: int) -> None:
        """Keep the first `limit` octets."""
        self._limit = limit
        self._readings = [_Reading()]
        self._newest = self._readings[0]  # in which the last word on an octet counts; in the first one, the first
        self._changed = self._readings

    def feed(self, at: int, piece: bytes) -> bool:
        """Take the octets from number `at` on; return whether any reading has more, or others, at its beginning."""
        if at + len(piece) > self._limit:
            piece = piece[: max(0, self._limit - at)]
        if not piece:
            self._changed = []
            return False
        if len(self._readings) == 1 and self._readings[0].append(at, piece):
            self._changed = self._readings
            return True
        self._changed = []
        for reading in tuple(self._readings):
            if reading.contradicts(at, piece):
                newest = reading is self._newest
                if len(self._readings) < MOST:
                    rival = self._found(reading.with_instead(at, piece))
                    if newest:
                        self._newest = rival
                elif newest:
                    reading.replace(at, piece)
                    self._changed.append(reading)
                    continue
            if reading.fill(at, piece):
                self._changed.append(reading)
        return bool(self._changed)

    def _found(self, rival: "_Reading") -> "_Reading":
        """Return the reading that says the same as `rival`: itself, if there is none yet."""
        for each in self._readings:
            if each.octets == rival.octets and each.edges == rival.edges:
                return each
        self._readings.append(rival)
        self._changed.append(rival)
        return rival

    def beginnings(self, *, changed: bool = False) -> Iterator[bytes]:
        """Yield what each reading has without a gap; with `changed`, those alone that the last piece changed."""
        for reading in self._changed if changed else self._readings:
            yield bytes(reading.octets[: reading.end])

    def seal(self) -> None:
        """Take nothing any more that lies behind what is there; only what contradicts it."""
        self._limit = self.end

    @property
    def agree(self) -> bool:
        """Whether nothing was contradicted so far."""
        return len(self._readings) == 1

    @property
    def size(self) -> int:
        """How many octets are held, gaps among them."""
        return sum(len(reading.octets) for reading in self._readings)

    @property
    def end(self) -> int:
        """How far the reading that has most goes without a gap."""
        return max(reading.end for reading in self._readings)


class _Reading:
    """One way to put the pieces together."""

    __slots__ = ("edges", "octets")

    def __init__(self) -> None:
        self.octets = bytearray()
        self.edges: list[int] = []  # where what we have begins, ends, begins again, ends again

    @property
    def end(self) -> int:
        return self.edges[1] if self.edges and not self.edges[0] else 0

    def append(self, at: int, piece: bytes) -> bool:
        """Put `piece` behind all there is, if it belongs there: by far the most do."""
        if at != len(self.octets) or len(self.edges) > 2 or self.end != at:
            return False
        self.octets += piece
        self.edges = [0, len(self.octets)]
        return True

    def contradicts(self, at: int, piece: bytes) -> bool:
        """Tell whether `piece` says something else than we have."""
        return any(
            had and self.octets[start:end] != piece[start - at : end - at]
            for start, end, had in self._parts(at, at + len(piece))
        )

    def with_instead(self, at: int, piece: bytes) -> Self:
        """Return another reading, where `piece` is right."""
        other = type(self)()
        other.octets, other.edges = self.octets.copy(), self.edges.copy()
        other.replace(at, piece)
        return other

    def replace(self, at: int, piece: bytes) -> None:
        """Put `piece` over what is there."""
        self.fill(at, piece)
        self.octets[at : at + len(piece)] = piece

    def fill(self, at: int, piece: bytes) -> bool:
        """Put `piece` where nothing is; return whether more is there without a gap."""
        behind, former = at + len(piece), self.end
        first, last = bisect_left(self.edges, at), bisect_right(self.edges, behind)
        if first == last and not first % 2 and len(self.edges) >= 2 * _MAX_RUNS:
            return False
        if (missing := behind - len(self.octets)) > 0:
            self.octets += bytes(missing)
        for start, end, had in self._parts(at, behind):
            if not had:
                self.octets[start:end] = piece[start - at : end - at]
        # A border that lies inside of what we have is none any more.
        self.edges[first:last] = [at] * (not first % 2) + [behind] * (not last % 2)
        return self.end > former

    def _parts(self, at: int, behind: int) -> Iterator[tuple[int, int, bool]]:
        """Yield the parts of a range that we have, and those that we do not."""
        number = bisect_right(self.edges, at)
        while at < behind:
            end = min(self.edges[number], behind) if number < len(self.edges) else behind
            yield at, end, bool(number % 2)
            at = end
            number += 1
