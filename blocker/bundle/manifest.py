"""What a bundle says of itself, and which parts it may have. Pure.

A manifest has one spelling only: what is read is written again and must come out the same, so that no two
readers can understand one file differently.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from blocker.bundle import key
from blocker.bundle.key import PublicKey
from blocker.errors import BundleError
from blocker.lists import formats
from blocker.lists.marked import MAX_SIZE

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
KEYS: Final = "keys.json"
EXCEPTIONS: Final = "exceptions.json"
LISTS: Final = "lists"
SUFFIXES: Final = (".yaml", *formats.SUFFIXES)
MAX_SERIAL: Final = 1 << 53  # beyond, JSON readers disagree about numbers (RFC 8259 6)

MAX_RECORD: Final = 1 << 16  # octets of a set of keys

_FILE: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,40}(?:" + "|".join(map(re.escape, SUFFIXES)) + ")"


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of content: which names it has in the archive, how many, and how large."""

    name: re.Pattern[str]
    most: int  # files
    largest: int  # octets of each


PARTS: Final = (
    Part(re.compile(re.escape(MANIFEST)), 1, 4 << 20),
    Part(re.compile(re.escape(KEYS)), 1, MAX_RECORD),  # the next set of trusted keys
    Part(re.compile(re.escape(EXCEPTIONS)), 1, 8 << 20),  # approved by the publisher's people
    Part(re.compile(rf"{LISTS}/[0-9]{{2}}-[a-z0-9-]{{1,32}}/{_FILE}"), 1024, MAX_SIZE),  # in gather's order
)
"""Everything that a bundle may hold: a further part is one more row."""


def part_of(name: str) -> Part | None:
    """Return the part that a file of this name belongs to; None: no bundle holds such a file."""
    return next((part for part in PARTS if part.name.fullmatch(name)), None)


def _time(text: str) -> str:
    moment(text)
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that cannot be shown")
    return text


def _key(text: str) -> str:
    key.parse(text)
    return text


Time = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"), AfterValidator(_time)]
Words = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
KeyId = Annotated[str, Field(pattern=r"^[0-9A-F]{16}$")]


class Said(BaseModel):
    """What is written down in JSON, in one spelling."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def octets(self) -> bytes:
        """Return the one spelling of this."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True).encode() + b"\n"


class File(Said):
    """One file of the archive."""

    name: str
    size: Annotated[int, Field(ge=0)]  # octets
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Listed(Said):
    """What a list is, so that nobody has to open it to know."""

    name: str
    app: Words
    title: Words
    entries: Annotated[int, Field(ge=0)]
    reviewed: date | None = None
    review_by: date | None = None


class Manifest(Said):
    """The first file of every bundle."""

    format: Literal[1]
    serial: Annotated[int, Field(ge=1, le=MAX_SERIAL)]
    created: Time
    expires: Time
    publisher: Words
    files: tuple[File, ...]
    lists: tuple[Listed, ...]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if moment(self.expires) <= moment(self.created):
            raise ValueError("it expires before it was created")
        return self

    @property
    def comment(self) -> str:
        """The trusted comment of every signature: what a person reads before signing or believing."""
        return f"blocker bundle serial:{self.serial} created:{self.created} expires:{self.expires} by {self.publisher}"


class KeyRecord(Said):
    """A set of trusted keys: each follows the one before it by number."""

    version: Annotated[int, Field(ge=1, le=MAX_SERIAL)]
    threshold: Annotated[int, Field(ge=1, le=16)]
    keys: Annotated[tuple[Annotated[str, AfterValidator(_key)], ...], Field(min_length=1, max_length=16)]
    revoked: tuple[KeyId, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_keys(tuple(map(key.parse, self.keys)), self.threshold, self.revoked)
        return self


def check_keys(keys: tuple[PublicKey, ...], threshold: int, revoked: tuple[str, ...]) -> None:
    """Raise ValueError unless `threshold` signers can be told apart among `keys`."""
    if len({each.octets for each in keys}) != len(keys) or len({each.id for each in keys}) != len(keys):
        raise ValueError("a key is there twice: each counts once, and has a number of its own")
    if threshold > len(keys):
        raise ValueError(f"the threshold is {threshold}, and there are {len(keys)} keys: nothing could ever be signed")
    if both := sorted({each.name for each in keys} & set(revoked)):
        raise ValueError(f"key {both[0]} is both trusted and revoked")


_Kind = TypeVar("_Kind", bound=Said)


def parsed(octets: bytes, kind: type[_Kind], name: str) -> _Kind:
    """Return what `octets`, the archive's file `name`, say. Raises BundleError."""
    try:
        found = kind.model_validate_json(octets)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BundleError([f"{name}: {where + ': ' if where else ''}{first['msg'][:200]}."]) from error
    except RecursionError as error:
        raise BundleError([f"{name}: nested too deep."]) from error
    if found.octets() != octets:
        raise BundleError(
            [f"{name}: not written as bundles are: keys in order, each once. Make it with `bundle make`."]
        )
    return found


def described(name: str, content: bytes) -> File:
    """Return how a manifest names this file."""
    return File(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def differences(manifest: Manifest, files: Mapping[str, bytes]) -> list[str]:
    """Return how `files`, the manifest's own left out, are not what the manifest says."""
    said = {each.name: each for each in manifest.files}
    found = [f"{name}: stands in the manifest, but not in the archive." for name in sorted(said.keys() - files.keys())]
    found += [f"{name}: stands in the archive, but not in the manifest." for name in sorted(files.keys() - said.keys())]
    found += [
        f"{name}: is not what the manifest says."
        for name in sorted(said.keys() & files.keys())
        if described(name, files[name]) != said[name]
    ]
    if len(said) != len(manifest.files):
        found.append(f"{MANIFEST}: a file is named twice.")
    return found


def moment(text: str) -> int:
    """Return the unix time of `2026-11-24T00:00:00Z`. Raises ValueError."""
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def written(when: float) -> str:
    """Return a unix time as manifests have it."""
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%dT%H:%M:%SZ}"
