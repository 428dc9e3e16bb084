"""The files that rollouts are kept in, in the state folder: where they were moved to, and what hit must-resolve names.

Two writers, a person's command and the control process, take turns by a lock on the folder; readers need none. A file
that cannot be read holds every rollout in shadow: it may have said that one had been taken back.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from blocker.bundle import disk
from blocker.config import Config, Stage
from blocker.errors import RolloutError
from blocker.rollout import plan
from blocker.rollout.plan import Position

FILE: Final = "rollout.json"
HITS: Final = "rollout-hits.json"

_HISTORY: Final = 200  # moves kept, of all rollouts
_LARGEST: Final = 1 << 20  # octets


@dataclass(frozen=True, slots=True)
class Kept:
    """What was moved, by name, and how it went, the newest last."""

    positions: Mapping[str, Position] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    damaged: str = ""  # why the file could not be read


def in_force(config: Config, folder: Path) -> Config:
    """Return `config` with its rollouts at the stages in force, by what is kept in `folder`."""
    return plan.applied(config, positions(config, read(folder)))


def positions(config: Config, kept: Kept) -> dict[str, Position]:
    """Return where each rollout of `config` stands, and each that it names no more but that must stay in shadow."""
    plans = plan.held(config, kept.positions)
    if kept.damaged:
        why = kept.damaged
        return {each.name: plan.at(each, Stage.SHADOW, by=plan.ITSELF, why=why, returned=True) for each in plans}
    return {each.name: plan.position(each, kept.positions.get(each.name)) for each in plans}


def said(positions: Mapping[str, Position]) -> dict[str, Any]:
    """Return `positions` as plain data."""
    return {name: asdict(where) for name, where in positions.items()}


def positions_in(said: Mapping[str, Any]) -> dict[str, Position]:
    """Return what `said` returned. Raises ValueError, KeyError, TypeError or AttributeError."""
    return {name: _position(each) for name, each in said.items()}


def read(folder: Path) -> Kept:
    """Return what is kept in `folder`; a damaged file says so in the result."""
    target = folder / FILE
    try:
        found = _json(target)
        if found is None:
            return Kept()
        return Kept(positions_in(found["positions"]), tuple(found["history"]))
    except OSError as error:
        return Kept(damaged=f"{target} cannot be read: {error.strerror}")
    except (ValueError, KeyError, TypeError, AttributeError):
        return Kept(damaged=f"{target} is damaged; remove it, then move each rollout to where it should be")


def move(folder: Path, name: str, to: Position, *, keep: frozenset[str]) -> None:
    """Write that the rollout `name` is now at `to`; of the others those in `keep` stay, and those that went back.

    Raises RolloutError.
    """
    with _locked(folder):
        kept = read(folder)
        others = {each: where for each, where in kept.positions.items() if each in keep or where.returned}
        entry = {"rollout": name, "stage": str(to), "since": to.since, "by": to.by, "why": to.why}
        _write(
            folder / FILE,
            {"positions": said(others | {name: to}), "history": [*kept.history, entry][-_HISTORY:]},
        )


def read_hits(folder: Path) -> dict[str, tuple[int, list[float]]]:
    """Return for each rollout how often must-resolve names were hit, and when they last were; unix seconds."""
    try:
        found = _json(folder / HITS) or {}
        return {name: (int(count), [float(each) for each in times]) for name, (count, times) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # a count begins anew: nothing rests on it but how soon the next return comes


def write_hits(folder: Path, hits: Mapping[str, tuple[int, list[float]]]) -> None:
    """Keep what `read_hits` returns. Raises RolloutError."""
    _write(folder / HITS, hits)


def _json(target: Path) -> dict[str, Any] | None:
    try:
        with target.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    try:
        found = json.loads(content)
    except RecursionError as error:
        raise ValueError from error
    if not isinstance(found, dict):
        raise TypeError
    return found


def _position(each: Mapping[str, Any]) -> Position:
    return Position(
        Stage(each["stage"]),
        tuple(map(str, each["groups"])),
        int(each["percent"]),
        float(each["since"]),
        str(each["by"]),
        str(each["why"]),
        bool(each["returned"]),
        str(each["about"]),
        str(each["configured"]),
    )


def _write(target: Path, content: Mapping[str, Any]) -> None:
    try:
        disk.replace(target, json.dumps(content, indent=1).encode() + b"\n")
    except OSError as error:
        how = "Free some space, or run this as the blocker's user or root"
        raise RolloutError(f"{target}: cannot be written: {error.strerror}. {how}.") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RolloutError(f"{folder}: cannot be opened: {error.strerror}. Start the blocker once.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
