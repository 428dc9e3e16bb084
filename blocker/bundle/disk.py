"""How bundles reach the disk: each step whole and synced before the next, or an OSError."""

import os
import shutil
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Make the file `path` with `content`, on the disk when this returns."""
    with path.open("xb") as file:
        file.write(content)
        os.fchmod(file.fileno(), 0o644)  # whatever root's umask: the blocker's own account must read it
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, content: bytes) -> None:
    """Put `content` in place of the file `path`, at one moment."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    try:
        write(draft, content)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync(path.parent)


def append(path: Path, line: bytes) -> None:
    """Add one line to the file `path`, in one go; a line that a crash left half is ended first."""
    new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if new:
            os.fchmod(handle, 0o644)
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        os.write(handle, (b"\n" if torn else b"") + line + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def folder(path: Path) -> None:
    """Make the folder `path` and those above it, readable for the blocker's own account."""
    if not path.is_dir():
        folder(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def move(source: Path, target: Path) -> None:
    """Rename a folder whose files are on the disk."""
    source.rename(target)
    sync(target.parent)


def remove(path: Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    if path.exists():
        shutil.rmtree(path)


def sync(path: Path) -> None:
    """Have the names in the folder `path` on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
