"""The approved exceptions at one time, written into a file for the processes that serve: they need no store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from blocker.errors import ArtifactError
from blocker.exceptions.entry import Grant


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the serving processes must know of exceptions."""

    granted: tuple[Grant, ...] = ()  # approved and not ended; some may begin later
    seq: int = -1  # number of the last change
    counts: Mapping[str, int] | None = None  # exceptions in each state; None: they could not be read

    def said(self) -> dict[str, Any]:
        """Return this as plain data."""
        return {"granted": [each.said() for each in self.granted], "seq": self.seq, "counts": self.counts}


NONE: Final = Snapshot(counts={})


def granted_in(path: str) -> tuple[Grant, ...]:
    """Return the exceptions in the file at `path`. Raises ArtifactError."""
    try:
        return tuple(Grant.of(each) for each in json.loads(Path(path).read_bytes())["granted"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: not a file of exceptions: {error}. Run `blocker reload`.") from error
