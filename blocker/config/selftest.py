"""The selftest section: queries that we ask ourselves, to know that what is banned stays blocked."""

from ipaddress import IPv4Address, IPv6Address

from pydantic import Field

from blocker.config.section import Section
from blocker.config.values import AddressV4, AddressV6


class Selftest(Section):
    """Queries that we ask ourselves over our own listeners, to know that what is banned stays blocked."""

    interval: int = Field(default=60, ge=0, le=86400)
    """Seconds between two rounds; 0: none."""
    timeout: float = Field(default=2.0, gt=0, le=10)
    """Seconds an answer may take."""
    source_v4: AddressV4 = IPv4Address("127.54.54.54")
    """The address that IPv4 listeners are asked from; its queries are the group `selftest` in metrics and
    in the query log, and no attempts."""
    source_v6: AddressV6 | None = None
    """The same for IPv6 listeners, an address of this machine that nothing else asks from; `null`: these are asked for
    names that must resolve alone."""

    def source(self, version: int) -> IPv4Address | IPv6Address | None:
        """Return what listeners of IP `version` are asked from; None: there is nothing that would be known as ours."""
        return self.source_v4 if version == 4 else self.source_v6
