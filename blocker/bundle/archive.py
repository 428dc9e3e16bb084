"""The archive of a bundle: plain ustar (POSIX.1-1988), so that `tar tvf` shows it anywhere. Pure.

One set of files has one spelling, octet by octet: `unpack` accepts what `pack` would write and nothing else.
So there are no links, devices, owners, paths outside, second copies or octets behind the end to be careful
about: none of them can be said. Nothing is compressed, so nothing can swell.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from blocker.bundle import manifest
from blocker.bundle.manifest import MANIFEST, Manifest, Part
from blocker.errors import BundleError

MAX_SIZE: Final = 256 << 20  # octets of a whole bundle: ten million names

_BLOCK: Final = 512
_END: Final = bytes(2 * _BLOCK)
_NAME: Final = 100  # octets
_SIZE: Final = slice(124, 136)
_COMPRESSED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")


@dataclass(frozen=True, slots=True)
class Bundle:
    """An archive that was read: its manifest, and its other files by name."""

    manifest: Manifest
    files: Mapping[str, bytes]


def build(said: Manifest, files: Mapping[str, bytes]) -> bytes:
    """Return the archive of `files` with `said` as its manifest. Raises BundleError as `opened` would."""
    octets = pack({MANIFEST: said.octets(), **files})
    opened(octets)
    return octets


def opened(octets: bytes) -> Bundle:
    """Return the bundle in `octets`, its files compared with its manifest. Raises BundleError."""
    files = unpack(octets)
    said = manifest.parsed(files.pop(MANIFEST), Manifest, MANIFEST)
    if problems := manifest.differences(said, files):
        raise BundleError(problems)
    return Bundle(said, files)


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return `files` as an archive: the manifest first, the others by name."""
    parts: list[bytes] = []
    for name in sorted(files, key=_place):
        content = files[name]
        parts += [_header(name, len(content)), content, bytes(-len(content) % _BLOCK)]
    return b"".join([*parts, _END])


def unpack(octets: bytes) -> dict[str, bytes]:
    """Return the files of an archive that `pack` has written, the manifest among them. Raises BundleError."""
    if len(octets) > MAX_SIZE:
        raise BundleError([f"larger than {MAX_SIZE >> 20} MiB, which no bundle is."])
    if octets.startswith(_COMPRESSED):
        raise BundleError(["compressed; bundles are not. Unpack it, and check the signature of what comes out."])
    files: dict[str, bytes] = {}
    counts: Counter[Part] = Counter()
    at = 0
    while (header := octets[at : at + _BLOCK]) and any(header):
        name, size = _entry(header, at)
        part = manifest.part_of(name)
        if part is None:
            raise _refused(at, f"{name!r} is no name that a bundle's file may have")
        if name in files:
            raise _refused(at, f"{name!r} is there twice")
        counts[part] += 1
        if counts[part] > part.most or size > part.largest:
            raise _refused(at, f"{name!r} is too large, or one too many: at most {part.most} of {part.largest} octets")
        begin, at = at + _BLOCK, at + _BLOCK + size + -size % _BLOCK
        content = octets[begin : begin + size]
        if len(content) != size or any(octets[begin + size : at]) or len(octets) < at:
            raise _refused(begin, f"{name!r} is cut short, or not followed by zeros")
        files[name] = content
    if octets[at:] != _END:
        raise _refused(at, "the archive does not end as it should: cut short, or something is behind its end")
    _check_names(list(files))
    return files


def _check_names(names: list[str]) -> None:
    if not names or names[0] != MANIFEST:
        raise BundleError([f"not a bundle: {MANIFEST} is not its first file."])
    if names != sorted(names, key=_place):
        raise BundleError(["the archive's files are not in order. Make it with `blocker bundle make`."])
    if len({name.casefold() for name in names}) != len(names):
        raise BundleError(["two names differ only in case, and would be one file on some machines. Rename one."])


def _entry(header: bytes, at: int) -> tuple[str, int]:
    """Return name and size of a file. The header must be the one that `pack` writes for them, to the octet."""
    try:
        name = header[:_NAME].rstrip(b"\0").decode("ascii")
        size = int(header[_SIZE][:11], 8)
        same = _header(name, size) == header
    except ValueError:
        same = False
    if not same:
        raise _refused(at, "not the header of a file as bundles have it. Fetch the bundle anew")
    return name, size


def _header(name: str, size: int) -> bytes:
    path = name.encode("ascii")
    if not 0 < len(path) < _NAME or not 0 <= size < 1 << 33:
        raise ValueError(name)
    fields = (
        path.ljust(_NAME, b"\0"), b"0000644\0", b"0000000\0" * 2, b"%011o\0" % size, b"%011o\0" % 0,
        b" " * 8, b"0", bytes(100), b"ustar\x0000", bytes(247),
    )  # fmt: skip
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def _place(name: str) -> tuple[bool, str]:
    return name != MANIFEST, name


def _refused(at: int, why: str) -> BundleError:
    return BundleError([f"octet {at}: {why}."])
