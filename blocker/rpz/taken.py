"""The zones that were taken over, as they lie on disk: what the lists read, without the libraries that fetch it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import quote

from blocker.config import RpzImport
from blocker.lists.feed import FeedFile

FOLDER: Final = "rpz/imports"  # in the state folder
HEADER_LINES: Final = 4
_SOA: Final = re.compile(r"@ SOA \. \. ([0-9]{1,10}) ([0-9]{1,10}) ([0-9]{1,10}) ([0-9]{1,10}) 60\n")


@dataclass(frozen=True, slots=True)
class Soa:
    """What the SOA says; seconds but for the serial."""

    serial: int
    refresh: int
    retry: int
    expire: int


def in_force(imports: Iterable[RpzImport], state: Path) -> tuple[tuple[FeedFile, ...], tuple[str, ...]]:
    """Return the files to compile, and what an operator should hear of zones that have none.

    `state` is the state folder.
    """
    found: list[FeedFile] = []
    warnings: list[str] = []
    for each in imports:
        path = path_of(each.zone, state / FOLDER)
        if soa_of(path, each.zone) is not None:
            found.append(file_of(each, path))
        else:
            warnings.append(
                f"policy zone {each.zone} was not taken over yet: none of its names are blocked until then."
            )
    return tuple(found), tuple(warnings)


def file_of(settings: RpzImport, path: Path) -> FeedFile:
    """Return the zone's text at `path` as a list."""
    return FeedFile(settings.zone, settings.subject, path, "rpz", category=settings.category is not None)


def path_of(zone: str, folder: Path) -> Path:
    """Return where the text of `zone` lies."""
    return folder / f"{quote(zone, safe='')}.zone"


def header(zone: str, soa: Soa) -> str:
    """Return the first HEADER_LINES lines of a zone's text."""
    numbers = f"{soa.serial} {soa.refresh} {soa.retry} {soa.expire}"
    return f"; policy zone, taken over by blocker\n$ORIGIN {zone}.\n$TTL 60\n@ SOA . . {numbers} 60\n"


def soa_of(path: Path, zone: str) -> Soa | None:
    """Return the SOA of the text at `path`, None if it is not there or no text of `zone`."""
    try:
        with path.open(encoding="ascii") as file:
            said = "".join(islice(file, HEADER_LINES))
    except (OSError, ValueError):
        return None
    found = _SOA.search(said)
    if found is None or said != header(zone, soa := Soa(*map(int, found.groups()))):
        return None
    return soa
