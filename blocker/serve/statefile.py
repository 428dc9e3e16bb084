"""Files in the state folder: put in place whole or not at all, and removed when newer ones have taken their place."""

import contextlib
import os
from pathlib import Path
from typing import Final

from blocker.errors import ArtifactError

_KEPT: Final = 2  # files of a kind that are kept beside the current one


def make(folder: Path) -> None:
    """Make the state folder where it is not there. Raises ArtifactError."""
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def write(target: Path, content: bytes) -> None:
    """Put a file in place whole or not at all."""
    draft = target.with_suffix(f".{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise unwritable(target, error) from error


def unwritable(target: Path, error: OSError) -> ArtifactError:
    """Return the error that says that `target` could not be written."""
    return ArtifactError(f"{target}: cannot be written: {error}. Free some space, or set process.state_dir.")


def tidy(folder: Path, pattern: str, keep: set[Path]) -> None:
    """Remove all but the newest files; workers that still map an old index keep it until they let go."""
    found = sorted(folder.glob(pattern), key=lambda each: each.stat().st_mtime, reverse=True)
    for each in found[_KEPT:]:
        if each not in keep:
            each.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Remove what a former run has left and nobody needs once it is gone; its compiled lists stay.

    A disk that has filled up meanwhile must not keep us from starting on the same lists again.
    """
    for pattern in ("generation-*", "exceptions-*", ".lists-*.index.*"):
        for each in folder.glob(pattern):
            with contextlib.suppress(OSError):
                each.unlink()
