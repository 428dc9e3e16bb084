"""Which of root's powers a process of ours keeps: none, or the two that the kernel's packet rules ask for.

Linux hands them out one by one (capabilities(7)). What is given up here cannot be had again, by this process or by
one that it starts.
"""

import ctypes
import os
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from typing import Final

from blocker.errors import BlockerError


class Capability(IntEnum):
    """The numbers of linux/capability.h."""

    NET_ADMIN = 12
    NET_RAW = 13


EGRESS: Final = frozenset({Capability.NET_ADMIN, Capability.NET_RAW})

_VERSION: Final = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two words of 32 bits
_SET_KEEP: Final = 8  # PR_SET_KEEPCAPS
_SET_NO_NEW: Final = 38  # PR_SET_NO_NEW_PRIVS
_AMBIENT: Final = 47  # PR_CAP_AMBIENT
_AMBIENT_RAISE: Final = 2
_AMBIENT_CLEAR: Final = 4
_BITS: Final = 32


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def held(kind: str = "CapPrm") -> frozenset[int]:
    """Return the capabilities that this process may use; `kind` is a word of /proc/PID/status."""
    for line in Path("/proc/self/status").read_bytes().splitlines():
        word, _, mask = line.partition(b":")
        if word == kind.encode():
            return frozenset(bit for bit in range(64) if int(mask, 16) >> bit & 1)
    return frozenset()


def keep_over_change_of_user() -> None:
    """Let setuid(2) leave us the permitted capabilities; `limit` then says which."""
    _prctl(_SET_KEEP, 1)


def limit(wanted: Iterable[int], *, for_programs: bool = False) -> None:
    """Keep no capability but `wanted`; programs that we start get them too if `for_programs`.

    None is gained by this or by any program from now on. Raises BlockerError when the kernel refuses, which it does
    if we do not hold what is wanted.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    kept = sum(1 << number for number in wanted)
    data = (_Data * 2)(*(_words(kept >> _BITS * at & 0xFFFFFFFF, inherit=for_programs) for at in range(2)))
    _prctl(_AMBIENT, _AMBIENT_CLEAR)
    if libc.capset(ctypes.byref(_Header(_VERSION, 0)), ctypes.byref(data)):
        raise _refused()
    if for_programs:
        for number in wanted:
            _prctl(_AMBIENT, _AMBIENT_RAISE, number)
    _prctl(_SET_NO_NEW, 1)


def _words(bits: int, *, inherit: bool) -> _Data:
    return _Data(bits, bits, bits if inherit else 0)


def _prctl(what: int, first: int = 0, second: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(what, *(ctypes.c_ulong(each) for each in (first, second, 0, 0))):
        raise _refused()


def _refused() -> BlockerError:
    return BlockerError(
        f"capabilities: {os.strerror(ctypes.get_errno())}. The egress half needs CAP_NET_ADMIN and CAP_NET_RAW:"
        " start as root, or give them to the unit (docs/egress.md)."
    )
