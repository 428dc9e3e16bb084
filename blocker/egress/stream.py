"""Puts the first octets of one direction of a TCP connection in order. Pure, and bounded.

Segments may be lost, doubled, overlap or overtake each other. Where two say different things of the same octets the
first counts, as it does for most receivers.
"""

from typing import Final

from blocker.egress.hello.seen import LIMIT

_MAX_AHEAD: Final = 64  # segments that wait for those before them
_HALF: Final = 1 << 31  # sequence numbers run round (RFC 9293 §3.4)
_WHOLE: Final = 1 << 32


class Stream:
    """The beginning of a stream, whose first octet has the sequence number `base`."""

    __slots__ = ("_ahead", "base", "data")

    def __init__(self, base: int) -> None:
        self.base = base
        self._ahead: dict[int, bytes] = {}
        self.data = bytearray()  # in order, without gap

    def feed(self, sequence: int, payload: bytes) -> bool:
        """Take a segment; return whether more octets are in order than before."""
        at = (sequence - self.base) % _WHOLE
        if at >= _HALF:  # before the beginning: a keep-alive, or a segment of another connection
            behind = _WHOLE - at
            at, payload = 0, payload[behind:]
        if at > LIMIT or not payload:
            return False
        have = len(self.data)
        if at > have:
            if len(self._ahead) < _MAX_AHEAD and at + len(payload) <= 2 * LIMIT:
                self._ahead.setdefault(at, payload)
            return False
        self._append(at, payload)
        while self._ahead and (first := min(self._ahead)) <= len(self.data):
            self._append(first, self._ahead.pop(first))
        return len(self.data) > have

    def _append(self, at: int, payload: bytes) -> None:
        self.data += payload[len(self.data) - at : max(0, LIMIT - at)]
