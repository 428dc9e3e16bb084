"""The counters of a table as the kernel tells them: pure, as elements.py is for sets."""

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from blocker.egress import framing
from blocker.egress.elements import FAMILY

_GET: Final = 10 << 8 | 19  # NFT_MSG_GETOBJ
_NEW: Final = 10 << 8 | 18  # NFT_MSG_NEWOBJ
_HEAD: Final = struct.Struct("!BBH")  # nfgenmsg
_TABLE: Final = 1  # NFTA_OBJ_*
_NAME: Final = 2
_TYPE: Final = 3
_DATA: Final = 4
_COUNTER: Final = 1  # NFT_OBJECT_COUNTER
_PACKETS: Final = 2  # NFTA_COUNTER_PACKETS


class Page(NamedTuple):
    """A part of a dump."""

    packets: Mapping[str, int]
    done: bool
    error: int  # a number of errno, or 0


def question(table: str, sequence: int) -> bytes:
    """Return the request for all counters of `table`."""
    wanted = framing.attribute(_TABLE, table.encode() + b"\0") + framing.attribute(_TYPE, struct.pack("!I", _COUNTER))
    return framing.message(_GET, framing.REQUEST | framing.DUMP, sequence, _HEAD.pack(FAMILY, 0, 0) + wanted)


def page(wire: bytes, sequence: int, table: str) -> Page:
    """Return what `wire` holds of the dump that `question` asked for with `sequence`. Raises KernelError."""
    packets: dict[str, int] = {}
    done, error = False, 0
    for kind, number, payload in framing.messages(wire):
        if number != sequence:
            continue
        if kind in (framing.ERROR, framing.DONE):
            done = True
            error = error or framing.error(payload)
        elif kind == _NEW:
            said = dict(framing.attributes(payload[_HEAD.size :]))
            if said.get(_TABLE, b"").rstrip(b"\0") != table.encode():
                continue
            count = dict(framing.attributes(said.get(_DATA, b""))).get(_PACKETS, b"")
            if len(count) == 8:
                packets[said.get(_NAME, b"").rstrip(b"\0").decode("ascii", "replace")] = int.from_bytes(count)
    return Page(packets, done, error)
