"""Keeps one process running that needs privileges which everybody else has given up.

    supervisor --fork, before it drops privileges--> keeper --fork, again and again--> the process

The keeper reads nothing and listens to nobody: it holds two capabilities, and hands them to its child. Without it a
process that dies could never have them again, and with them in the supervisor everybody would.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Final

import setproctitle

from blocker.config import Process
from blocker.serve import capabilities, sockets
from blocker.sinks import oplog
from blocker.sinks.region import Region, Word

_STEP: Final = 0.1  # seconds between looks at the child and at the supervisor
_PAUSE: Final = 0.5  # seconds before a process that died is replaced: no haste, no tight loop


def run(name: str, process: Process, region: Region, supervisor: int, main: Callable[[], int]) -> int:
    """Be the keeper of a process `name` that runs `main`: the body of a forked child. Returns its exit status.

    The account changes to that of `process`; `supervisor` is the process id of our parent. Ends when `main` has
    returned 0, which it does when it is told to stop, and when the supervisor is gone. Raises BlockerError when the
    account or the capabilities cannot be had.
    """
    setproctitle.setproctitle(f"blocker: {name} keeper")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when, to the child
    capabilities.keep_over_change_of_user()
    sockets.drop_privileges(process, [])
    capabilities.limit(capabilities.EGRESS, for_programs=True)
    while True:
        pid = _fork(main)
        code = _wait(pid, supervisor)
        region.words[Word.READY] = 0
        if code == 0 or os.getppid() != supervisor:
            return 0
        region.words[Word.RESTARTS] += 1
        oplog.get("supervisor").error("process died; starting another", process=name, status=code)
        time.sleep(_PAUSE)


def _fork(main: Callable[[], int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 70  # EX_SOFTWARE, unless main says otherwise
    try:
        status = main()
    except BaseException as error:  # noqa: BLE001 a child must never run on in its parent's code
        oplog.get("supervisor").error("process failed", exc_info=error)
    finally:
        os._exit(status)


def _wait(pid: int, supervisor: int) -> int:
    """Return the exit code of the child; end it first if the supervisor is gone."""
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if os.getppid() != supervisor:
            os.kill(pid, signal.SIGKILL)
        time.sleep(_STEP)
