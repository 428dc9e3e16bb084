"""Live capture: a socket that the kernel fills a shared ring of packets for (PACKET_MMAP, TPACKET_V3).

A shell. `open_socket` needs CAP_NET_RAW; nothing else here does, so that whoever looks at packets has given it up
before the first one comes. 1 us a packet, where a read of each costs 2 and scapy's sniff() 160.
"""

import ctypes
import errno
import fcntl
import mmap
import socket
import struct
from collections.abc import Iterator
from typing import Final

from blocker.egress import filter as sieve
from blocker.errors import CaptureError

_BLOCK: Final = 1 << 16  # octets
_BLOCKS: Final = 512
"""Many small ones: each is handed over after a moment, however little is in it, so that their number is what lasts when
we are late. 32 MiB: 2 seconds, or 40,000 hellos."""
_AT_ONCE: Final = 64  # blocks
_FRAME: Final = 1 << 11
_RETIRE: Final = 4  # ms until a block that is not full is handed over: what a finding may cost in time

_SOL_PACKET: Final = 263
_ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION = 1, 5, 6, 10
_TPACKET_V3: Final = 2
_PROMISCUOUS: Final = 1
_GET_INDEX: Final = 0x8933  # SIOCGIFINDEX, in the namespace of the socket
_ATTACH_FILTER: Final = 26
_ALL: Final = 0x0003  # ETH_P_ALL, packets that we send too
_REQUEST: Final = struct.Struct("=7I")
_INTERFACE: Final = struct.Struct("=16si20x")
_MEMBERSHIP: Final = struct.Struct("=iHH8s")
_PROGRAM: Final = struct.Struct("@HP")
_COUNTS: Final = struct.Struct("=3I")
_STATUS_AT: Final = 8  # in a block's head: whose it is, packets in it, offset of the first, octets, number
_HEAD: Final = struct.Struct("=IIIIQ")
_PACKET: Final = struct.Struct("=IIIIIIHH")  # next, seconds, ns, captured, length, status, offsets of link and network
_OURS: Final = 1  # TP_STATUS_USER


def open_socket() -> socket.socket:
    """Return a socket on which no packet comes yet. Raises CaptureError without CAP_NET_RAW."""
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
    except (OSError, AttributeError) as error:
        raise CaptureError(
            f"packets cannot be captured: {error}. It takes Linux and CAP_NET_RAW; run it as root, or through the unit."
        ) from error


class Ring:
    """Packets of one interface, each from its IP header on."""

    def __init__(self, sock: socket.socket, interface: str, *, promiscuous: bool = False) -> None:
        """Have `sock` see `interface`, packets for other machines too if `promiscuous`. Raises CaptureError."""
        self.interface = interface
        self._socket = sock
        self._promiscuous = promiscuous
        self._next: int | None = (
            None  # the block that comes next; not known yet: a process before us may have read some
        )
        self.seen = 0  # packets that the filter let through
        self.lost = 0  # of them, those that found no room
        self._begin()
        try:
            self._memory = mmap.mmap(sock.fileno(), _BLOCK * _BLOCKS)
        except OSError as error:
            raise CaptureError(f"{interface}: the ring cannot be mapped: {error.strerror}") from error
        self._view = memoryview(self._memory)
        self.bound = False
        self.bind()

    def bind(self) -> bool:
        """Attach to the interface, once it is there; return whether it is."""
        try:
            self._socket.bind((self.interface, _ALL))
            if self._promiscuous:
                asked = _INTERFACE.pack(self.interface.encode(), 0)
                index = _INTERFACE.unpack(fcntl.ioctl(self._socket, _GET_INDEX, asked))[1]
                self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, _MEMBERSHIP.pack(index, _PROMISCUOUS, 0, b""))
        except OSError:
            self.bound = False
        else:
            self.bound = True
        return self.bound

    def fileno(self) -> int:
        """Return the number of the socket, to be waited for."""
        return self._socket.fileno()

    def packets(self) -> Iterator[bytes]:
        """Yield what has come, block after block; a block goes back to the kernel when all of it was taken.

        Ends in a flood too, so that whoever asks gets to what else there is to do.
        """
        for _ in range(_AT_ONCE):
            if (start := self._ready()) is None:
                return
            _, count, offset, _, _ = _HEAD.unpack_from(self._view, start + _STATUS_AT)
            at = start + offset
            for _ in range(count):
                behind, _, _, captured, _, _, _, network = _PACKET.unpack_from(self._view, at)
                yield bytes(self._view[at + network : at + network + captured])
                at += behind
            struct.pack_into("=I", self._view, start + _STATUS_AT, 0)

    def gone(self) -> None:
        """Take note of an error: the interface went down, or away."""
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.bound = False

    def count(self) -> None:
        """Add to `seen` and `lost` what the kernel has counted since."""
        seen, lost, _ = _COUNTS.unpack(self._socket.getsockopt(_SOL_PACKET, _STATISTICS, _COUNTS.size))
        self.seen += seen
        self.lost += lost

    def close(self) -> None:
        """Let go of the ring and its socket."""
        self._view.release()
        self._memory.close()
        self._socket.close()

    def _begin(self) -> None:
        steps = sieve.encoded(sieve.program())
        kept = ctypes.create_string_buffer(steps, len(steps))
        self._socket.setsockopt(
            socket.SOL_SOCKET, _ATTACH_FILTER, _PROGRAM.pack(len(steps) // 8, ctypes.addressof(kept))
        )
        frames = _BLOCK // _FRAME * _BLOCKS
        try:
            self._socket.setsockopt(_SOL_PACKET, _VERSION, struct.pack("=I", _TPACKET_V3))
            self._socket.setsockopt(
                _SOL_PACKET, _RX_RING, _REQUEST.pack(_BLOCK, _BLOCKS, _FRAME, frames, _RETIRE, 0, 0)
            )
        except OSError as error:  # EBUSY: a process that is gone has set it up, and this is its successor
            if error.errno != errno.EBUSY:
                raise CaptureError(f"{self.interface}: the kernel has no ring for packets: {error.strerror}") from error

    def _ready(self) -> int | None:
        """Return where the next block of ours begins; None: the kernel has them all."""
        if self._next is None:
            ready = [at for at in range(0, _BLOCK * _BLOCKS, _BLOCK) if self._is_ours(at)]
            if not ready:
                return None
            start = min(ready, key=lambda at: _HEAD.unpack_from(self._view, at + _STATUS_AT)[4])
        else:
            start = self._next * _BLOCK
            if not self._is_ours(start):
                return None
        self._next = (start // _BLOCK + 1) % _BLOCKS
        return start

    def _is_ours(self, start: int) -> bool:
        return bool(self._view[start + _STATUS_AT] & _OURS)
