"""What the egress process last knew, kept in a file for those who show it.

The process writes it every few seconds; metrics and `blocker egress status` read it. Missing or spoilt it says
nothing: the kernel's own words are one nft away.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

FILE: Final = "egress.json"


@dataclass(frozen=True, slots=True)
class Status:
    """The rules in the kernel, as they were a moment ago."""

    digest: str = ""  # of the rules in force, as the process applied them
    applied: float = 0.0  # unix time
    seconds: float = 0.0  # that it took
    failures: int = 0  # times that rules could not be applied or read
    problem: str = ""  # why, the last time; nothing: all is well
    elements: Mapping[str, int] = field(default_factory=dict)  # addresses and ranges in static sets
    packets: Mapping[str, int] = field(default_factory=dict)  # by counter


def write(status: Status, state: Path) -> None:
    """Keep `status` in the `state` folder, whole or not at all. Raises OSError."""
    target = state / FILE
    draft = target.with_name(f".{FILE}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(status)), encoding="utf-8")
    draft.replace(target)


def read(state: Path) -> Status:
    """Return what was kept; an empty status where there is nothing to be read."""
    try:
        return Status(**json.loads((state / FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return Status()
