"""Keeps the zones that are taken over from others fresh: a thread for each, so that a slow primary delays no other."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import dns.name

from blocker.config import RpzImport
from blocker.rpz import taken
from blocker.rpz.imports import Import
from blocker.rpz.intake import TransferError
from blocker.rpz.keys import Keyring
from blocker.rpz.status import ImportStatus
from blocker.sinks import oplog

_APART: Final = 1.0  # seconds between two looks at a primary, however often somebody says that it has news
_LONGEST: Final = 60.0  # seconds of one wait: a clock that was set makes nobody late for longer


class Followers:
    """All zones that are taken over."""

    def __init__(self, state: Path, changed: Callable[[], object]) -> None:
        """Keep files in the `state` folder; call `changed` from a thread whenever one was replaced."""
        self._folder = state / taken.FOLDER
        self._changed = changed
        self._running: dict[str, _Follower] = {}

    def adopt(self, wanted: Sequence[RpzImport], keyring: Keyring) -> None:
        """Follow the `wanted` zones from now on, and no others. Raises OSError."""
        for zone in set(self._running) - {each.zone for each in wanted}:
            self._running.pop(zone).stop()
        for each in wanted:
            running = self._running.get(each.zone)
            if running is not None and running.settings == each:
                running.keyring = keyring
                continue
            if running is not None:
                running.stop()
            self._running[each.zone] = _Follower(Import(each, self._folder), keyring, self._changed)

    def notified(self, zone: str) -> None:
        """Look at once whether `zone` has changed."""
        if (running := self._running.get(zone)) is not None:
            running.wake()

    @property
    def settings(self) -> list[RpzImport]:
        """What is followed."""
        return [each.settings for each in list(self._running.values())]

    def status(self) -> dict[str, ImportStatus]:
        """Return how each zone does."""
        return {zone: each.status() for zone, each in list(self._running.items())}

    def transfers(self) -> dict[str, int]:
        """Return the transfers so far, by zone, kind and result."""
        found: Counter[str] = Counter()
        for zone, each in list(self._running.items()):
            for (kind, result), count in list(each.transfers.items()):
                found[f"{zone} {kind} {result}"] += count
        return dict(found)


class _Follower:
    """One zone's thread."""

    def __init__(self, followed: Import, keyring: Keyring, changed: Callable[[], object]) -> None:
        self.settings = followed.settings
        self.transfers = followed.transfers
        self.keyring = keyring
        self._import = followed
        self._changed = changed
        self._woken = threading.Event()
        self._stopped = False
        self._log = oplog.get("zones")
        threading.Thread(target=self._run, name=f"import {self.settings.zone}", daemon=True).start()

    def stop(self) -> None:
        self._stopped = True
        self._woken.set()

    def wake(self) -> None:
        self._import.due = 0.0
        self._woken.set()

    def status(self) -> ImportStatus:
        held = self._import.held
        if held is None:
            return ImportStatus(0, 0, 0.0, 0.0)
        return ImportStatus(held.soa.serial, held.records, held.confirmed, held.confirmed + held.soa.expire)

    def _run(self) -> None:
        while not self._stopped:
            self._woken.wait(min(max(0.0, self._import.due - time.time()), _LONGEST))
            self._woken.clear()
            if not self._stopped and self._import.is_due(time.time()):
                self._refresh()
                time.sleep(_APART)

    def _refresh(self) -> None:
        zone, name = self.settings.zone, self.settings.key
        key = self.keyring.get(dns.name.from_text(name)) if name else None
        try:
            if self._import.refresh(key, time.time()):
                held = self._import.held
                assert held is not None
                self._log.info("policy zone taken over", zone=zone, serial=held.soa.serial, records=held.records)
                self._changed()
        except TransferError as error:
            self._log.warning("policy zone not taken over; the last good one stays in force", zone=zone, why=str(error))
        except Exception as error:  # noqa: BLE001 a bug of ours must not end the thread, and with it the zone
            self._log.error("a bug of ours in a transfer", zone=zone, exc_info=error)
            self._import.due = time.time() + _LONGEST
