"""Notices that files of the configuration and the lists have changed.

The kernel's notices only wake it; what decides is whether the files look different from before. So a notice
that is missed, on a network file system or for a folder that was made anew, costs two seconds at the most.
"""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import watchfiles

from blocker.serve.look import Look, is_temporary, look, signature
from blocker.sinks import oplog

_DEBOUNCE: Final = 200  # milliseconds in which changes count as one
_STEP: Final = 50  # milliseconds without a change that end a burst
_TICK: Final = 1000  # milliseconds between looks without a notice


class Watch:
    """Calls `changed` with the paths that differ, from a thread of its own."""

    def __init__(self, changed: Callable[[list[str]], None]) -> None:
        """Call `changed` when something has."""
        self._changed = changed
        self._wanted: tuple[str, ...] = ()
        self._read = ""  # how the wanted paths looked when they were read; empty: nobody says
        self._wake = threading.Event()  # other paths are wanted
        self._paths: tuple[str, ...] = ()  # this and the rest belong to the thread
        self._seen: Look = {}
        self._log = oplog.get("watch")

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def watch(self, paths: tuple[str, ...], read: str = "") -> None:
        """Watch these files and folders from now on; `read` is the signature they had when they were read.

        So a change in the time from their reading until now is none that is missed.
        """
        if paths != self._wanted:
            self._read = read
            self._wanted = paths
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._adopt()
            folders = places(self._paths)
            if not folders:
                self._wake.wait(_TICK / 1000)
                self._compare()
                continue
            try:
                self._follow(folders)
            except (OSError, RuntimeError) as error:  # no more notices to be had from this kernel: look ourselves
                self._log.warning("no notices of changed files; looking every second", why=str(error))
                while not self._wake.wait(_TICK / 1000):
                    self._compare()

    def _adopt(self) -> None:
        """Take the wanted paths, and from now on mind what changes there."""
        self._wake.clear()
        if self._paths != self._wanted:
            self._compare()
            self._paths, read = self._wanted, self._read
            self._seen = look(self._paths)
            if read and signature(self._seen) != read:
                self._changed(list(self._paths))

    def _follow(self, folders: dict[str, int]) -> None:
        """Compare at each notice, until other places are to be watched."""
        for _ in watchfiles.watch(
            *folders,
            watch_filter=lambda _change, path: not is_temporary(Path(path).name),
            debounce=_DEBOUNCE,
            step=_STEP,
            rust_timeout=_TICK,
            yield_on_timeout=True,
            stop_event=self._wake,
            raise_interrupt=False,
            recursive=False,
        ):
            self._compare()
            if places(self._paths) != folders:
                return

    def _compare(self) -> None:
        now = look(self._paths)
        before, self._seen = self._seen, now
        if different := sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path)):
            self._changed(different)


def places(paths: Iterable[str]) -> dict[str, int]:
    """Return the folders to get notices of, with their inodes; for a file its own, since editors replace files."""
    found: dict[str, int] = {}
    for path in map(Path, paths):
        folder = path if path.is_dir() else path.parent
        try:
            found[str(folder)] = folder.stat().st_ino
        except OSError:
            continue
    return found
