"""Signatures as minisign makes and checks them: Ed25519 over the file (`Ed`) or over its BLAKE2b-512 (`ED`).

Each also signs its trusted comment, which people read before they believe a file. Pure: octets in, values out.
Format: https://jedisct1.github.io/minisign/ ("Signature format").
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from blocker.bundle.key import COMMENT, ED25519, ID_SIZE, PublicKey, decoded
from blocker.errors import BundleError

MAX_SIGNATURES: Final = 16  # in one file: more signers than any threshold needs
MAX_SIZE: Final = 65536  # octets of a file of signatures

_HASHED: Final = b"ED"
_TRUSTED: Final = "trusted comment: "
_SIZE: Final = 64  # octets of an Ed25519 signature (RFC 8032 5.1.6)
_MAX_COMMENT: Final = 1024  # octets; minisign stops at 1024 (untrusted) and 8192 (trusted)
_LINES: Final = 4


@dataclass(frozen=True, slots=True)
class Signature:
    """What one signer said of one file; nothing of it is to be believed before `verify`."""

    key_id: bytes
    hashed: bool  # of BLAKE2b-512 of the file, not of the file itself
    octets: bytes
    trusted_comment: str
    global_octets: bytes  # over `octets` and the trusted comment
    untrusted_comment: str = ""

    def __str__(self) -> str:
        """Return the signature as it stands in a `.minisig` file."""
        head = (_HASHED if self.hashed else ED25519) + self.key_id
        return (
            f"{COMMENT}{self.untrusted_comment}\n{_base64(head + self.octets)}\n"
            f"{_TRUSTED}{self.trusted_comment}\n{_base64(self.global_octets)}\n"
        )


def parse(written: bytes) -> tuple[Signature, ...]:
    """Return the signatures in a `.minisig` file: minisign's four lines, once for each signer. Raises BundleError."""
    if len(written) > MAX_SIZE:
        raise BundleError([f"the signatures are larger than {MAX_SIZE} octets. Take the .minisig file."])
    try:
        lines = written.decode().split("\n")
    except UnicodeDecodeError as error:
        raise BundleError(["the signatures are not text. Take the .minisig file."]) from error
    if lines[-1] == "":
        lines.pop()
    if not lines or len(lines) % _LINES:
        raise BundleError([f"a signature has {_LINES} lines, and here are {len(lines)}. Fetch the .minisig file anew."])
    if len(lines) > _LINES * MAX_SIGNATURES:
        raise BundleError([f"more than {MAX_SIGNATURES} signatures. Remove those of keys that nobody trusts."])
    return tuple(_block(at + 1, lines[at : at + _LINES]) for at in range(0, len(lines), _LINES))


def verify(signature: Signature, key: PublicKey, octets: bytes) -> bool:
    """Tell whether `key` has signed `octets` and the signature's trusted comment."""
    if signature.key_id != key.id:
        return False
    public = Ed25519PublicKey.from_public_bytes(key.octets)
    try:
        public.verify(signature.octets, digest(octets) if signature.hashed else octets)
        public.verify(signature.global_octets, signature.octets + signature.trusted_comment.encode())
    except InvalidSignature:
        return False
    return True


def sign(
    seed: bytes, key_id: bytes, octets: bytes, comment: str, *, hashed: bool = True, untrusted: str = ""
) -> Signature:
    """Return the signature of `octets` and `comment` by the secret key `seed`. Raises BundleError for a bad comment."""
    _check_comment(1, comment)
    secret = Ed25519PrivateKey.from_private_bytes(seed)
    own = secret.sign(digest(octets) if hashed else octets)
    return Signature(key_id, hashed, own, comment, secret.sign(own + comment.encode()), untrusted)


def joined(signatures: Sequence[Signature]) -> bytes:
    """Return the `.minisig` file that holds `signatures`; minisign itself looks at the first."""
    return "".join(map(str, signatures)).encode()


def digest(octets: bytes) -> bytes:
    """Return what is signed in place of a file: its BLAKE2b-512."""
    return hashlib.blake2b(octets, digest_size=64).digest()


def _block(number: int, lines: list[str]) -> Signature:
    untrusted, own, trusted, whole = lines
    if not untrusted.startswith(COMMENT) or not trusted.startswith(_TRUSTED):
        raise BundleError([f"line {number}: not a signature as minisign writes it. Fetch the .minisig file anew."])
    comment = trusted.removeprefix(_TRUSTED)
    _check_comment(number + 2, comment)
    _check_comment(number, untrusted)
    try:
        head = decoded(own, 2 + ID_SIZE + _SIZE, f"line {number + 1}: a signature")
        last = decoded(whole, _SIZE, f"line {number + 3}: the signature of the comment")
    except ValueError as error:
        raise BundleError([f"{error}. Fetch the .minisig file anew."]) from error
    if head[:2] not in (ED25519, _HASHED):
        raise BundleError([f"line {number + 1}: not an Ed25519 signature of minisign's. Sign with minisign, or us."])
    return Signature(
        head[2 : 2 + ID_SIZE], head[:2] == _HASHED, head[2 + ID_SIZE :], comment, last, untrusted.removeprefix(COMMENT)
    )


def _check_comment(line: int, comment: str) -> None:
    if not comment.replace("\t", " ").isprintable() or len(comment.encode()) > _MAX_COMMENT:
        raise BundleError([f"line {line}: a comment is printable text of at most {_MAX_COMMENT} octets."])


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
