"""The keys of checkpoints: minisign's, as those of bundles. Heavy (cryptography): import it where it is needed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from blocker.bundle import key, secret, signature
from blocker.bundle.key import PublicKey
from blocker.errors import BundleError, ConfigError
from blocker.evidence.checkpoint import Checkpoint

Signer = Callable[[str, str], str]
"""Takes a statement and a comment for people, returns the text of a `.minisig` file."""

_MAX_KEY: Final = 4096  # octets of a public key file


def signer(path: Path) -> Signer:
    """Return what signs with the secret key in the file at `path`. Raises ConfigError."""

    def phrase() -> str:
        raise ConfigError(
            [f"evidence.key_file: {path}: is under a pass phrase, and nobody is there to type it."
             " Make one without: blocker bundle keygen --plain NAME"]
        )  # fmt: skip

    try:
        found = secret.read(path, phrase)
    except BundleError as error:
        raise ConfigError([f"evidence.key_file: {problem}" for problem in error.problems]) from error

    def sign(statement: str, comment: str) -> str:
        return str(signature.sign(found.seed, found.id, statement.encode(), comment))

    return sign


def read(path: Path) -> PublicKey:
    """Return the public key in the file at `path`. Raises BundleError."""
    try:
        return key.parse(path.read_bytes()[:_MAX_KEY].decode())
    except OSError as error:
        raise BundleError([f"{path}: cannot be read: {error.strerror}. Name a public key file (.pub)."]) from error
    except ValueError as error:  # UnicodeDecodeError too
        raise BundleError([f"{path}: {error}. Name a public key file (.pub)."]) from error


def trouble(checkpoint: Checkpoint, trusted: Sequence[PublicKey]) -> str:
    """Say why the signature of `checkpoint` is not to be believed; nothing: one of `trusted` has signed it."""
    if not checkpoint.signature:
        return "it is not signed"
    try:
        found = signature.parse(checkpoint.signature.encode(errors="replace"))
    except BundleError as error:
        return f"its signature cannot be read: {error}"
    known = [(each, by) for each in found for by in trusted if each.key_id == by.id]
    if not known:
        return f"it is signed by key {key.id_text(found[0].key_id)}, which was not given"
    if any(signature.verify(each, by, checkpoint.statement.encode()) for each, by in known):
        return ""
    return f"it was not signed by key {known[0][1].name}: it is forged or altered"
