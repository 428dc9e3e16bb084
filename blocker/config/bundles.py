"""Whose bundles a node takes."""

import re
from typing import Annotated, Final, Self

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from blocker.bundle import key
from blocker.bundle.key import PublicKey
from blocker.config.section import Section
from blocker.config.values import FilePath, Where, mistakes

_KEY_ID: Final = re.compile(r"[0-9A-F]{16}")


def _public_key(value: object) -> PublicKey:
    if isinstance(value, PublicKey):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a public key; write the second line of the .pub file, in quotes")
    return key.parse(value)


def _key_id(value: object) -> str:
    if not isinstance(value, str) or not _KEY_ID.fullmatch(value):
        raise ValueError(f"{value!r} is not a key's number; write its 16 hexadecimal digits in capitals, in quotes")
    return value


_Key = Annotated[
    PublicKey,
    PlainValidator(_public_key),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "format": "public-key"}),
]
_KeyId = Annotated[str, PlainValidator(_key_id), WithJsonSchema({"type": "string", "format": "key-id"})]


class Bundles(Section):
    """Signed bundles: with trusted keys, lists come from installed bundles and from nowhere else."""

    keys: tuple[_Key, ...] = Field(default=(), max_length=16)
    """Public keys that are trusted, in minisign's base64 (`RW...`); none: lists are taken as they lie there."""
    threshold: int = Field(default=1, ge=1, le=16)
    """How many of `keys` must have signed a bundle."""
    keys_version: int = Field(default=1, ge=1, le=1_000_000)
    """Which version of the publisher's set `keys` are; a bundle may bring the next one."""
    revoked: tuple[_KeyId, ...] = ()
    """Numbers of keys (16 hexadecimal digits, as in `.pub` files) whose signatures count no more."""
    directory: FilePath | None = None
    """Where installed bundles are kept; not said: `bundles` in the state folder."""
    max_age: int | None = Field(default=None, ge=3600, le=315_360_000)
    """Seconds after its creation that a bundle may still be installed; not said: until it expires."""
    allow_local: bool = False
    """Take unsigned lists beside the bundle's: those of `lists.directories` and the feeds."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found: list[tuple[Where, str]] = []
        for at, each in enumerate(self.keys):
            if any(each.id == other.id or each.octets == other.octets for other in self.keys[:at]):
                found.append((("keys", at), f"key {each.name} is written twice; each counts once"))
            if each.name in self.revoked:
                found.append((("keys", at), f"key {each.name} is revoked; remove it from one of the two"))
        if self.keys and self.threshold > len(self.keys):
            found.append((("threshold",), f"{self.threshold} is more than there are keys: nothing could be installed"))
        if found:
            raise mistakes(found)
        return self
