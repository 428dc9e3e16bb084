"""Measures how long answers take, at a steady pace beside the load, and is not fooled by its own delays.

The kernel stamps each answer when it arrives (SO_TIMESTAMPNS), so it does not matter that the load generator
keeps this thread waiting for the core that both share.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Final, Self

import dns.message

_TIMESTAMPNS: Final = 35  # socket(7): SO_TIMESTAMPNS, and the type of the note that comes with the packet
_TIMESPEC: Final = struct.Struct("=qq")
_PAUSE: Final = 0.001  # seconds between two queries
_WAIT: Final = 2.0  # seconds to wait for answers at the end
_IDS: Final = 0x10000


class Probe:
    """Asks 127.0.0.1 `port` for `names` in turn while the context is open, 1000 times a second at the most."""

    def __init__(self, port: int, names: Sequence[str]) -> None:
        """Prepare to ask."""
        self.latencies: list[float] = []  # seconds
        self.lost = 0
        self._queries = [dns.message.make_query(name, "A").to_wire()[2:] for name in names]
        self._sent: dict[int, int] = {}  # id to unix time in ns
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def __enter__(self) -> Self:
        """Begin to ask."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop asking, wait for what is under way, and count what never came."""
        self._ending.set()
        self._thread.join()
        deadline = time.monotonic() + _WAIT
        while self._sent and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            self._receive()
        self.lost = len(self._sent)
        self._socket.close()

    def _run(self) -> None:
        number = 0
        while not self._ending.wait(_PAUSE):
            number = (number + 1) % _IDS
            query = number.to_bytes(2) + self._queries[number % len(self._queries)]
            self._sent[number] = time.time_ns()
            with contextlib.suppress(OSError):
                self._socket.send(query)
            self._receive()

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, notes, _, _ = self._socket.recvmsg(4096, 64)
                sent = self._sent.pop(int.from_bytes(packet[:2]), None)
                for level, kind, data in notes:
                    if sent is not None and (level, kind) == (socket.SOL_SOCKET, _TIMESTAMPNS):
                        self.latencies.append((arrival(data) - sent) / 1e9)


def arrival(data: bytes) -> int:
    """Return the unix time in ns that the kernel's note holds."""
    seconds, rest = _TIMESPEC.unpack_from(data)
    return int(seconds) * 1_000_000_000 + int(rest)
