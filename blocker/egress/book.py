"""What each device may reach, and until when: the gate's own copy of the kernel's sets, which says what to change.

Pure: time is an argument, in seconds of a clock that never goes back. Bounded: a device that was told very much loses
what it was told longest ago, and where all devices together hold too much, the one that holds most does.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

_SHARE: Final = (
    8  # the part that goes at once, so that not every new pair has workers forget what they know of a device
)


class Pair(NamedTuple):
    """A device and where it may connect; with one of each IP version it is kept for the device's other addresses."""

    device: bytes
    address: bytes


class Book:
    """The pairs that are open."""

    def __init__(self, per_device: int, most: int) -> None:
        """Hold `per_device` pairs of one device and `most` altogether."""
        self.per_device = per_device
        self.most = most
        self.pairs = 0
        self._devices: dict[bytes, dict[bytes, float]] = {}  # until when, what was said longest ago first
        self._looked_at: list[bytes] = []  # devices that `expire` has still to look at

    def __contains__(self, pair: Pair) -> bool:
        return pair.address in self._devices.get(pair.device, {})

    def open(self, pair: Pair, until: float) -> bool:
        """Let `pair` be open until then, if it is not for longer; tell whether that is news to the kernel."""
        held = self._devices.setdefault(pair.device, {})
        former = held.pop(pair.address, None)  # and back at the end: it was said just now
        if former is None:
            self.pairs += 1
        held[pair.address] = until if former is None else max(until, former)
        return former is None or former < until

    def close(self, pairs: Iterable[Pair]) -> None:
        """Forget pairs, as far as they are known."""
        for pair in pairs:
            held = self._devices.get(pair.device, {})
            if held.pop(pair.address, None) is not None:
                self._left(pair.device, held, 1)

    def surplus(self, device: bytes) -> list[Pair]:
        """Forget what is too much after `device` was told something, and return it."""
        found = []
        if (excess := len(self._devices.get(device, ())) - self.per_device) > 0:
            found += self._forget_oldest(device, excess + self.per_device // _SHARE)
        if self.pairs > self.most:
            found += self._make_room()
        return found

    def expire(self, now: float, most: int) -> int:
        """Forget what has ended, which the kernel did by itself, and return how much; looks at `most` devices."""
        forgotten = 0
        if not self._looked_at:
            self._looked_at = list(self._devices)
        for _ in range(min(most, len(self._looked_at))):
            device = self._looked_at.pop()
            held = self._devices.get(device, {})
            ended = [address for address, until in held.items() if until <= now]
            for address in ended:
                del held[address]
            if ended:
                self._left(device, held, len(ended))
            forgotten += len(ended)
        return forgotten

    def of(self, device: bytes) -> Iterator[tuple[bytes, float]]:
        """Yield where `device` may connect, and until when."""
        yield from self._devices.get(device, {}).items()

    def clear(self) -> None:
        """Forget everything."""
        self._devices.clear()
        self.pairs = 0

    def _make_room(self) -> list[Pair]:
        """Forget an eighth of all, always of the device that holds most then; of equals, of who came first.

        At once: who pretends to be very many devices would else have all of them compared for each new pair.
        """
        found: list[Pair] = []
        goal = self.most - self.most // _SHARE
        largest = [(-len(held), order, device) for order, (device, held) in enumerate(self._devices.items())]
        heapq.heapify(largest)
        while self.pairs > goal:
            less, order, device = largest[0]
            found += self._forget_oldest(device, max(1, -less // _SHARE))
            if left := len(self._devices.get(device, ())):
                heapq.heapreplace(largest, (-left, order, device))
            else:
                heapq.heappop(largest)
        return found

    def _forget_oldest(self, device: bytes, count: int) -> list[Pair]:
        held = self._devices[device]
        found = [Pair(device, address) for address, _ in zip(held, range(count), strict=False)]
        for pair in found:
            del held[pair.address]
        self._left(device, held, len(found))
        return found

    def _left(self, device: bytes, held: dict[bytes, float], gone: int) -> None:
        self.pairs -= gone
        if not held:
            del self._devices[device]
