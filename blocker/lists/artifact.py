"""The file between the compiler and the index: numbered sections behind a header that proves them whole.

Decides what counts as damaged. A damaged trie would crash the process that maps it, so nothing of the
body is looked at before the hash over all of it has been checked. Must not know what the sections mean.
"""

import hashlib
import mmap
import os
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from blocker.errors import ArtifactError

VERSION: Final = 6

_MAGIC: Final = b"BLOCKIDX"
_ALIGNMENT: Final = 8  # so that arrays of 64-bit numbers can be read in place
_HEADER: Final = struct.Struct("=8sIIQQ32s")  # magic, version, byte order mark, time, size of the file, digest
_CHUNK: Final = 1 << 16  # octets hashed or written at a time
_SEAL: Final = 8  # octets of hash over the header itself
_START: Final = _HEADER.size + _SEAL
_ORDER: Final = 0x01020304  # arrays are in the machine's own order: refuse those of another machine
_HOW: Final = "Compile the lists again: blocker lists compile"


class Part(IntEnum):
    """The sections, in the order of the file."""

    TRIE = 0  # names reversed, marisa's own form
    FIRST = 1  # u32 per key and one more: where the key's rows begin
    ROWS = 2  # u64 each, see row.py
    DETAIL_AT = 3  # u32 per detail and one more: where its text begins
    DETAILS = 4  # JSON texts, one after the other
    ABOUT = 5  # JSON: files, apps, address ranges, floating patterns


_TABLE: Final = struct.Struct(f"={2 * len(Part)}Q")  # offset and size of each section


@dataclass(frozen=True, slots=True)
class Artifact:
    """A checked file, mapped; the sections stay valid as long as anything refers to them."""

    digest: str
    compiled: int  # seconds since 1970
    parts: Mapping[Part, memoryview]


def write(path: Path, parts: Mapping[Part, bytes | memoryview], compiled: int) -> str:
    """Put the artifact at `path`, whole or not at all, and return its digest in hex. Raises OSError."""
    table, at = [], _START + _TABLE.size
    for part in Part:
        table += [at, len(parts[part])]
        at += len(parts[part]) + _padding(len(parts[part]))
    body: list[bytes | memoryview] = [_TABLE.pack(*table)]
    for part in Part:
        body += [parts[part], bytes(_padding(len(parts[part])))]
    digest = hashlib.blake2b(digest_size=32)
    for piece in body:
        digest.update(piece)
    header = _HEADER.pack(_MAGIC, VERSION, _ORDER, compiled, at, digest.digest())
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.writelines(piece for whole in (header, _seal(header), *body) for piece in _pieces(memoryview(whole)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _settle(path.parent)
    return digest.hexdigest()


def open_checked(path: Path, pause: float = 0.0) -> Artifact:
    """Map the artifact at `path`. Raises ArtifactError if it is missing, damaged or of another version.

    Who serves beside lets the check of 64 KiB, 0.1 ms of work, be followed by a `pause` in seconds.
    """
    try:
        with path.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:  # ValueError: the file is empty
        raise ArtifactError(f"{path}: cannot be opened: {error}. {_HOW}") from error
    if len(mapped) < _START + _TABLE.size or bytes(mapped[:8]) != _MAGIC:
        raise ArtifactError(f"{path}: this is not a compiled index. {_HOW}")
    header = bytes(mapped[: _HEADER.size])
    _, version, order, compiled, size, digest = _HEADER.unpack(header)
    if version != VERSION or order != _ORDER:
        raise ArtifactError(f"{path}: compiled by another version of the product or on another machine. {_HOW}")
    if bytes(mapped[_HEADER.size : _START]) != _seal(header) or size != len(mapped):
        raise ArtifactError(f"{path}: the header is damaged or the file was cut short. {_HOW}")
    if _digest(mapped[_START:], pause) != digest:
        raise ArtifactError(f"{path}: the content is damaged. {_HOW}")
    table = _TABLE.unpack(mapped[_START : _START + _TABLE.size])
    parts = {part: mapped[table[2 * part] : table[2 * part] + table[2 * part + 1]] for part in Part}
    return Artifact(digest.hex(), compiled, parts)


def _pieces(whole: memoryview) -> Iterator[memoryview]:
    """Yield `whole` a little at a time: the kernel does not stop writing for whoever must answer a query."""
    return (whole[at : at + _CHUNK] for at in range(0, len(whole), _CHUNK))


def _digest(body: memoryview, pause: float) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    for piece in _pieces(body):
        digest.update(piece)
        if pause:
            time.sleep(pause)
    return digest.digest()


def _seal(header: bytes) -> bytes:
    return hashlib.blake2b(header, digest_size=_SEAL).digest()


def _padding(size: int) -> int:
    return -size % _ALIGNMENT


def _settle(folder: Path) -> None:
    """Write the folder itself to disk: else the rename may not survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
