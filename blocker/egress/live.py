"""Packets of several interfaces at once, as they come. A shell around rings."""

import select
from collections.abc import Iterator, Sequence
from typing import Final

from blocker.egress import packets
from blocker.egress.packets import Fragment, Packet
from blocker.egress.ring import Ring

_AGAIN: Final = 1.0  # seconds until an interface that is not there is looked for again


class Live:
    """What some interfaces bring."""

    def __init__(self, rings: Sequence[Ring]) -> None:
        self._rings = rings
        self._poll = select.poll()
        for ring in rings:
            self._poll.register(ring.fileno(), select.POLLIN | select.POLLERR)
        self._by_number = {ring.fileno(): ring for ring in rings}
        self._look_at = 0.0

    def packets(self, seconds: float) -> Iterator[Packet | Fragment]:
        """Yield what has come, having waited for it up to `seconds`."""
        for number, events in self._poll.poll(seconds * 1000):
            ring = self._by_number[number]
            if events & select.POLLERR:
                ring.gone()
            for data in ring.packets():
                if (packet := packets.read_ip(data, 0)) is not None:
                    yield packet

    def look(self, now: float) -> None:
        """Take note of losses, and attach to interfaces that are there again, at monotonic time `now`."""
        if now < self._look_at:
            return
        self._look_at = now + _AGAIN
        for ring in self._rings:
            ring.count()
            if not ring.bound:
                ring.bind()

    @property
    def lost(self) -> int:
        """Packets that found no room."""
        return sum(ring.lost for ring in self._rings)

    @property
    def seen(self) -> int:
        """Packets that the kernel let through."""
        return sum(ring.seen for ring in self._rings)

    @property
    def missing(self) -> list[str]:
        """Return the interfaces that are not there."""
        return [ring.interface for ring in self._rings if not ring.bound]
