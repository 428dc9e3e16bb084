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
import threading
import time
from pathlib import Path
from typing import Final

# sched_setattr(2), which the C library wraps only from glibc 2.41 on.
_CALLS: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345}
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")  # struct sched_attr: size, policy, flags, nice, priority, times
OTHER: Final = 0  # SCHED_OTHER, the ordinary policy
IDLE: Final = 5  # SCHED_IDLE: whoever else wakes runs at once
_PROMPT: Final = -5  # three times the weight of an ordinary process, where we are allowed to
_SLICE: Final = 100_000  # ns, the least there is: who asks for short turns gets them at once (Linux 6.12)
_NICE: Final = 10  # a thirtieth of a contended core's time: a reload goes on, however busy the node is
_THIRTIETH: Final = 30
LOOK: Final = 0.5  # seconds between two looks at whether who stands back gets anything
_THREADS: Final = Path("/proc/self/task")


def be_prompt() -> bool:
    """Let this process run as soon as it wakes, for short turns. Returns whether the kernel agreed.

    Who wakes again before others had what is due to them waits for the clock's next tick, up to 4 ms; with more
    weight little is due to them. Who starts us with another nice value than 0 has chosen it.
    """
    own = _own()
    return (own == 0 and _set(_PROMPT, _SLICE)) or _set(own, _SLICE)


def allow_prompt() -> None:
    """Let this account `be_prompt` once it has given up its privileges, as far as we may."""
    least = 20 - _PROMPT  # RLIMIT_NICE counts down from 20 (setrlimit(2))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NICE, (least, least))


def give_way() -> bool:
    """Let this process run when others do not. Returns whether the kernel agreed."""
    return _set(max(_NICE, _own()), 0)


def stand_back() -> None:
    """Let this process run when nobody else wants to, and on a core that is never free as with `give_way`.

    For long work that no client waits for. With any weight at all it would be due at times when a worker wakes, which
    then waits for the clock's next tick; with none it would never end beside workers that are never idle. So a thread
    watches, and has the rest take its share while it starves.
    """
    if give_way():
        with contextlib.suppress(RuntimeError):  # no thread is left for us: the share it is
            threading.Thread(target=_watch, args=(threading.get_native_id(),), name="priority", daemon=True).start()


def wanted(policy: int, ran: float, waited: float) -> int:
    """Return the policy for what stood under `policy`, `ran` and `waited` for a core in the `LOOK` seconds before."""
    if policy == IDLE and waited > LOOK / 2 and ran * _THIRTIETH < waited:
        return OTHER
    if policy == OTHER and waited < LOOK / 10:
        return IDLE
    return policy


def _watch(main: int) -> None:
    """Let the thread `main` and those it starts stand back, except while they starve.

    Ends where that cannot be: for who may not come back (RLIMIT_NICE), and when nobody can tell who starves.
    """
    nice = _own()
    if not (_set(nice, 0, IDLE) and _set(nice, 0)):
        return
    policy = IDLE
    before: dict[int, tuple[float, float]] = {}
    with contextlib.suppress(OSError):  # no descriptor is left to look with
        before = _times()
        while main in before:
            for thread in before:  # each time: one may have started while the others were told
                _set(nice, 0, policy, thread)
            time.sleep(LOOK)
            now = _times()
            both = before.keys() & now.keys()
            ran, waited = (sum(now[each][part] - before[each][part] for each in both) for part in (0, 1))
            before, policy = now, wanted(policy, ran, waited)
    for thread in before.keys() | {main}:
        _set(nice, 0, OTHER, thread)


def _times() -> dict[int, tuple[float, float]]:
    """Return the seconds that each other thread has run, and has waited for a core, as far as the kernel tells."""
    found: dict[int, tuple[float, float]] = {}
    for each in _THREADS.iterdir():
        if int(each.name) != threading.get_native_id():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended, or none is counted
                ran, waited, _ = (each / "schedstat").read_text().split()
                found[int(each.name)] = int(ran) / 1e9, int(waited) / 1e9
    return found


def _own() -> int:
    """Return the nice value that we were started with: the request cannot leave it out."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def _set(nice: int, turn: int, policy: int = OTHER, thread: int = 0) -> bool:
    call = _CALLS.get(platform.machine())
    if call is None:
        return False
    request = _ATTRIBUTES.pack(_ATTRIBUTES.size, policy, 0, nice, 0, turn, 0, 0)
    return bool(ctypes.CDLL(None).syscall(call, thread, request, 0) == 0)
