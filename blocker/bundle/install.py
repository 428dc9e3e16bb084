"""Brings a bundle into force on a node: unpacked beside, tried, synced, then one file is replaced.

Until that moment the former bundle is in force and whole, whatever fails: power, disk, or the new lists.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from blocker.bundle import current, disk, signature, store, trust
from blocker.bundle.store import Accepted, State
from blocker.bundle.trust import Decision, RefusedError, Step, Why
from blocker.config import Bundles
from blocker.errors import BundleError, ProblemsError

_DRAFT: Final = ".draft"

Try = Callable[[Path], None]
"""Loads the lists of an unpacked bundle as the blocker would; raises ProblemsError if it would refuse them."""


def install(
    folder: Path, octets: bytes, signatures: bytes, bundles: Bundles, now: int, origin: str, attempt: Try
) -> Decision:
    """Install the bundle `octets`, which came from the file `origin`, in `folder`, and return what was decided.

    Raises BundleError, logged with its reason, and then nothing has changed.
    """
    with store.locked(folder):
        try:
            return _install(folder, octets, signatures, bundles, now, origin, attempt)
        except OSError as error:
            why = f"{folder}: cannot be written: {error.strerror or error}"
            raise BundleError([f"{why}. Free some space, or run this as root; what was in force stays."]) from error
        except ProblemsError as error:
            why = error.why if isinstance(error, RefusedError) else Why.CONTENT
            _note(folder, now, "refused", file=origin, why=why, problems=list(error.problems[:5]))
            raise


def rollback(folder: Path, bundles: Bundles, now: int, attempt: Try) -> int:
    """Put the bundle before the one in force in force again, and return its serial; logged before it happens.

    The only way to a lower serial. A second one undoes the first. Raises BundleError, and nothing has changed.
    """
    with store.locked(folder):
        state = store.read_state(folder)
        if not state.previous:
            raise BundleError([f"{folder}: there is no bundle before serial {state.serial}. Install another one."])
        home = folder / str(state.previous)
        signers = store.accepted(home, bundles, state)
        current.verified(home, state.previous, replace(signers, revoked=signers.revoked | set(state.revoked)))
        attempt(home)
        back = state.model_copy(
            update={
                "serial": state.previous,
                "previous": state.serial,
                "digest": signature.digest(store.read_bundle(home / store.BUNDLE)).hex(),
            }
        )
        try:
            store.log(folder, now, "rollback", serial=back.serial, instead_of=state.serial)
            store.write_state(folder, back)
        except OSError as error:
            raise BundleError([f"{folder}: cannot be written: {error.strerror}. Run this as root."]) from error
        return back.serial


def _install(
    folder: Path, octets: bytes, signatures: bytes, bundles: Bundles, now: int, origin: str, attempt: Try
) -> Decision:
    state = store.read_state(folder)
    trusted = store.trusted(bundles, state)
    decision = trust.decide(
        octets, signature.parse(signatures) if signatures else (), trusted, state.installed, now, bundles.max_age
    )
    serial = decision.bundle.manifest.serial
    said = {"serial": serial, "file": origin, "keys": list(decision.signers), "digest": decision.digest[:32]}
    if decision.step is Step.KEYS:
        store.log(folder, now, "keys", **said, version=decision.record.version if decision.record else 0)
        store.write_state(folder, _with_keys(state, decision, bundles))
        return decision
    home = folder / str(serial)
    if decision.step is Step.NOTHING and _whole(home, bundles, state):
        _note(folder, now, "already installed", **said)
        return decision
    draft = folder / _DRAFT
    try:
        disk.remove(draft)  # of an installation that a crash has ended
        accepted = Accepted(anchor=store.anchor(bundles), keys=trust.recorded(trusted))
        store.unpack(draft, octets, signatures, decision.bundle.files, accepted)
        attempt(draft)
        store.log(folder, now, "installing", **said)
        disk.remove(home)  # the same: it is not in force, or damaged
        disk.move(draft, home)
        if decision.step is Step.INSTALL:
            store.write_state(folder, _after(state, decision, bundles, now))
    except BaseException:
        disk.remove(draft)
        raise
    _note(folder, now, "installed", **said)
    _tidy(folder)
    return decision


def _after(state: State, decision: Decision, bundles: Bundles, now: int) -> State:
    serial = decision.bundle.manifest.serial
    return _with_keys(state, decision, bundles).model_copy(
        update={
            "serial": serial,
            "previous": state.serial,
            "highest": serial,
            "digest": decision.digest,
            "at": now,
        }
    )


def _with_keys(state: State, decision: Decision, bundles: Bundles) -> State:
    record = decision.record
    if record is None:
        return state
    revoked = tuple(sorted({*state.revoked, *record.revoked}))
    return state.model_copy(update={"keys": record, "revoked": revoked, "anchor": store.anchor(bundles)})


def _whole(home: Path, bundles: Bundles, state: State) -> bool:
    try:
        current.verified(home, state.serial, store.accepted(home, bundles, state))
    except BundleError:
        return False
    return True


def _note(folder: Path, now: int, event: str, **said: object) -> None:
    """Log what has happened already: that this cannot be written changes nothing any more."""
    try:
        store.log(folder, now, event, **said)
    except OSError:
        return


def _tidy(folder: Path) -> None:
    """Remove the bundles that nobody can go back to."""
    state = store.read_state(folder)
    for each in folder.iterdir():
        if each.is_dir() and each.name not in (str(state.serial), str(state.previous)):
            try:
                disk.remove(each)
            except OSError:
                continue  # the next installation tries again
