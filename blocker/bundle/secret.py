"""A publisher's secret key, in minisign's own file format: under a pass phrase (scrypt), or plain when asked for.

The file is made with mode 0600, and one that others may read is refused, as ssh does.
Format: https://jedisct1.github.io/minisign/ ("Secret key format").
"""

import base64
import hashlib
import os
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from blocker.bundle.key import COMMENT, ED25519, ID_SIZE, PublicKey, decoded
from blocker.errors import BundleError

_FORM: Final = struct.Struct("<2s2s2s32sQQ104s")  # algorithm, kdf, checksum, salt, work, memory, the key itself
_INNER: Final = struct.Struct("<8s32s32s32s")  # id, seed, public key, checksum
_SCRYPT: Final = b"Sc"
_PLAIN: Final = b"\0\0"
_BLAKE2B: Final = b"B2"
_BLOCK: Final = 8  # scrypt's r in libsodium
OPERATIONS: Final = 1 << 25  # libsodium's SENSITIVE, as minisign takes it: 1 GiB and some seconds for each attempt
MEMORY: Final = 1 << 30  # octets
_MOST: Final = 1 << 32  # of either: a file that asks for more is no key of minisign's


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key that can sign. Its seed never shows in a log line or a traceback."""

    id: bytes
    seed: bytes = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The key that checks what this one signs."""
        return PublicKey(self.id, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())


def generate() -> SecretKey:
    """Return a new key, from the kernel's random numbers."""
    return SecretKey(os.urandom(ID_SIZE), os.urandom(32))


def dumped(
    key: SecretKey, phrase: str | None, *, operations: int = OPERATIONS, memory: int = MEMORY, salt: bytes = b""
) -> bytes:
    """Return the file of `key` under the pass phrase `phrase`, None: plain; `salt` is random unless given."""
    inner = _INNER.pack(key.id, key.seed, key.public.octets, _checksum(key))
    if phrase is None:
        form = _FORM.pack(ED25519, _PLAIN, _BLAKE2B, bytes(32), 0, 0, inner)
        about = "minisign secret key, not under a pass phrase"
    else:
        salt = salt or os.urandom(32)
        hidden = _crossed(inner, _stream(phrase, salt, operations, memory))
        form = _FORM.pack(ED25519, _SCRYPT, _BLAKE2B, salt, operations, memory, hidden)
        about = "minisign encrypted secret key"
    return f"{COMMENT}{about}\n{base64.b64encode(form).decode()}\n".encode()


def loaded(written: bytes, phrase: Callable[[], str]) -> SecretKey:
    """Return the key in a secret key file; `phrase` is called if it is under one. Raises BundleError."""
    lines = written.decode(errors="replace").strip().splitlines()
    if len(lines) != 2 or not lines[0].startswith(COMMENT):
        raise BundleError(["not a secret key of minisign's: it has two lines, a comment and base64."])
    try:
        form = _FORM.unpack(decoded(lines[1], _FORM.size, "a secret key"))
    except ValueError as error:
        raise BundleError([f"{error}. Take the file that `keygen` made."]) from error
    algorithm, kdf, checksum, salt, operations, memory, inner = form
    if algorithm != ED25519 or kdf not in (_SCRYPT, _PLAIN) or checksum != _BLAKE2B:
        raise BundleError(["a secret key of a kind that is not known here: Ed25519, scrypt and BLAKE2b are."])
    if kdf == _SCRYPT:
        if max(operations, memory) > _MOST:
            raise BundleError(["the secret key asks for more work than any minisign does; is the file damaged?"])
        inner = _crossed(inner, _stream(phrase(), salt, operations, memory))
    key_id, seed, public, check = _INNER.unpack(inner)
    key = SecretKey(key_id, seed)
    unchecked = kdf == _PLAIN and check == bytes(32)  # so minisign -W leaves it; the public key beside the seed tells
    if not (unchecked or check == _checksum(key)) or public != key.public.octets:
        raise BundleError(
            ["the pass phrase is wrong, or the file is damaged. Try again."]
            if kdf == _SCRYPT
            else ["the secret key is damaged. Take the copy that you keep elsewhere."]
        )
    return key


def read(path: Path, phrase: Callable[[], str]) -> SecretKey:
    """Return the key in the file at `path`. Raises BundleError, also where others may read the file."""
    try:
        mode = path.stat().st_mode
        written = path.read_bytes()[:4096]
    except OSError as error:
        raise BundleError([f"{path}: cannot be read: {error.strerror}. Name the secret key file."]) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BundleError([f"{path}: others may read or change this secret key. Run: chmod 600 {path}"])
    try:
        return loaded(written, phrase)
    except BundleError as error:
        raise BundleError([f"{path}: {problem}" for problem in error.problems]) from error


def write(path: Path, content: bytes) -> None:
    """Make the file `path`, which must not exist yet, readable for its owner alone. Raises BundleError."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BundleError([f"{path}: exists; a key is never written over. Choose another name."]) from error
    except OSError as error:
        raise BundleError([f"{path}: cannot be written: {error.strerror}. Choose another place."]) from error
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise BundleError([f"{path}: cannot be written: {error.strerror}. Free some space."]) from error


def _stream(phrase: str, salt: bytes, operations: int, memory: int) -> bytes:
    """Return what hides the key: scrypt, with its parameters chosen as libsodium does from work and memory."""
    operations = max(operations, 1 << 15)
    if operations < memory // 32:
        most, parallel = operations // (_BLOCK * 4), 1
        cost = _power_above(most // 2)
    else:
        cost = _power_above(memory // (_BLOCK * 128) // 2)
        parallel = min(operations // 4 // cost, 0x3FFFFFFF) // _BLOCK
    try:
        return Scrypt(salt=salt, length=_INNER.size, n=cost, r=_BLOCK, p=max(parallel, 1)).derive(phrase.encode())
    except (MemoryError, ValueError) as error:
        raise BundleError([f"not enough memory for the pass phrase: it takes {memory >> 20} MiB."]) from error


def _power_above(limit: int) -> int:
    """Return the least power of two, from 2 on, that is more than `limit`."""
    return max(2, 1 << limit.bit_length())


def _checksum(key: SecretKey) -> bytes:
    return hashlib.blake2b(ED25519 + key.id + key.seed + key.public.octets, digest_size=32).digest()


def _crossed(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
