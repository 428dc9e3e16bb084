"""A process with CAP_NET_ADMIN for a command that must not have it: cuts connections, and hears of nothing else."""

import os
import signal
import socket
import sys

import setproctitle

from blocker.egress.cutter import Cutter
from blocker.egress.netlink import Netlink
from blocker.errors import BlockerError, KernelError


def cutter() -> socket.socket:
    """Start it; return the socket on which it takes connections (egress/cut.py). It ends when that is closed.

    Raises KernelError when it may not change the rules, or they are not there.
    """
    with Netlink() as kernel:  # rather hear of it now than at the first finding
        for name in ("cut_4", "cut_6"):
            try:
                kernel.dump(name)
            except KernelError as error:
                raise KernelError(f"{error}. Nothing can be cut without the rules.", error.number) from error
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid:
        theirs.close()
        return ours
    status = 1
    try:
        ours.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        setproctitle.setproctitle("blocker: cutter")
        Cutter(theirs, Netlink(), lambda text: print(f"blocker: {text}", file=sys.stderr, flush=True)).run()  # noqa: T201
        status = 0
    except BlockerError as error:
        print(f"blocker: {error}", file=sys.stderr, flush=True)  # noqa: T201
    finally:
        os._exit(status)
