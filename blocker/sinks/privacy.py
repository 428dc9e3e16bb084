"""How client addresses appear in logs: in full, as a prefix, or as a keyed hash.

An IPv4 address in IPv6 dress is the IPv4 client that it is, whatever socket it came through.
"""

import socket
from collections.abc import Callable
from hashlib import blake2b
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from blocker.config import ClientPrivacy, Log
from blocker.errors import ConfigError

KEY_SIZE: Final = 16  # octets a hash key has at least: 128 bits cannot be tried out
_HASH_SIZE: Final = 8  # octets: that any two of 10 million clients share one has a chance of 1 in 300,000
_MAPPED: Final = bytes(10) + b"\xff\xff"

Shown = Callable[[bytes], str]


def shown(log: Log) -> Shown:
    """Return what turns an address (4 or 16 octets) into the text that `log` allows of it.

    Raises ConfigError when the hash key cannot be read or is too short.
    """
    if log.clients is ClientPrivacy.TRUNCATE:
        return _truncated(log.truncate_v4, log.truncate_v6)
    if log.clients is ClientPrivacy.HASH:
        return _hashed(_key(log.hash_key_file))
    return _full


def _plain(address: bytes) -> bytes:
    return address[12:] if address.startswith(_MAPPED) and len(address) == 16 else address


def _full(address: bytes) -> str:
    address = _plain(address)
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def _truncated(v4_bits: int, v6_bits: int) -> Shown:
    """Return `192.0.2.0/24` rather than `192.0.2.0`, which would name a device that asked nothing."""

    def truncated(address: bytes) -> str:
        address = _plain(address)
        return str(ip_network((address, v4_bits if len(address) == 4 else v6_bits), strict=False))

    return truncated


def _hashed(key: bytes) -> Shown:
    def hashed(address: bytes) -> str:
        return blake2b(_plain(address), digest_size=_HASH_SIZE, key=key).hexdigest()

    return hashed


def _key(path: Path | None) -> bytes:
    """Return the key in the file at `path`; a longer one than BLAKE2b takes goes in by its own hash."""
    if path is None:
        raise ConfigError(["log.hash_key_file: hashed client addresses need a key; name a file that holds one"])
    try:
        key = path.read_bytes()
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError([f"log.hash_key_file: {path}: cannot be read: {why}"]) from error
    if len(key) < KEY_SIZE:
        raise ConfigError(
            [f"log.hash_key_file: {path}: holds {len(key)} bytes, and {KEY_SIZE} are the least."
             f" Write random ones: head -c 32 /dev/urandom > {path}"]
        )  # fmt: skip
    return key if len(key) <= blake2b.MAX_KEY_SIZE else blake2b(key).digest()
