"""Who may come in: connections at once and connections a second, of one client and of all. Pure; time is an argument.

Clients are known by their address, IPv6 ones by its first 64 bits: that much every one of them has to itself.
A client that is over its own limits uses up nothing of what all share.
"""

from enum import StrEnum
from typing import Final

from blocker.config import SinkholeLimits

MAX: Final = 1 << 62  # no limit
BURST: Final = 2.0  # seconds' worth of new connections altogether that may come at once
BURST_PER_CLIENT: Final = 4.0  # the same of one client: a browser opens six at a time
_REMEMBERED: Final = 16384  # clients; then those with nothing on their account are forgotten
_V6_PREFIX: Final = 8  # octets


class Limit(StrEnum):
    """Which limit was reached."""

    CLIENT_CONNECTIONS = "client-connections"
    CLIENT_RATE = "client-rate"
    CONNECTIONS = "connections"
    RATE = "rate"


class Bucket:
    """Tokens that come back with time; one is taken for each connection."""

    __slots__ = ("_at", "_size", "_tokens")

    def __init__(self, size: float, now: float) -> None:
        """Begin full, with `size` tokens."""
        self._size = size
        self._tokens = size
        self._at = now

    def take(self, rate: float, now: float) -> bool:
        """Take a token if there is one; `rate` come back each second."""
        self._fill(rate, now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def give_back(self) -> None:
        """Return a token that was taken in vain."""
        self._tokens += 1

    def is_full(self, rate: float, now: float) -> bool:
        """Tell whether nothing is known of it that a new one would not say."""
        self._fill(rate, now)
        return self._tokens >= self._size

    def _fill(self, rate: float, now: float) -> None:
        self._tokens = min(self._size, self._tokens + (now - self._at) * rate)
        self._at = now


class Door:
    """Counts who is in, and lets in who may come."""

    def __init__(self, limits: SinkholeLimits, now: float, most: int = MAX) -> None:
        """Begin with nobody in, at monotonic time `now`.

        Whatever `limits` say, no more than `most` connections: what descriptors there are for.
        """
        self.limits = limits
        self._most = most
        self._open: dict[bytes, int] = {}
        self._count = 0
        self._all = Bucket(limits.rate * BURST, now)
        self._clients: dict[bytes, Bucket] = {}

    @property
    def count(self) -> int:
        """How many are in."""
        return self._count

    def admit(self, address: bytes, now: float) -> Limit | None:
        """Let one more connection of `address` (4 or 16 octets) in, or say which limit it has reached."""
        client = _client(address)
        mine = self._open.get(client, 0)
        if mine >= self.limits.per_client:
            return Limit.CLIENT_CONNECTIONS
        bucket = self._bucket(client, now)
        if not bucket.take(self.limits.rate_per_client, now):
            return Limit.CLIENT_RATE
        if self._count >= min(self.limits.connections, self._most):
            bucket.give_back()
            return Limit.CONNECTIONS
        if not self._all.take(self.limits.rate, now):
            bucket.give_back()
            return Limit.RATE
        self._open[client] = mine + 1
        self._count += 1
        return None

    def leave(self, address: bytes) -> None:
        """Take note that a connection which was let in is gone."""
        client = _client(address)
        self._count -= 1
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]

    def _bucket(self, client: bytes, now: float) -> Bucket:
        bucket = self._clients.get(client)
        if bucket is None:
            if len(self._clients) >= _REMEMBERED:
                self._forget(now)
            bucket = self._clients[client] = Bucket(self.limits.rate_per_client * BURST_PER_CLIENT, now)
        return bucket

    def _forget(self, now: float) -> None:
        rate = self.limits.rate_per_client
        self._clients = {client: each for client, each in self._clients.items() if not each.is_full(rate, now)}
        if len(self._clients) >= _REMEMBERED:  # so many at once: what all share is the limit that counts
            self._clients.clear()


def _client(address: bytes) -> bytes:
    return address[:_V6_PREFIX] if len(address) == 16 else address
