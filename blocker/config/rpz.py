"""Policy zones: ours for other resolvers, and other people's for us."""

from collections.abc import Iterator, Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from blocker.config.feeds import whose
from blocker.config.models import UNLISTED
from blocker.config.section import Section
from blocker.config.values import AppId, FilePath, GroupName, Listening, Server, Where, Zone, mistakes


class RpzKey(Section):
    """A secret that both ends of a transfer know (TSIG, RFC 8945)."""

    name: Zone
    """The key's name, the same at both ends."""
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    """How messages are signed."""
    secret_file: FilePath
    """A file that holds the secret in base64, closed to others; 16 octets at least."""


class RpzZone(Section):
    """One group's policy as a zone."""

    name: Zone
    """The zone's name, such as `rpz.example`."""
    group: GroupName = UNLISTED
    """Whose policy: a group's name, or `default` for clients in no group."""
    secondaries: tuple[Server, ...] = Field(default=(), max_length=64)
    """Resolvers that may transfer it, by address, and are notified at that port, `ADDR` or `ADDR:PORT`."""
    key: Zone | None = None
    """The key that they must sign with; not said: the address alone decides, for servers that cannot sign (Unbound)."""


class RpzImport(Section):
    """Somebody else's policy zone, as a list of ours."""

    zone: Zone
    """The zone's name at the primary."""
    primaries: tuple[Server, ...] = Field(min_length=1, max_length=8)
    """Whom to transfer it from, in order, `ADDR` or `ADDR:PORT`."""
    key: Zone | None = None
    """The key that requests are signed with and answers must be."""
    app: AppId | None = None
    """The app that its entries belong to."""
    category: AppId | None = None
    """Instead of `app`: what kind of names it holds, as a feed's."""
    max_records: int = Field(default=2_000_000, ge=1, le=20_000_000)
    """Records; a larger zone is refused."""

    @property
    def subject(self) -> str:
        """The app or category that its entries belong to."""
        return self.app or self.category or ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := [*whose(self.app, self.category)]:
            raise mistakes(found)
        return self


class Rpz(Section):
    """Policy zones: ours for other resolvers, and other people's for us."""

    listen: tuple[Listening, ...] = Field(default=(), max_length=8)
    """Where zones are transferred from and NOTIFY is heard, UDP and TCP, `ADDR:PORT`; changes need a restart."""
    zones: tuple[RpzZone, ...] = Field(default=(), max_length=64)
    """What is served."""
    imports: tuple[RpzImport, ...] = Field(default=(), max_length=64)
    """What is taken over from others."""
    keys: tuple[RpzKey, ...] = Field(default=(), max_length=64)
    """The secrets of transfers."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := [*self._twice(), *self._unknown_keys()]:
            raise mistakes(found)
        return self

    def _twice(self) -> Iterator[tuple[Where, str]]:
        for section, values in self._unique().items():
            for at, (field, value) in enumerate(values):
                if (field, value) in values[:at]:
                    yield (section, at, field), f"{value!r} is written twice; choose another"

    def _unique(self) -> Mapping[str, list[tuple[str, str]]]:
        return {
            "zones": [("name", each.name) for each in self.zones],
            "imports": [("zone", each.zone) for each in self.imports],
            "keys": [("name", each.name) for each in self.keys],
        }

    def _unknown_keys(self) -> Iterator[tuple[Where, str]]:
        known = {each.name for each in self.keys}
        using = [("zones", at, each.key) for at, each in enumerate(self.zones)]
        using += [("imports", at, each.key) for at, each in enumerate(self.imports)]
        for section, at, key in using:
            if key is not None and key not in known:
                yield (section, at, "key"), f"there is no key {key!r}; describe it under rpz.keys"
        if self.zones and not self.listen:
            yield ("listen",), "zones are to be served, but nowhere; add an address and port, 192.0.2.1:5300"
