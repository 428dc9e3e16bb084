"""Everything we raise on purpose. Anything else that is raised is a bug of ours.

Each message says where, what and what to do, because its reader is an operator at night.
"""

from collections.abc import Sequence


class BlockerError(Exception):
    """The base of all errors raised on purpose."""


class NameFormatError(BlockerError, ValueError):
    """A text is not a domain name."""


class WireError(BlockerError):
    """A DNS message is malformed or asks for what we do not do.

    `rcode` is what the sender should hear, None for silence; `reason` is a short word that is
    safe as a metric label: the set of reasons is closed, it never quotes the packet.
    """

    def __init__(self, rcode: int | None, reason: str) -> None:
        super().__init__(reason)
        self.rcode = rcode
        self.reason = reason


class ProblemsError(BlockerError):
    """Input of people's that was refused; `problems` holds every mistake found, not only the first."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ConfigError(ProblemsError):
    """The configuration was refused; each problem reads `file:line: path: what is wrong`."""


class ListError(ProblemsError):
    """A list of ours was refused; each problem reads `file:line: what is wrong`."""


class BundleError(ProblemsError):
    """A bundle, a signature or a key was refused; each problem says what is wrong with it."""


class EvidenceError(BlockerError):
    """Evidence cannot be read, or a chain cannot be joined to what is there."""


class DamagedError(EvidenceError):
    """A packed file of evidence cannot be unpacked to its end; what came before that is good."""


class RolloutError(BlockerError):
    """A rollout cannot be moved, or where it was moved to cannot be written."""


class ArtifactError(BlockerError):
    """A compiled index is damaged, of another version, or missing."""


class CaptureError(BlockerError):
    """Packets cannot be captured, or a file of them cannot be read."""


class KernelError(BlockerError):
    """The kernel refused what we asked of its rules and sets, or said what nobody understands; nothing was changed.

    `number` is its error as a number of errno, 0 if it named none.
    """

    def __init__(self, why: str, number: int = 0) -> None:
        super().__init__(why)
        self.number = number


class TalkError(BlockerError):
    """A message between our own processes cannot be read: a bug of ours, or somebody who became one of them."""


class FeedError(BlockerError):
    """A feed could not be fetched, was refused, or could not be kept; what is in force stays.

    `passing` tells whether trying again soon may help.
    """

    def __init__(self, why: str, *, passing: bool = False) -> None:
        super().__init__(why)
        self.passing = passing


class LogError(BlockerError):
    """A log that was to be read is missing, not readable, or of no format we know."""


class EngineError(BlockerError):
    """DuckDB is not installed, or could not do its work."""


class CandidateError(BlockerError):
    """A candidate cannot be kept, accepted or dismissed; `damaged` tells whether what is on disk makes no sense."""

    def __init__(self, why: str, *, damaged: bool = False) -> None:
        super().__init__(why)
        self.damaged = damaged


class ExceptionsError(BlockerError):
    """An exception cannot be requested, approved or revoked, or the store of them cannot be used."""
