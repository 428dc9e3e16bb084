"""How the zones do, for metrics and people: written by the zones process, read by whoever shows it."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

FILE: Final = "rpz/status.json"  # in the state folder
_VERSION: Final = 1
_LARGEST: Final = 1 << 20  # octets


@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """A zone that we serve."""

    serial: int
    records: int
    unsaid: int = 0  # exceptions in force for its group that it cannot say


@dataclass(frozen=True, slots=True)
class ImportStatus:
    """A zone that we take over."""

    serial: int  # 0: none yet
    records: int
    confirmed: float  # unix seconds at which a primary last said that it is current; 0: never
    expires: float  # unix seconds at which it expires, unless it is confirmed; 0: there is none


@dataclass(frozen=True, slots=True)
class Status:
    """All zones; transfers are counted by zone, kind and result, joined by a space."""

    zones: Mapping[str, ZoneStatus] = field(default_factory=dict)
    imports: Mapping[str, ImportStatus] = field(default_factory=dict)
    transfers: Mapping[str, int] = field(default_factory=dict)
    import_transfers: Mapping[str, int] = field(default_factory=dict)
    notify_failures: int = 0  # secondaries that were told in vain


def write(status: Status, state: Path) -> None:
    """Put `status` into the state folder, whole or not at all. Raises OSError."""
    target = state / FILE
    target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    draft = target.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({"version": _VERSION, **asdict(status)}), encoding="ascii")
    draft.replace(target)


def read(state: Path) -> Status:
    """Return what was written last; nothing, if it is not there or makes no sense."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        with (state / FILE).open("rb") as file:
            said: dict[str, Any] = json.loads(file.read(_LARGEST))
        if said.pop("version") == _VERSION:
            zones = {name: ZoneStatus(**each) for name, each in said.pop("zones").items()}
            imports = {name: ImportStatus(**each) for name, each in said.pop("imports").items()}
            return Status(zones, imports, **said)
    return Status()
