"""The secrets of zone transfers (TSIG, RFC 8945), read from files that are closed to others."""

import base64
import binascii
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import dns.name
import dns.tsig

from blocker.config import RpzKey
from blocker.errors import ConfigError

LEAST: Final = 16  # octets of a secret: 128 bits cannot be tried out
_LARGEST: Final = 4096  # octets of a file

Keyring = Mapping[dns.name.Name, dns.tsig.Key]


def load(keys: Iterable[RpzKey]) -> Keyring:
    """Return the keys by their names. Raises ConfigError with the problems of all of them."""
    found: dict[dns.name.Name, dns.tsig.Key] = {}
    problems: list[str] = []
    for key in keys:
        try:
            made = dns.tsig.Key(key.name, _secret(key.secret_file), key.algorithm)
            found[made.name] = made
        except ValueError as error:
            problems.append(f"rpz.keys: {key.name}: {key.secret_file}: {error}.")
        except OSError as error:
            why = f"cannot be read: {error.strerror or error}. Check the path and its permissions"
            problems.append(f"rpz.keys: {key.name}: {key.secret_file}: {why}.")
    if problems:
        raise ConfigError(problems)
    return found


def _secret(path: Path) -> bytes:
    with path.open("rb") as file:
        if stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO:
            raise ValueError(f"everybody on this machine may read it. Close it: chmod o-rwx {path}")
        text = file.read(_LARGEST)
    try:
        secret = base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("it holds no base64. Write the secret alone: openssl rand -base64 32") from error
    if len(secret) < LEAST:
        how = "Make another at both ends: openssl rand -base64 32"
        raise ValueError(f"the secret has {len(secret)} octets, and {LEAST} are the least. {how}")
    return secret
