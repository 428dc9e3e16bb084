"""What is known of one feed: the editions on disk, and how the attempts to fetch it went. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from blocker.errors import FeedError

LARGEST: Final = 65536  # octets of a file of facts
_VERSION: Final = 1  # of the file's form
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Edition:
    """One content that the source had."""

    sha256: str
    octets: int
    entries: int  # names and rules read from it
    bad: int = 0  # lines that are none
    unsupported: int = 0  # lines that are rules, but not for a DNS server
    refused: int = 0  # lines that would block what must resolve, or a public suffix
    fetched: float = 0.0  # unix seconds
    etag: str = ""  # the source's own validators (RFC 9110 §8.8) ...
    modified: str = ""
    source: str = ""  # ... and the digest of the address that they hold for

    def __post_init__(self) -> None:
        """Refuse a digest that is none: it becomes a file's name."""
        if not _DIGEST.fullmatch(self.sha256):
            raise FeedError(f"{self.sha256[:80]!r} is not a SHA-256.")


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of a feed; times are unix seconds, 0 for never."""

    in_force: Edition | None = None
    former: Edition | None = None  # in force before; kept in case the other is damaged
    held: Edition | None = None  # waits for a person, or was rejected
    why_held: str = ""
    rejected: float = 0.0  # when a person decided that it shall not come into force
    tried: float = 0.0
    succeeded: float = 0.0  # when `in_force` was last what the source has
    failures: int = 0  # in a row
    failed: int = 0  # altogether
    error: str = ""  # of the last attempt; empty: it did not fail

    @property
    def waiting(self) -> bool:
        """Tell whether a person has to decide."""
        return self.held is not None and not self.rejected

    @property
    def latest(self) -> Edition | None:
        """The edition that the source had last, as far as it was read."""
        return self.held or self.in_force

    def published(self, edition: Edition, now: float) -> "Facts":
        """Return the facts once `edition` is in force."""
        former = self.former if self.in_force is None or self.in_force.sha256 == edition.sha256 else self.in_force
        return Facts(in_force=edition, former=former, tried=now, succeeded=now, failed=self.failed)

    def keeping(self, edition: Edition, why: str, now: float) -> "Facts":
        """Return the facts once `edition` is held because of `why`."""
        return replace(self, held=edition, why_held=why, rejected=0.0, tried=now, failures=0, error="")

    def unchanged(self, now: float) -> "Facts":
        """Return the facts once the source has said that it still has the latest edition."""
        succeeded = self.succeeded if self.held else now
        return replace(self, tried=now, succeeded=succeeded, failures=0, error="")

    def returned(self, edition: Edition, now: float) -> "Facts":
        """Return the facts once the source has gone back to what is in force; nothing is held any more."""
        return Facts(in_force=edition, former=self.former, tried=now, succeeded=now, failed=self.failed)

    def after_failure(self, error: str, now: float) -> "Facts":
        """Return the facts after a failed attempt."""
        return replace(self, tried=now, failures=self.failures + 1, failed=self.failed + 1, error=error)

    def accepted(self, now: float) -> "Facts":
        """Return the facts once a person has put what was held in force. Raises FeedError if nothing is held."""
        if self.held is None:
            raise FeedError("nothing is held; there is nothing to accept.")
        return replace(self.published(self.held, now), tried=self.tried)

    def after_rejection(self, now: float) -> "Facts":
        """Return the facts once a person has rejected what was held. Raises FeedError if nothing is held."""
        if self.held is None:
            raise FeedError("nothing is held; there is nothing to reject.")
        return replace(self, rejected=now)


def to_json(facts: Facts) -> bytes:
    """Return `facts` as the content of a file, without what is as at the beginning: a former version reads it too."""
    first = asdict(Facts())
    said = {key: value for key, value in asdict(facts).items() if value != first[key]}
    return json.dumps({"version": _VERSION, **said}, indent=1).encode()


def from_json(content: bytes) -> Facts:
    """Return the facts that `to_json` wrote. Raises FeedError if `content` is anything else."""
    if len(content) > LARGEST:
        raise FeedError("too large")
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FeedError(f"not JSON: {error}") from error
    if not isinstance(said, dict) or said.pop("version", None) != _VERSION:
        raise FeedError(f"not facts of version {_VERSION}")
    for key in ("in_force", "former", "held"):
        if said.get(key) is not None:
            said[key] = _made(Edition, said[key])
    found: Facts = _made(Facts, said)
    return found


def _made(kind: Any, said: object) -> Any:  # noqa: ANN401 one of the two classes above
    """Return a `kind` with the values `said`, each of the type that the class declares."""
    if not isinstance(said, Mapping):
        raise FeedError("a part is not an object")
    wanted = {field.name: field.type for field in fields(kind)}
    if unknown := sorted(set(said) - set(wanted)):
        raise FeedError(f"unknown key {unknown[0]!r}")
    for key, value in said.items():
        if not _fits(value, wanted[key]):
            raise FeedError(f"{key} is not {getattr(wanted[key], '__name__', wanted[key])}")
    try:
        return kind(**said)
    except TypeError as error:
        raise FeedError(str(error)) from error


def _fits(value: object, wanted: object) -> bool:
    if isinstance(value, bool):
        return False
    if wanted is float:
        return isinstance(value, int | float) and 0 <= value < 1e12
    if wanted is int:
        return isinstance(value, int) and value >= 0
    return isinstance(value, str) if wanted is str else value is None or isinstance(value, Edition)
