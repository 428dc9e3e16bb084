"""What a node keeps of bundles: the one in force, the one before it, the keys, and who did what.

DIRECTORY/state.json    which is in force: replaced at one moment, and nothing else decides
          42/           the bundle in force: bundle, bundle.minisig, accepted.json, and its files
          41/           the one before it, for a rollback
          log.jsonl     every installation, rollback and refusal, one JSON line each
"""

import fcntl
import getpass
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from blocker.bundle import archive, disk, manifest, signature
from blocker.bundle.manifest import KeyRecord, Said
from blocker.bundle.signature import Signature
from blocker.bundle.trust import Installed, Trusted, Why, following
from blocker.config import Bundles, Config, state_dir
from blocker.errors import BundleError

BUNDLE: Final = "bundle"
SIGNATURES: Final = "bundle.minisig"
ACCEPTED: Final = "accepted.json"
STATE: Final = "state.json"
LOG: Final = "log.jsonl"


class State(Said):
    """Which bundle is in force."""

    serial: Annotated[int, Field(ge=0)] = 0  # 0: none yet
    previous: Annotated[int, Field(ge=0)] = 0  # for a rollback; 0: none
    highest: Annotated[int, Field(ge=0)] = 0
    digest: str = ""
    at: int = 0  # unix time of the last installation
    anchor: str = ""  # the configured keys from which `keys` were reached
    keys: KeyRecord | None = None  # the set of keys that a bundle brought; None: the configured ones
    revoked: tuple[str, ...] = ()  # numbers of keys that any bundle has revoked

    @property
    def installed(self) -> Installed:
        """What `trust.decide` must know of it."""
        return Installed(self.serial, self.highest, self.digest, self.at)


class Accepted(Said):
    """Under which keys an installed bundle was accepted: later ones have not signed it."""

    anchor: str
    keys: KeyRecord


def directory(config: Config) -> Path:
    """Return the folder of installed bundles. Raises ConfigError."""
    return config.bundles.directory or state_dir(config) / "bundles"


def read_state(folder: Path) -> State:
    """Return what is in force in `folder`; nothing if nothing ever was. Raises BundleError.

    Where the file is gone the highest serial is the one that the rest of the folder knows of, so that nothing older
    comes in by that way.
    """
    path = folder / STATE
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        return State(highest=_highest(folder))
    except OSError as error:
        raise BundleError([f"{path}: cannot be read: {error.strerror}. Check its permissions."]) from error
    try:
        return manifest.parsed(octets, State, str(path))
    except BundleError as error:
        cure = "Restore it from a backup, or remove it and install the newest bundle"
        raise BundleError([f"{path}: damaged: {problem} {cure}." for problem in error.problems]) from error


def write_state(folder: Path, state: State) -> None:
    """Put `state` in force. Raises OSError, and then the former one is."""
    disk.replace(folder / STATE, state.octets())


def trusted(bundles: Bundles, state: State) -> Trusted:
    """Return the keys in force: those that a bundle brought, if they follow the configured ones, else these.

    What was revoked, by configuration or by a bundle, stays so.
    """
    revoked = frozenset(bundles.revoked) | frozenset(state.revoked)
    configured = Trusted(bundles.keys, bundles.threshold, bundles.keys_version, revoked)
    reached = state.keys is not None and state.anchor == anchor(bundles)
    return following(state.keys, configured) if state.keys is not None and reached else configured


def accepted(home: Path, bundles: Bundles, state: State) -> Trusted:
    """Return the keys that must have signed the bundle in `home`: those under which this node accepted it.

    A key that a later bundle has revoked still counts here, since what was in force stays; one that the configuration
    revokes does not, and where other keys are configured only these count. Raises BundleError.
    """
    path = home / ACCEPTED
    said = manifest.parsed(_read(path, manifest.MAX_RECORD), Accepted, str(path))
    if said.anchor != anchor(bundles):
        return trusted(bundles, state)
    return following(said.keys, Trusted((), revoked=frozenset(bundles.revoked)))


def anchor(bundles: Bundles) -> str:
    """Return a text that changes when an operator configures other keys: then those are where trust begins."""
    said = (bundles.keys_version, bundles.threshold, *sorted(map(str, bundles.keys)))
    return hashlib.blake2b("\n".join(map(str, said)).encode(), digest_size=16).hexdigest()


def read_bundle(path: Path) -> bytes:
    """Return the octets of the bundle file at `path`. Raises BundleError."""
    return _read(path, archive.MAX_SIZE)


def read_signatures(path: Path) -> tuple[Signature, ...]:
    """Return the signatures in the file at `path`; none if there is no such file. Raises BundleError."""
    octets = read_octets(path)
    try:
        return signature.parse(octets) if octets else ()
    except BundleError as error:
        raise BundleError([f"{path}: {problem}" for problem in error.problems]) from error


def read_octets(path: Path) -> bytes:
    """Return the file of signatures at `path` unread; nothing if there is no such file. Raises BundleError."""
    return _read(path, signature.MAX_SIZE) if path.exists() else b""


def unpack(home: Path, octets: bytes, signatures: bytes, files: Mapping[str, bytes], said: Accepted) -> None:
    """Write a bundle, its signatures and its files into the new folder `home`, all synced. Raises OSError."""
    disk.folder(home)
    disk.write(home / BUNDLE, octets)
    disk.write(home / SIGNATURES, signatures)
    disk.write(home / ACCEPTED, said.octets())
    folders = {home}
    for name, content in files.items():
        path = home / name
        disk.folder(path.parent)
        disk.write(path, content)
        folders |= {path.parent, path.parent.parent} if path.parent != home else set()
    for each in sorted(folders):
        disk.sync(each)


def unpacked(home: Path) -> dict[str, bytes]:
    """Return the files that `unpack` has put into `home`, by their names in the bundle. Raises BundleError."""
    found: dict[str, bytes] = {}
    try:
        for path in sorted(home.rglob("*")):
            name = str(path.relative_to(home))
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise BundleError([f"{path}: is not a file. Install the bundle again."])
            if path.is_file() and name not in (BUNDLE, SIGNATURES, ACCEPTED):
                found[name] = path.read_bytes()
    except OSError as error:
        raise BundleError([f"{home}: cannot be read: {error}. Install the bundle again."]) from error
    return found


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for one installation. Raises BundleError if another one is under way."""
    try:
        disk.folder(folder)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BundleError([f"{folder}: cannot be written: {error.strerror}. Run this as root."]) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BundleError([f"{folder}: another installation is under way. Wait for it, then try again."]) from error
        yield
    finally:
        os.close(handle)


def log(folder: Path, now: float, event: str, **said: object) -> None:
    """Add a line to the append-only log of installations. Raises OSError."""
    line: Mapping[str, object] = {"time": manifest.written(now), "event": event, "by": _who(), **said}
    disk.append(folder / LOG, json.dumps(line, ensure_ascii=False).encode())


def refusals(folder: Path) -> dict[str, int]:
    """Return how many bundles were refused here, by each reason there is."""
    counts: dict[str, int] = dict.fromkeys(Why, 0)
    for said in _logged(folder):
        if said.get("event") == "refused" and said.get("why") in counts:
            counts[said["why"]] += 1
    return counts


def _highest(folder: Path) -> int:
    """Return the highest serial that the log of installations and the unpacked bundles tell of."""
    try:
        found = [int(each.name) for each in folder.iterdir() if re.fullmatch("[0-9]{1,16}", each.name)]
    except OSError:
        return 0
    for said in _logged(folder):
        serial = said.get("serial")
        if said.get("event") == "installing" and isinstance(serial, int) and 0 < serial <= manifest.MAX_SERIAL:
            found.append(serial)
    return max(found, default=0)


def _logged(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of the log of installations; those of no sense are passed over."""
    try:
        with (folder / LOG).open("rb") as lines:
            for line in lines:
                with suppress(ValueError):
                    if isinstance(said := json.loads(line), dict):
                        yield said
    except OSError:
        return


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(most + 1)
    except OSError as error:
        raise BundleError([f"{path}: cannot be read: {error.strerror}. Check the path and permissions."]) from error
    if len(octets) > most:
        raise BundleError([f"{path}: larger than {most} octets. Is it a bundle?"])
    return octets


def _who() -> str:
    """Return the account that does it, and behind sudo the person's."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        account = str(os.getuid())
    behind = os.environ.get("SUDO_USER")
    return f"{behind} as {account}" if behind else account
