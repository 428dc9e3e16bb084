"""The evidence section: attempts as a chain of hashes with signed checkpoints."""

from pydantic import Field

from blocker.config.section import Section
from blocker.config.values import FilePath


class Evidence(Section):
    """The attempt log as evidence: nothing of it can be altered without trace."""

    chain: bool = False
    """Number the lines of the attempt log, and chain each to the one before it by a hash."""
    node: str = Field(default="", pattern=r"^([A-Za-z0-9._-]{1,64})?$")
    """This machine in records, letters, digits, `.`, `_` and `-`; empty: its host name."""
    key_file: FilePath | None = None
    """The secret key that signs checkpoints, minisign's format without pass phrase; `null`: they are not signed."""
    every_records: int = Field(default=10_000, ge=1, le=1_000_000)
    """Records after which a checkpoint is due."""
    every_seconds: int = Field(default=60, ge=1, le=86400)
    """Seconds after which a checkpoint is due, if there are new records."""
    checkpoints: FilePath | None = None
    """A file that takes a copy of every checkpoint, to be sent away; `null`: beside the log, `.checkpoints` behind its
    name, or in the state folder where the log is standard output."""
