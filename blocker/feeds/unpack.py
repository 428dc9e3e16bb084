"""Takes a list as it arrives, unpacked if it was packed, and never more of it than was agreed. Pure.

Every octet is a stranger's: what counts is the size after unpacking, and nothing is unpacked beyond it.
"""

import hashlib
import zlib
from collections.abc import Iterator
from typing import Final

from blocker.errors import FeedError

_MAGIC: Final = b"\x1f\x8b"  # RFC 1952 §2.3.1
_GZIP: Final = 16 + zlib.MAX_WBITS
_PIECE: Final = 1 << 16  # octets unpacked at once
_SNIFFED: Final = 256  # octets looked at for what is no list


class Unpacker:
    """Turns the octets that arrive into those of the list, counts and hashes them."""

    def __init__(self, limit: int, *, gzip: bool = False) -> None:
        """Take up to `limit` octets; `gzip`: they were announced as packed. A list that is a `.gz` is noticed."""
        self.octets = 0
        self._limit = limit
        self._arrived = 0  # octets: packed ones too, or nothing packed a million times over would never end
        self._gzip: bool | None = True if gzip else None  # None: not known before the first two octets
        self._waiting = b""
        self._inflating = zlib.decompressobj(_GZIP)
        self._begun = False  # inside a member of the packed file
        self._digest = hashlib.sha256()
        self._head = b""
        self._looked = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` unpacks to. Raises FeedError if it is too much, damaged, or no list."""
        self._arrived += len(data)
        if self._arrived > self._limit:
            raise self._too_much("")
        if self._gzip is None:
            self._waiting += data
            if len(self._waiting) < len(_MAGIC):
                return
            data, self._waiting = self._waiting, b""
            self._gzip = data.startswith(_MAGIC)
        for piece in self._unpacked(data) if self._gzip else (data,):
            yield self._count(piece)

    def end(self) -> Iterator[bytes]:
        """Yield what is left once everything has arrived. Raises FeedError if something is missing."""
        if self._waiting:
            yield self._count(self._waiting)
        if self._begun and not self._inflating.eof:
            raise FeedError("the packed list ends in the middle.", passing=True)
        self._look(last=True)

    @property
    def sha256(self) -> str:
        """The digest of the list so far."""
        return self._digest.hexdigest()

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._inflating.eof:  # members may follow each other, and zeros pad the last (RFC 1952 §2.2)
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._inflating = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                piece = self._inflating.decompress(data, _PIECE)
            except zlib.error as error:
                raise FeedError(f"the packed list is damaged: {error}.", passing=True) from error
            if piece:
                yield piece
            data = self._inflating.unconsumed_tail or self._inflating.unused_data

    def _count(self, piece: bytes) -> bytes:
        self.octets += len(piece)
        if self.octets > self._limit:
            raise self._too_much(" unpacked")
        self._digest.update(piece)
        if not self._looked:
            self._head += piece[:_SNIFFED]
            self._look(last=len(self._head) >= _SNIFFED)
        return piece

    def _too_much(self, how: str) -> FeedError:
        return FeedError(f"the list has more than {self._limit >> 20} MiB{how}. Raise max_size if that is right.")

    def _look(self, *, last: bool) -> None:
        """Refuse a page for people: a login, an error, a parked domain."""
        if last and not self._looked:
            self._looked = True
            if self._head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
                raise FeedError("the source sends a web page, not a list. Open the URL in a browser and see.")
            self._head = b""
