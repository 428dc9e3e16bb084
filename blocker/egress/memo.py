"""What a worker knows the kernel to let through, so that an answer that changes nothing there need not wait.

Pure. It may know less than the kernel, never more for longer than it takes to be told (`Forget`).
"""

from collections.abc import Iterable
from typing import Final

_MOST: Final = 200_000  # answers; full: forgotten all at once, which costs one round trip each

Addresses = tuple[bytes, ...]


class Memo:
    """Until when each client reaches the addresses of an answer; seconds of a clock that never goes back."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._size = 0
        self._clients: dict[bytes, dict[Addresses, float]] = {}

    def until(self, client: bytes, addresses: Addresses) -> float:
        """Return until when; 0: nothing is known."""
        known = self._clients.get(client)
        return 0.0 if known is None else known.get(addresses, 0.0)

    def put(self, client: bytes, addresses: Addresses, until: float) -> None:
        """Take note of what the kernel was told."""
        if self._size >= self._most:
            self.clear()
        known = self._clients.setdefault(client, {})
        self._size += addresses not in known
        known[addresses] = until

    def forget(self, clients: Iterable[bytes]) -> None:
        """Forget what is known of `clients`."""
        for client in clients:
            self._size -= len(self._clients.pop(client, ()))

    def clear(self) -> None:
        """Forget everything."""
        self._clients.clear()
        self._size = 0
