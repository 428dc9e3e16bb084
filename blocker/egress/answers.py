"""Remembers which addresses were told to which device, from the answers that pass on the wire. Pure, and bounded.

For "connection without resolution" where nobody else knows: on a mirror port, in a file of packets. The gate has the
workers' own word (egress/gate.py).
"""

import struct
from typing import Final

from blocker.errors import WireError
from blocker.wire.constants import HEADER_SIZE, QR, TC
from blocker.wire.response import behind_name, scan

GRACE: Final = 3600.0  # seconds: applications keep addresses for longer than the answer allows
_MOST: Final = 1 << 20  # pairs of a device and an address; some 200 MB
_MAX_TOLD: Final = 64  # addresses of one answer


class Answers:
    """Who was told what, until when."""

    def __init__(self, grace: float = GRACE) -> None:
        """Let an answer count for `grace` seconds beyond its time to live."""
        self._grace = grace
        self._until: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def hear(self, client: bytes, message: bytes, now: float) -> None:
        """Take what a resolver of ours said to `client` at monotonic time `now`; what is no answer is passed over."""
        if (
            len(message) < HEADER_SIZE + 5
            or not message[2] << 8 & QR
            or message[2] << 8 & TC
            or message[4:6] != b"\0\1"
        ):
            return
        try:
            end = behind_name(message, HEADER_SIZE) + 4
            qtype = message[end - 4] << 8 | message[end - 3]
            said = scan(message, end, qtype)
        except (WireError, IndexError, struct.error):
            return
        self.told(client, said.addresses[:_MAX_TOLD], said.least_ttl or 0, now)

    def told(self, client: bytes, addresses: tuple[bytes, ...], ttl: int, now: float) -> None:
        """Take note that `client` was told `addresses` for `ttl` seconds."""
        for address in addresses:
            if len(self._until) >= _MOST:
                self._until = {pair: until for pair, until in self._until.items() if until > now}
                if len(self._until) >= _MOST:
                    self._until.clear()  # rather forget than grow: a finding is only a note
            self._until[client + address] = now + ttl + self._grace

    def knows(self, client: bytes, address: bytes, now: float) -> bool:
        """Tell whether `client` was told `address`, and not too long ago."""
        return self._until.get(client + address, 0.0) > now
