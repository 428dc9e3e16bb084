"""The exceptions beside a generation: a file of their own, since they come and go without the lists.

`prepare` and `amend` run in the short-lived preparer, which alone opens the store; `granted` is what the serving
processes read.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from blocker.bundle import current as bundles
from blocker.config import UNLISTED, Config
from blocker.errors import ArtifactError, ExceptionsError
from blocker.exceptions.entry import Grant
from blocker.exceptions.snapshot import Snapshot, granted_in
from blocker.serve import statefile
from blocker.sinks import oplog


class Standing(NamedTuple):
    """What is served, and at which moment: what the supervisor tells all others."""

    generation: str  # path
    exceptions: str  # path of those that are approved; empty: none
    moment: float  # unix time
    ends: Mapping[str, float]  # of exceptions that end earlier than was approved, by id: clocks were set back

    def said(self) -> dict[str, object]:
        """Return this as a message."""
        return self._asdict()

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Standing":
        """Return what a message says. Raises KeyError, TypeError or ValueError."""
        ends = {str(each): float(when) for each, when in said["ends"].items()}
        return cls(str(said["generation"]), str(said["exceptions"]), float(said["moment"]), ends)


class Approved(NamedTuple):
    """Exceptions as they were approved, and the file that they were read from."""

    path: str
    grants: tuple[Grant, ...]


def approved(standing: Standing, before: Approved | None = None) -> Approved:
    """Return the approved exceptions, those known `before` if they are the same: no turn needs a file.

    Raises ArtifactError.
    """
    if before is not None and before.path == standing.exceptions:
        return before
    return Approved(standing.exceptions, granted_in(standing.exceptions) if standing.exceptions else ())


def shortened(grants: Sequence[Grant], ends: Mapping[str, float]) -> list[Grant]:
    """Return exceptions with the earliest of the ends that each ever had."""
    return [
        replace(each, ends=min(each.ends, math.floor(ends[each.id]))) if each.id in ends else each for each in grants
    ]


def prepare(
    config: Config, folder: Path, number: int, bundled: Sequence[Grant] = (), *, first: bool = False
) -> dict[str, object]:
    """Write the approved exceptions into a file, and return what the supervisor must know of them.

    Those that the installed bundle brings, `bundled`, are in force beside our own, unless our store knows them to be
    over. Raises ExceptionsError when it cannot be read; for the `first` generation there are none then, not even of
    the bundle's: it would be unknown which of them have ended.
    """
    from blocker.exceptions import store  # SQLite: in this short-lived process, never in the workers

    try:
        found = store.snapshot(config, bundled)
    except ExceptionsError as error:
        if not first:
            raise
        oplog.get("exceptions").error("exceptions cannot be read; none is in force", why=str(error))
        found = Snapshot()
    groups = {"", UNLISTED, *(group.name for group in config.groups)}
    for each in found.granted:
        if each.group not in groups:
            oplog.get("exceptions").warning("an exception lifts nothing", exception=each.id, no_such_group=each.group)
    target = folder / f"exceptions-{number}.json"
    statefile.write(target, json.dumps(found.said()).encode())
    statefile.tidy(folder, "exceptions-*.json", {target})
    return {
        "path": str(target),
        "number": number,
        "seq": found.seq,
        "counts": found.counts,
        "granted": {each.id: [each.starts, each.ends] for each in found.granted},
    }


def amend(before: Mapping[str, Any], number: int) -> dict[str, object]:
    """Read the exceptions anew for a generation that was prepared `before`, whatever lists and configuration say now.

    Returns what `prepare` returns. Raises BlockerError, and then nothing has changed.
    """
    path = Path(before["path"])
    try:
        config = Config.model_validate(json.loads(path.read_bytes())["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: not a generation: {error}. Run `blocker reload`.") from error
    return prepare(config, path.parent, number, bundles.in_force(config).granted)
