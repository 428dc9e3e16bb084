"""The gate's bounds: how long what DNS told a device stays open, and how much of it."""

from pydantic import Field

from blocker.config.section import Section


class Gating(Section):
    """How long devices may connect to what our DNS told them."""

    minimum: int = Field(default=60, ge=1, le=86400)
    """Seconds that an address stays open at the least, however short its TTL: applications keep what they resolved."""
    grace: int = Field(default=120, ge=0, le=86400)
    """Seconds that it stays open beyond that; each answer with the address counts anew."""
    wait: float = Field(default=0.25, ge=0.01, le=5)
    """Seconds that an answer waits for the kernel at the most; then the device hears SERVFAIL, and asks again.
    While the blocker starts, until the first rules are made, it waits for two."""
    waiting: int = Field(default=4096, ge=16, le=65535)
    """Answers that may wait at once, per worker; more are not given."""
    per_device: int = Field(default=4096, ge=128, le=100_000)
    """Addresses that one device may connect to; a device that is told more loses the ones it was told longest ago."""
    pairs: int = Field(default=200_000, ge=1000, le=500_000)
    """Pairs of device and address altogether; beyond that the device that holds most loses some."""
