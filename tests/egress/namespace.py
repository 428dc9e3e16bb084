"""A network namespace of a test's own, entered by one thread: nothing in it touches the machine's rules."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

_CLONE_NEWNET = 0x40000000
_Made = TypeVar("_Made")


class Namespace:
    """A fresh namespace; sockets that are made in it stay in it, whoever uses them."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self.run(_unshare)
        self.ip("link set lo up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def run(self, make: Callable[[], _Made]) -> _Made:
        """Return what `make` returns inside."""
        return self._thread.submit(make).result()

    def nft(self, script: str) -> str:
        """Feed `script` to nft inside."""
        return self.command("nft", "-f", "-", said=script)

    def listed(self, what: str) -> str:
        """Return what `nft list WHAT` says inside."""
        return self.command("nft", "list", *what.split())

    def ip(self, command: str) -> str:
        """Run `ip COMMAND` inside."""
        return self.command("ip", *command.split())

    def command(self, name: str, *arguments: str, said: str = "") -> str:
        """Run a command inside, and return what it writes."""
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        assert path, f"{name} is missing: .ci/system-packages test"
        done = self.run(
            lambda: subprocess.run([path, *arguments], input=said, capture_output=True, text=True, check=False)
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _unshare() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace needs root")
