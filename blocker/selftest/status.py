"""How the last round went, for metrics and people: written by the process that asks, read by whoever shows it."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

FILE: Final = "selftest.json"  # in the state folder
_VERSION: Final = 1
_LARGEST: Final = 1 << 20  # octets


@dataclass(frozen=True, slots=True)
class Outcome:
    """One app, or resolution, in the last round that asked for it."""

    ok: bool
    checked: float  # unix seconds
    name: str  # that was asked
    why: str = ""  # the first failure


@dataclass(frozen=True, slots=True)
class Status:
    """The last round."""

    apps: Mapping[str, Outcome] = field(default_factory=dict)
    resolution: Outcome | None = None


def write(status: Status, state: Path) -> None:
    """Put `status` into the state folder, whole or not at all. Raises OSError."""
    target = state / FILE
    draft = target.with_suffix(f".{os.getpid()}.draft")
    try:
        draft.write_text(json.dumps({"version": _VERSION, **asdict(status)}), encoding="ascii")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def read(state: Path) -> Status:
    """Return what was written last; nothing, if it is not there or makes no sense."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        with (state / FILE).open("rb") as file:
            said: dict[str, Any] = json.loads(file.read(_LARGEST))
        if said["version"] == _VERSION:
            resolution = said["resolution"]
            return Status(
                {app: Outcome(**each) for app, each in said["apps"].items()},
                None if resolution is None else Outcome(**resolution),
            )
    return Status()
