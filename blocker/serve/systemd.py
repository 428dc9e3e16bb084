"""Talks to systemd, where it started us: readiness, watchdog, sockets handed over (sd_notify(3), sd_listen_fds(3)).

Reads the variables systemd sets, once, and takes them out of the environment, so that no child takes them for its own.
"""

import os
import socket
import time
from typing import Final

_FIRST_FD: Final = 3  # SD_LISTEN_FDS_START


class Systemd:
    """What systemd asked for; does nothing where it did not start us."""

    def __init__(self) -> None:
        self._notify = os.environ.pop("NOTIFY_SOCKET", "")
        pid = os.environ.pop("LISTEN_PID", "")
        fds = os.environ.pop("LISTEN_FDS", "0")
        os.environ.pop("LISTEN_FDNAMES", None)
        watchdog = os.environ.pop("WATCHDOG_USEC", "")
        mine = os.environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog = int(watchdog) / 2e6 if watchdog.isdigit() and mine else None
        """Seconds between two signs of life, half of what systemd allows; None: none asked for."""
        count = int(fds) if fds.isdigit() and pid == str(os.getpid()) else 0
        self.sockets = [socket.socket(fileno=_FIRST_FD + at) for at in range(count)]
        """The sockets handed over."""

    def ready(self) -> None:
        """Say that we serve."""
        self._say("READY=1\nSTATUS=serving")

    def reloading(self) -> None:
        """Say that we read configuration and lists anew (Type=notify-reload)."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that we drain."""
        self._say("STOPPING=1\nSTATUS=draining")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        if not self._notify:
            return
        address = "\0" + self._notify[1:] if self._notify.startswith("@") else self._notify
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendto(text.encode(), address)
            except OSError:  # systemd will notice by itself that it hears nothing
                return
