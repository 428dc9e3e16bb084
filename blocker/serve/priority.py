"""Which of our processes runs first when they share a core: a worker before the one that compiles lists.

Must not fail: where the kernel does not know the request, or a sandbox forbids it, everything serves as well, if
later while lists are compiled.
"""

import contextlib
import ctypes
import os
import platform
import resource
import struct
from typing import Final

# sched_setattr(2), which the C library wraps only from glibc 2.41 on.
_CALLS: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")  # struct sched_attr: size, policy, flags, nice, priority, times
_OTHER: Final = 0  # SCHED_OTHER, the ordinary policy
_PROMPT: Final = -5  # three times the weight of an ordinary process, where we are allowed to
_SLICE: Final = 100_000  # ns, the least there is: who asks for short turns gets them at once (Linux 6.12)
_NICE: Final = 10  # a thirtieth of a contended core's time: a reload goes on, however busy the node is


def be_prompt() -> bool:
    """Let this process run as soon as it wakes, for short turns. Returns whether the kernel agreed.

    Who wakes again before others had what is due to them waits for the clock's next tick, up to 4 ms; with more
    weight little is due to them. Who starts us with another nice value than 0 has chosen it.
    """
    own = _own()
    return (own == 0 and _set(_PROMPT, _SLICE)) or _set(own, _SLICE)


def allow_prompt() -> None:
    """Let this account `be_prompt` once it has given up its privileges, as far as we may."""
    wanted = 20 - _PROMPT  # RLIMIT_NICE counts down from 20 (setrlimit(2))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NICE, (wanted, wanted))


def give_way() -> bool:
    """Let this process run when others do not. Returns whether the kernel agreed."""
    return _set(max(_NICE, _own()), 0)


def _own() -> int:
    """Return the nice value that we were started with: the request cannot leave it out."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def _set(nice: int, turn: int) -> bool:
    call = _CALLS.get(platform.machine())
    if call is None:
        return False
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, _OTHER, 0, nice, 0, turn, 0, 0)
    return bool(ctypes.CDLL(None).syscall(call, 0, wanted, 0) == 0)
