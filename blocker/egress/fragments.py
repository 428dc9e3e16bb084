"""Puts fragments of IP packets together (RFC 791 §3.2, RFC 8200 §4.5). Pure, and bounded for each sender and for all.

As the kernel of a gateway does it, which passes on what it has put together: where fragments overlap in part, what has
come of their packet is refused (RFC 5722). Where one says something else of the same octets than another, either may be
the one that is never heard of again, so that each reading is a packet (octets.py).
"""

from typing import Final

from blocker.egress import packets
from blocker.egress.octets import Readings
from blocker.egress.packets import Fragment, Packet

_AGE: Final = 60.0  # seconds; kernels wait for 30 (IPv4) or 60
_MAX_PACKET: Final = 65_535  # octets
_PACKETS: Final = 256  # of one sender that are in pieces; the oldest make room. Linux has lost them by then, of IPv4
_OCTETS: Final = 2 << 20  # of one sender
_ALL_OCTETS: Final = 64 << 20  # of all, and
_SENDERS: Final = 16_384  # of these; beyond, all is forgotten


class _Pieces:
    """A packet, as far as it has come."""

    __slots__ = ("_end", "_had", "began", "readings")

    def __init__(self, now: float) -> None:
        self.began = now
        self.readings = Readings(_MAX_PACKET)
        self._end = _MAX_PACKET + 1  # where the packet ends, once that is known
        self._had: list[tuple[int, int]] = []

    def take(self, piece: Fragment) -> bool:
        """Take a piece; return whether it fits: it overlaps none in part, and goes no further than the last."""
        begin, end = piece.offset, piece.offset + len(piece.data)
        if not any(first <= begin and end <= last for first, last in self._had):
            if any(begin < last and first < end for first, last in self._had):
                return False
            self._had.append((begin, end))
        if not piece.more:
            if self._end <= _MAX_PACKET and self._end != end:
                return False
            self._end = end
        self.readings.feed(begin, piece.data)
        return all(last <= self._end for _, last in self._had)

    @property
    def is_whole(self) -> bool:
        return self.readings.end == self._end


class _Sender:
    """What has come from one address."""

    __slots__ = ("held", "packets")

    def __init__(self) -> None:
        self.packets: dict[bytes, _Pieces] = {}  # the oldest first
        self.held = 0  # octets

    def forget(self, key: bytes) -> None:
        self.held -= self.packets.pop(key).readings.size


class Fragments:
    """The packets of a network that are still in pieces."""

    def __init__(self) -> None:
        self._senders: dict[bytes, _Sender] = {}
        self._held = 0  # octets
        self._look_at = 0.0
        self.lost = 0  # packets that were refused, were never whole, or were forgotten for want of room

    def take(self, piece: Fragment, now: float) -> list[Packet]:
        """Take a piece at monotonic time `now`, seconds; return the packet that is whole by it, in each reading."""
        if now >= self._look_at:
            self._look_at = now + 1
            self._expire(now)
        sender = self._senders.setdefault(piece.source, _Sender())
        held = sender.held
        found = self._taken(sender, piece, now)
        self._held += sender.held - held
        if not sender.packets:
            del self._senders[piece.source]
        if self._held > _ALL_OCTETS or len(self._senders) > _SENDERS:
            self.lost += sum(len(each.packets) for each in self._senders.values())
            self._senders.clear()
            self._held = 0
        return found

    def _taken(self, sender: _Sender, piece: Fragment, now: float) -> list[Packet]:
        pieces = sender.packets.get(piece.key)
        if pieces is None:
            pieces = sender.packets[piece.key] = _Pieces(now)
        former = pieces.readings.size
        fits = pieces.take(piece)
        sender.held += pieces.readings.size - former
        if not fits:
            self.lost += 1
            sender.forget(piece.key)
            return []
        if pieces.is_whole:
            sender.forget(piece.key)
            found = (packets.joined(piece, data) for data in pieces.readings.beginnings())
            return [packet for packet in found if packet is not None]
        while len(sender.packets) > _PACKETS or sender.held > _OCTETS:
            self.lost += 1
            sender.forget(next(iter(sender.packets)))
        return []

    def _expire(self, now: float) -> None:
        for source, sender in tuple(self._senders.items()):
            held = sender.held
            for key in [key for key, pieces in sender.packets.items() if now - pieces.began >= _AGE]:
                self.lost += 1
                sender.forget(key)
            self._held -= held - sender.held
            if not sender.packets:
                del self._senders[source]
