"""Gives away what a process that reads strangers' packets does not need: accounts, capabilities, files, programs.

A shell. Called once, after what needs privilege is open, before the first packet is looked at, and before the first
thread: the kernel takes from the thread that asks, and from those that it begins later. What a kernel does not have
(Landlock) is left out and said.
"""

import contextlib
import ctypes
import os
import pwd
import resource
import struct
import sys
import zoneinfo
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from blocker.egress import own
from blocker.errors import BlockerError, CaptureError
from blocker.serve import capabilities

_DUMPABLE, _CAPBSET_DROP = 4, 24  # prctl
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_MOST_CAPABILITIES: Final = 64
_READ: Final = 1 << 2 | 1 << 3  # LANDLOCK_ACCESS_FS_READ_FILE, READ_DIR
_FILE_ACCESSES: Final = {1: 13, 2: 14, 3: 15, 4: 15}  # Landlock's version: how many accesses to files it governs
_NET_ACCESSES: Final = 3  # bind and connect of TCP, from version 4 on
_SCOPES: Final = 3  # abstract sockets, and signals to processes outside, from version 6 on
_MEMORY: Final = 4 << 30  # octets of address space

_libc: Final = ctypes.CDLL(None, use_errno=True)


def confine(user: str, readable: Iterable[Path]) -> list[str]:
    """Become `user`, if we are root, without capabilities; read what is below `readable` alone.

    Returns what holds us now, for the log. Raises CaptureError when a privilege cannot be given away.
    """
    try:
        held = _give_up_accounts(user) if user and os.geteuid() == 0 else []
        capabilities.limit(())
        _libc.prctl(_DUMPABLE, 0, 0, 0, 0)
        held.append("no capabilities")
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_AS, _MEMORY)
        if version := _landlock(readable):
            held.append(f"Landlock {version}")
    except CaptureError:
        raise
    except (BlockerError, OSError, ValueError) as error:
        raise CaptureError(
            f"privileges cannot be given away: {error}. Packets of strangers are not read with them; nothing was."
        ) from error
    return held


def start_nothing() -> None:
    """Start no process and no thread any more, where we are not root: then that is nobody's to forbid."""
    _limit(resource.RLIMIT_NPROC, 0)


def readable(state: Path) -> list[Path]:
    """Return what such a process still has to read: lists, addresses, time zones, what Python may want to import."""
    code = (*(Path(entry) for entry in sys.path if entry), Path(sys.prefix), Path(os.__file__).parent)
    return [state, own.NET, *map(Path, zoneinfo.TZPATH), *code]


def _give_up_accounts(user: str) -> list[str]:
    try:
        account = pwd.getpwnam(user)
    except KeyError as error:
        raise CaptureError(f"there is no account {user!r}; name another with --user") from error
    os.setgroups([])
    os.setresgid(*[account.pw_gid] * 3)
    for capability in range(_MOST_CAPABILITIES):  # before setuid: it takes one of them
        _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    os.setresuid(*[account.pw_uid] * 3)
    return [f"account {user}"]


def _limit(limit: int, most: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # where a sandbox does not let us say so
        resource.setrlimit(limit, (most, most))


def _landlock(readable: Iterable[Path]) -> int:
    """Allow reading below `readable` and nothing else of files, of TCP and of signals to others.

    Returns Landlock's version, 0 without.
    """
    version: int = _libc.syscall(_LANDLOCK_CREATE, None, 0, 1)
    if version < 1:  # an older kernel, or switched off
        return 0
    files = (1 << _FILE_ACCESSES.get(version, 16)) - 1
    rules = struct.pack("=QQQ", files, _NET_ACCESSES, _SCOPES)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = _libc.syscall(_LANDLOCK_CREATE, rules, len(rules), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock")
    for path in readable:
        try:
            below = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # not there: nothing to allow
        allowed = _READ if path.is_dir() else _READ & 1 << 2
        done = _libc.syscall(_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", allowed, below), 0)
        os.close(below)
        if done:
            raise OSError(ctypes.get_errno(), f"Landlock: {path}")
    done = _libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)
    if done:
        raise OSError(ctypes.get_errno(), "Landlock")
    return version
