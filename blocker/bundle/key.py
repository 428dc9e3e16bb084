"""A publisher's public key, as minisign writes it: one line of base64. Pure, and free of cryptography.

Format: https://jedisct1.github.io/minisign/ ("Public key format").
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Final

COMMENT: Final = "untrusted comment: "
ED25519: Final = b"Ed"
ID_SIZE: Final = 8  # octets
_KEY_SIZE: Final = 32  # octets of an Ed25519 public key (RFC 8032 5.1.5)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key and the number that its signatures carry."""

    id: bytes
    octets: bytes

    @property
    def name(self) -> str:
        """The key's number as minisign shows it: 16 hexadecimal digits."""
        return id_text(self.id)

    def __str__(self) -> str:
        """Return the key as it is configured: one line of base64."""
        return base64.b64encode(ED25519 + self.id + self.octets).decode()


def id_text(key_id: bytes) -> str:
    """Return a key's number as minisign shows it: a little-endian integer in hexadecimal."""
    return key_id[::-1].hex().upper()


def parse(text: str) -> PublicKey:
    """Return the key written as `text`: the line of base64, or the whole of a `.pub` file. Raises ValueError."""
    lines = [line for line in text.strip().splitlines() if line]
    if len(lines) == 2 and lines[0].startswith(COMMENT):
        lines = lines[1:]
    if len(lines) != 1:
        raise ValueError("a public key is one line of base64, as in the second line of a minisign .pub file")
    octets = decoded(lines[0].strip(), len(ED25519) + ID_SIZE + _KEY_SIZE, "a public key")
    if octets[:2] != ED25519:
        raise ValueError("this is no Ed25519 public key of minisign's: those begin with RW")
    return PublicKey(octets[2 : 2 + ID_SIZE], octets[2 + ID_SIZE :])


def decoded(text: str, size: int, what: str) -> bytes:
    """Return the `size` octets that `text` says in base64, with no other way to write them. Raises ValueError."""
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{what} is not base64: {error}") from error
    if len(octets) != size or base64.b64encode(octets).decode() != text:
        raise ValueError(f"{what} is {size} octets in base64, and this is not")
    return octets
