"""The exceptions section: where they are kept, how long one may last, and whose word counts."""

from pydantic import Field

from blocker.config.section import Section
from blocker.config.values import FilePath


class Exceptions(Section):
    """Exceptions that people ask for and approve, and that end by themselves."""

    file: FilePath | None = None
    """Where they are kept, an SQLite file; `null`: `exceptions.db` in the state folder."""
    audit: FilePath | None = None
    """Where every change is written, one JSON line each, only ever appended; `null`: beside the file, `.audit.jsonl`
    in place of its suffix."""
    local: bool | None = None
    """Let exceptions that were approved on this node count here, and not only those of a bundle; `null`: yes, unless
    `bundles.keys` says that policy comes from signed bundles, without `bundles.allow_local`."""
    max_duration: int = Field(default=7_776_000, ge=60, le=315_360_000)
    """Seconds one may last, 90 days unless said otherwise; after that a new one must be asked for and approved."""
    requesters: tuple[str, ...] = ()
    """Who may ask for one, by account or by the name that an account of `delegates` speaks for; none: anybody."""
    approvers: tuple[str, ...] = ()
    """Who may approve one, as above; the one who has asked never may."""
    delegates: tuple[str, ...] = ("root",)
    """Accounts that may act for somebody else (`--as NAME`): a help desk's, or a web console's."""
