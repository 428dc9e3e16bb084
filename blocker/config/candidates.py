"""The candidates section: the search for names that look like a banned app's and are in no list yet."""

from pydantic import Field

from blocker.config.section import Section
from blocker.config.values import AppId, FilePath


class Candidates(Section):
    """The search for names that look like a banned app's and are in no list yet."""

    enabled: bool = False
    """Look for them in what clients ask, in a process of its own; each query then costs as with a query log."""
    apps: tuple[AppId, ...] = ()
    """Apps whose relatives are looked for; none: those whose list has `brand` words."""
    window: float = Field(default=10.0, ge=1, le=60)
    """Seconds from a client's first query within which its queries belong together."""
    threshold: float = Field(default=0.5, ge=0.1, le=0.95)
    """Weight, 0 to 1, from which on a name is told."""
    max_clients: int = Field(default=10_000, ge=10, le=1_000_000)
    """Clients kept in mind, some 2 kB each; those not heard of for longest go first."""
    max_names: int = Field(default=20_000, ge=100, le=1_000_000)
    """Owners' names kept in mind, some 2 kB each; those not asked for longest go first."""
    folder: FilePath | None = None
    """Where accepted names go, one of `lists.directories`; not said: the first of them."""
