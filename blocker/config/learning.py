"""How addresses of banned names are found out."""

from pydantic import Field

from blocker.config.section import Section


class Learning(Section):
    """How the addresses of banned names are found out, and which may be refused."""

    rate: float = Field(default=5.0, gt=0, le=1000)
    """Questions a second that we ask by ourselves, over all upstreams."""
    names: int = Field(default=5000, ge=10, le=50_000)
    """Names that are asked for, of all apps together: what the lists name, and what devices asked for below that."""
    probation: int = Field(default=600, ge=0, le=86400)
    """Seconds an address is only watched, so that allowed names at it can turn up, before connections are refused."""
    keep: int = Field(default=3600, ge=60, le=604_800)
    """Seconds an address is refused after a banned name last had it, or longer if the TTL says so."""
    recent: int = Field(default=86400, ge=600, le=604_800)
    """Seconds for which an address that an allowed name had is left alone."""
