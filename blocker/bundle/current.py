"""The lists in force: those of the installed bundle, checked anew at each load, where a node trusts keys.

Without `bundles.keys` they are what `lists` says, and nothing here is even imported.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blocker.config import Bundles, Config, Lists
from blocker.errors import BundleError
from blocker.exceptions.entry import Grant

if TYPE_CHECKING:
    from blocker.bundle.archive import Bundle
    from blocker.bundle.store import State
    from blocker.bundle.trust import Trusted


@dataclass(frozen=True, slots=True)
class Facts:
    """The bundle in force, for metrics and status."""

    serial: int
    created: int  # unix time
    expires: int  # unix time
    publisher: str
    refused: Mapping[str, int]  # bundles that this node refused, by reason

    def expired(self, now: float) -> bool:
        """Tell whether it stays in force only because nothing newer was installed."""
        return now >= self.expires

    def said(self) -> dict[str, object]:
        """Return this as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class InForce:
    """Where lists come from, and the files that change when they do."""

    lists: Lists
    bundle: Facts | None = None  # None: not from a bundle
    watched: tuple[Path, ...] = ()
    granted: tuple[Grant, ...] = ()  # exceptions that the bundle brings


def in_force(config: Config) -> InForce:
    """Return where the lists of `config` come from now. Raises BundleError unless the installed bundle is whole.

    One that has expired since it was installed stays in force: old lists are better than none.
    """
    if not config.bundles.keys:
        return InForce(config.lists)
    from blocker.bundle import granted, manifest, store, trust  # cryptography: only where there is something to check

    folder = store.directory(config)
    state = store.read_state(folder)
    if not state.serial:
        why = "bundles.keys says that lists come from signed bundles, and none is installed"
        raise BundleError([f"{folder}: {why}. Run: blocker bundle install FILE"])
    home = folder / str(state.serial)
    found = verified(home, state.serial, store.accepted(home, config.bundles, state))
    said = found.manifest
    facts = Facts(
        said.serial,
        manifest.moment(said.created),
        trust.expiry(said, config.bundles.max_age),
        said.publisher,
        store.refusals(folder),
    )
    lists = lists_in(home, config.lists, config.bundles)
    brought = granted.read(found.files)
    if state.serial < state.highest:  # rolled back: what people have taken back since does not come back with the lists
        newer = _identities(folder / str(state.previous), state.previous, config.bundles, state)
        brought = tuple(each for each in brought if each.identity in newer)
    return InForce(lists, facts, (folder / store.STATE,), brought)


def _identities(home: Path, serial: int, bundles: Bundles, state: "State") -> set[str]:
    """Return what tells the exceptions of the bundle in `home` apart; none if it cannot be believed any more."""
    from blocker.bundle import granted, store

    try:
        files = verified(home, serial, store.accepted(home, bundles, state)).files
        return {each.identity for each in granted.read(files)}
    except BundleError:
        return set()


def verified(home: Path, serial: int, trusted: "Trusted") -> "Bundle":
    """Return the bundle unpacked in `home`: signed by trusted keys, of this serial, and its files still the same.

    Raises BundleError.
    """
    from blocker.bundle import store, trust

    octets = store.read_bundle(home / store.BUNDLE)
    try:
        found = trust.read(octets, trust.authentic(octets, store.read_signatures(home / store.SIGNATURES), trusted))
    except BundleError as error:
        raise BundleError([f"{home / store.BUNDLE}: {problem}" for problem in error.problems]) from error
    problems = []
    if found.manifest.serial != serial:
        problems.append(f"{home}: holds serial {found.manifest.serial}.")
    kept = store.unpacked(home)
    problems += [
        f"{home / name}: is not what was signed."
        for name in sorted(kept.keys() | found.files.keys())
        if kept.get(name) != found.files.get(name)
    ]
    if problems:
        raise BundleError([f"{problem} Install the bundle again: blocker bundle install FILE" for problem in problems])
    return found


def lists_in(home: Path, lists: Lists, bundles: Bundles) -> Lists:
    """Return `lists` with the folders of the bundle unpacked in `home` in place of the built-in ones.

    The operator's own come after them, where `bundles.allow_local` says that they may. Raises BundleError.
    """
    from blocker.bundle import manifest

    try:
        folders = tuple(sorted(each for each in (home / manifest.LISTS).iterdir() if each.is_dir()))
    except OSError as error:
        raise BundleError([f"{home}: cannot be read: {error.strerror}. Install the bundle again."]) from error
    local = lists.directories if bundles.allow_local else ()
    return lists.model_copy(update={"built_in": False, "directories": (*folders, *local)})
