"""A feed's folder: its editions, and the facts that say which of them is in force.

    STATE/feeds/NAME/facts.json             what is in force, former, held; how attempts went
                     <sha256>.list          editions that are or were in force, named by their content
                     <sha256>.held          an edition that waits for a person
                     <sha256>.damaged       what did not match its name any more
                     lock                   taken by whoever changes anything here

An edition's file is written beside, synced and renamed before the facts name it, so renaming the facts is the one
step that publishes: whatever dies before it leaves the old edition in force, whole.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from blocker.errors import FeedError
from blocker.feeds import facts as form
from blocker.feeds.facts import LARGEST, Edition, Facts

FACTS: Final = "facts.json"
_PATIENCE: Final = 900.0  # seconds: longer than a fetch may take, with reading a million names
_LOOK: Final = 0.05  # seconds between looks whether the lock is free
_NAMED: Final = 32  # hexadecimal digits of a file's name: 128 bits of its content's digest


class Store:
    """One feed's folder; readers need no lock, who changes something takes it."""

    def __init__(self, state: Path, name: str) -> None:
        """Keep the feed `name` below the state folder `state`."""
        self.name = name
        self.folder = state / "feeds" / name
        self._state = state

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Wait until nobody else changes this feed, and keep others from it. Raises FeedError, also if that takes long.

        Somebody else may be a command that a person has suspended: no reason to stop looking after all other feeds.
        """
        try:
            for folder in (self.folder.parent, self.folder):
                if not folder.exists():
                    folder.mkdir(mode=0o750, exist_ok=True)
                    self._give(folder)
            file = (self.folder / "lock").open("ab")
        except OSError as error:
            raise self._unwritable(error) from error
        with file:
            self._give(self.folder / "lock")
            self._wait(file)
            yield

    def _wait(self, file: BinaryIO) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    why = f"{self.folder}: another process has kept it locked for {_PATIENCE:g} s. See who: `fuser`"
                    raise FeedError(f"{why} {self.folder / 'lock'}.") from None
                time.sleep(_LOOK)
            else:
                return

    @property
    def draft(self) -> Path:
        """Where a new edition is written before it has a name."""
        return self.folder / f".draft-{os.getpid()}"

    def facts(self) -> Facts:
        """Return what is known; where the facts are damaged, what the editions themselves tell. Raises FeedError."""
        return self._facts()[0]

    def _facts(self) -> tuple[Facts, str]:
        """Return the facts, and what is wrong with their file."""
        try:
            with (self.folder / FACTS).open("rb") as file:
                content = file.read(LARGEST + 1)
        except FileNotFoundError:
            return Facts(), ""
        except OSError as error:
            raise FeedError(f"{self.folder / FACTS}: cannot be read: {error.strerror}. Check its owner.") from error
        try:
            return form.from_json(content), ""
        except FeedError as error:
            why = f"{self.folder / FACTS} was damaged: {error}"
            return Facts(in_force=self._survivor(), error=why), why

    def path(self, edition: Edition, *, held: bool = False) -> Path:
        """Return the file of `edition`."""
        return self.folder / f"{edition.sha256[:_NAMED]}.{'held' if held else 'list'}"

    def intact(self, facts: Facts) -> Edition | None:
        """Return what may be compiled: the edition in force, the former one if that is damaged, None if both are."""
        for edition in (facts.in_force, facts.former):
            if edition is not None and digest_of(self.path(edition)) == edition.sha256:
                return edition
        return None

    def keep(self, draft: Path, edition: Edition, *, held: bool = False) -> None:
        """Give the file `draft` its place as `edition`, safe from a power cut. Raises FeedError."""
        try:
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            self._give(draft)
            draft.replace(self.path(edition, held=held))
            _settle(self.folder)
        except OSError as error:
            raise self._unwritable(error) from error

    def release(self, edition: Edition) -> None:
        """Let the held `edition` have its place among those in force. Raises FeedError."""
        held, target = self.path(edition, held=True), self.path(edition)
        if digest_of(held) != edition.sha256:
            raise FeedError(f"{held} is damaged or gone. Fetch it again: blocker lists update {self.name}")
        try:
            target.unlink(missing_ok=True)  # the same content, if anything
            target.hardlink_to(held)  # both names, until the facts say which one counts
            _settle(self.folder)
        except OSError as error:
            raise self._unwritable(error) from error

    def save(self, facts: Facts) -> None:
        """Put `facts` in force, and remove what they no longer name. Raises FeedError."""
        target = self.folder / FACTS
        draft = self.folder / f".facts-{os.getpid()}"
        try:
            with draft.open("wb") as file:
                file.write(form.to_json(facts))
                file.flush()
                os.fsync(file.fileno())
            self._give(draft)
            draft.replace(target)
            _settle(self.folder)
            self._tidy(facts)
        except OSError as error:
            raise self._unwritable(error) from error

    def heal(self) -> str:
        """Set aside a damaged edition in force, so that it is fetched anew; return what was found, empty: nothing."""
        facts, why = self._facts()
        if why:
            self.save(facts)
            return f"{why}. What is on disk was looked through for the newest whole edition"
        edition = facts.in_force
        if edition is None or digest_of(self.path(edition)) == edition.sha256:
            return ""
        remains = self.intact(replace(facts, in_force=None))
        with contextlib.suppress(OSError):
            for old in self.folder.glob("*.damaged"):
                old.unlink()
            self.path(edition).replace(self.folder / f"{edition.sha256[:_NAMED]}.damaged")
        said = "its former edition serves meanwhile" if remains else "none of its names are blocked until it is fetched"
        why = f"the edition in force was damaged on disk and set aside; {said}"
        # `tried` 0: it is due at once. Without an edition no validator is sent, so the source sends all of it.
        self.save(replace(facts, in_force=remains, former=None, tried=0.0, succeeded=0.0, error=why))
        return why

    def _survivor(self) -> Edition | None:
        """Return the newest edition on disk whose content still matches its name."""
        found = sorted(self.folder.glob("*.list"), key=lambda each: each.stat().st_mtime, reverse=True)
        for path in found:
            digest = digest_of(path)
            if digest is not None and digest.startswith(path.stem):
                return Edition(digest, path.stat().st_size, 0, fetched=path.stat().st_mtime)
        return None

    def _tidy(self, facts: Facts) -> None:
        kept = {self.path(edition) for edition in (facts.in_force, facts.former) if edition is not None}
        if facts.held is not None:
            kept.add(self.path(facts.held, held=True))
        found: Iterable[Path] = (*self.folder.glob("*.list"), *self.folder.glob("*.held"), *self.folder.glob(".*-*"))
        for each in found:
            if each not in kept:
                each.unlink(missing_ok=True)

    def _give(self, path: Path) -> None:
        """Let the file belong to whom the state folder belongs to: root's command must not lock the service out."""
        owner = self._state.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid)

    def _unwritable(self, error: OSError) -> FeedError:
        return FeedError(f"{self.folder}: cannot be written: {error.strerror}. Free some space, or check its owner.")


def digest_of(path: Path) -> str | None:
    """Return the SHA-256 of the file at `path`, None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _settle(folder: Path) -> None:
    """Write the folder itself to disk: else the rename may not survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
