"""Which format is a log of? Said by whoever asks, else seen by its first octets or lines.

Opens plain, gzip and xz files alike, as a stream: a compressed log is never unpacked whole.
"""

import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, cast

from blocker.errors import LogError
from blocker.simulate.logs import bind, dnsmasq, dnstap, framestream, ftl, lines, plain, times, unbound
from blocker.simulate.logs.record import Batches, Tally

_HEAD: Final = 1 << 16  # octets looked at
_LINES: Final = 200  # lines looked at: a log may begin with its daemon's other words
_GZIP: Final = b"\x1f\x8b"
_XZ: Final = b"\xfd7zXZ\0"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


class Format(StrEnum):
    """What a log can be."""

    BLOCKER = "blocker"  # our attempt log and query log
    DNSTAP = "dnstap"
    PIHOLE = "pihole"  # the database; a pihole.log is in dnsmasq's format
    DNSMASQ = "dnsmasq"
    BIND = "bind"
    UNBOUND = "unbound"
    NAMES = "names"  # no log: one name a line


class Packing(StrEnum):
    """How a file is compressed."""

    NONE = "none"
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"


_TEXT: Final[dict[Format, tuple[Callable[[str], bool], Callable[[times.Clock], lines.Parse]]]] = {
    Format.DNSMASQ: (dnsmasq.looks, dnsmasq.parser),
    Format.BIND: (bind.looks, bind.parser),
    Format.UNBOUND: (unbound.looks, unbound.parser),
    Format.NAMES: (plain.looks, plain.parser),
}


def packing(path: Path) -> Packing:
    """Return how the file at `path` is compressed. Raises LogError when it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise _unreadable(path, error) from error
    for magic, found in ((_GZIP, Packing.GZIP), (_XZ, Packing.XZ), (_ZSTD, Packing.ZSTD)):
        if head.startswith(magic):
            return found
    return Packing.NONE


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Give the unpacked content of the file at `path`. Raises LogError when it is not there or damaged."""
    kind = packing(path)
    try:
        if kind is Packing.GZIP:
            with gzip.open(path) as unpacked:
                yield cast("BinaryIO", unpacked)
        elif kind is Packing.XZ:
            with lzma.open(path) as unpacked:
                yield cast("BinaryIO", unpacked)
        elif kind is Packing.ZSTD:
            raise LogError(f"{path}: zstd is read for logs of ours only. Unpack it first: zstd -d {path}")
        else:
            with path.open("rb") as plain:
                yield plain
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _unreadable(path, error) from error


def is_empty(path: Path) -> bool:
    """Tell whether the log at `path` holds nothing, as one does that was rotated just now. Raises LogError."""
    with opened(path) as stream:
        return not stream.read(1)


def detect(path: Path) -> Format:
    """Return the format of the log at `path`. Raises LogError when it is none that we know."""
    if packing(path) is Packing.ZSTD:
        return Format.BLOCKER
    with opened(path) as stream:
        head = stream.read(_HEAD)
    if head.startswith(ftl.MAGIC):
        return Format.PIHOLE
    if framestream.looks(head):
        return Format.DNSTAP
    said = [line for raw in io.BytesIO(head).readlines()[:_LINES] if (line := raw.decode("utf-8", "replace").strip())]
    for line in said:
        if line.startswith('{"') and '"qname":' in line:
            return Format.BLOCKER
        for found, (looks, _) in _TEXT.items():
            if found is not Format.NAMES and looks(line):
                return found
    if sum(map(plain.looks, said)) * 2 > len(said):
        return Format.NAMES
    known = ", ".join(each.value for each in Format)
    raise LogError(f"{path}: no query log that we know by its content. Say what it is: --format {{{known}}}.")


def read(path: Path, found: Format, tally: Tally) -> Batches:
    """Yield the queries in the log at `path`, of a format that is not ours. Raises LogError."""
    with opened(path) as stream:
        database = stream.read(len(ftl.MAGIC)) == ftl.MAGIC
    if database and packing(path) is not Packing.NONE:
        raise LogError(f"{path}: a packed database cannot be read. Unpack it first.")
    if database:
        yield from ftl.read(path, tally)
        return
    if found is Format.PIHOLE:
        found = Format.DNSMASQ
    end = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    with opened(path) as stream:
        if found is Format.DNSTAP:
            yield from dnstap.read(stream, tally)
        else:
            yield from lines.read(stream, _TEXT[found][1](times.clock(end)), tally)


def _unreadable(path: Path, error: Exception) -> LogError:
    why = (error.strerror if isinstance(error, OSError) else None) or str(error) or "damaged"
    return LogError(f"{path}: cannot be read: {why}. Check the path, its permissions and that it is whole.")
