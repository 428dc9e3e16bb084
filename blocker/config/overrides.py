"""Who decided that a name may be blocked although it must resolve or is a public suffix."""

from pydantic import Field

from blocker.config.section import Section
from blocker.config.values import Zone


class Override(Section):
    """One name that lists may block against the product's advice; told in the log at each load."""

    name: Zone
    """The name: it, and every must-resolve name below it, may be blocked."""
    reason: str = Field(min_length=1, max_length=200)
    """Why, for whoever reads the log."""
    by: str = Field(min_length=1, max_length=100)
    """Who decided it."""
