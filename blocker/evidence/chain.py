"""A chain of lines: each carries its number and a hash over itself and over the hash of the line before it.

Pure. The canonical form of a record is the line as it was written: nothing is parsed and written anew, so that
an auditor needs `sha256sum` and nothing of ours:

    hash of a line = SHA-256(hash of the line before, 64 digits ‖ the line up to `,"hash":"`)

    {"time":...,"client":...,...,"node":"dns1","at":"5f0c...91.4711","seq":42,"hash":"9b1d..."}

The first line of a chain has number 0, and 64 zeros for the hash before it. `at` says where in the journal of which
worker a record stood: no two records of a chain have the same place, so one that was written twice shows.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

HASH_SIZE: Final = 64  # hexadecimal digits
_SEAL: Final = len(b',"hash":""}') + HASH_SIZE  # octets of a line, without its end, that its hash does not cover
_END: Final = re.compile(
    rb',"node":"([A-Za-z0-9._-]{1,64})"'
    rb'(?:,"at":"([0-9a-f]{12})\.([0-9]{1,19})")?'
    rb',"seq":([0-9]{1,18}),"hash":"([0-9a-f]{64})"}'
)


class End(NamedTuple):
    """Where a chain ends: what its next line needs to know."""

    next: int  # number of the line to come
    hash: bytes  # of the last line, 64 hexadecimal digits


GENESIS: Final = End(0, b"0" * HASH_SIZE)


class Place(NamedTuple):
    """Where a record stood in a worker's journal."""

    journal: bytes  # 12 hexadecimal digits: which memory
    position: int  # octets written to it up to the record's end


class Entry(NamedTuple):
    """What a line says of itself; nothing of it is to be believed before its hash was checked."""

    node: bytes
    place: Place | None  # None: not an attempt but a note of ours
    number: int
    hash: bytes
    covered: bytes  # what the hash is over, beside the hash before


def joined(end: End, bodies: Iterable[bytes], node: bytes, places: Iterable[Place | None]) -> list[bytes]:
    """Return the lines that follow `end`: each body is a JSON object without its last brace."""
    found = []
    number, last = end
    middle = b',"node":"%b"' % node
    for body, place in zip(bodies, places, strict=True):
        at = b',"at":"%b.%d"' % place if place is not None else b""
        line = b'%b%b%b,"seq":%d' % (body, middle, at, number)
        last = sha256(last + line).hexdigest().encode()
        found.append(b'%b,"hash":"%b"}\n' % (line, last))
        number += 1
    return found


def behind(line: bytes, number: int) -> End:
    """Return the end of a chain whose last line is `line`, with that number and its line end, as `joined` made it."""
    return End(number + 1, line[-3 - HASH_SIZE : -3])


def parse(line: bytes) -> Entry | None:
    """Return what `line` (without its line end) says of itself; None: it is not a line of a chain."""
    at = line.rfind(b',"node":"')
    match = _END.fullmatch(line, at) if at > 0 else None
    if match is None:
        return None
    node, journal, position, number, own = match.groups()
    place = Place(journal, int(position)) if journal is not None else None
    return Entry(node, place, int(number), own, line[:-_SEAL])


def follows(entry: Entry, before: bytes) -> bool:
    """Tell whether the hash of `entry` is right, if `before` is the hash of the line before it."""
    return sha256(before + entry.covered).hexdigest().encode() == entry.hash
