"""Elements of nftables sets as the kernel writes them: batches of changes to bytes, replies and dumps from bytes.

Pure, and all of nf_tables' netlink that we need (linux/netfilter/nf_tables.h). It knows tables, sets and elements
with a time to live, and neither sockets nor what a set is for.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from blocker.egress import framing
from blocker.egress.framing import attribute as _attribute

FAMILY: Final = 1  # NFPROTO_INET
_FAMILY: Final = struct.Struct("!BBH")  # nfgenmsg: family, version, resource
_TIME: Final = struct.Struct("!Q")  # milliseconds

_BATCH_BEGIN: Final = 16
_BATCH_END: Final = 17
_SUBSYSTEM: Final = 10  # NFNL_SUBSYS_NFTABLES
_NEW: Final = _SUBSYSTEM << 8 | 12  # NFT_MSG_NEWSETELEM
_GET: Final = _SUBSYSTEM << 8 | 13
_DELETE: Final = _SUBSYSTEM << 8 | 14
_ACK: Final = 0x4
_CREATE: Final = 0x400
_NESTED: Final = 0x8000

_LIST_TABLE: Final = 1  # NFTA_SET_ELEM_LIST_*
_LIST_SET: Final = 2
_LIST_ELEMENTS: Final = 3
_ELEMENT: Final = 1  # NFTA_LIST_ELEM
_KEY: Final = 1  # NFTA_SET_ELEM_*
_TIMEOUT: Final = 4
_EXPIRATION: Final = 5
_VALUE: Final = 1  # NFTA_DATA_VALUE
_MOST: Final = 60_000  # octets of elements in one attribute, whose length has 16 bits


class Element(NamedTuple):
    """One element of a set: its key, and the milliseconds it has left; 0: it stays."""

    key: bytes
    left: int = 0


@dataclass(frozen=True, slots=True)
class Put:
    """Let the set hold `elements`, each for as long as it says from now on, whether or not it held them already."""

    set: str
    elements: Sequence[Element]


@dataclass(frozen=True, slots=True)
class Drop:
    """Let the set hold none of `keys`, whether or not it did."""

    set: str
    keys: Sequence[bytes]


Change = Put | Drop


class Batch(NamedTuple):
    """Octets for the kernel, and the sequence numbers by which it speaks of them."""

    wire: bytes
    first: int  # of the batch itself
    last: int  # of its last change, the one that is acknowledged


class Said(NamedTuple):
    """What a reply says of one message: 0, or the error as a number of errno."""

    sequence: int
    error: int


class Page(NamedTuple):
    """A part of a dump."""

    elements: list[Element]
    done: bool
    error: int  # a number of errno, or 0


def concatenated(*fields: bytes) -> bytes:
    """Return the key of a set of a type like `ipv4_addr . inet_service`: each field is filled to whole 32 bits."""
    return b"".join(field + bytes(-len(field) % 4) for field in fields)


def batch(table: str, changes: Iterable[Change], sequence: int, *, updates: bool) -> Batch:
    """Return `changes` to sets of `table` as one transaction: the kernel makes all of them or none.

    `updates`: the kernel sets an element's time anew when it is added again (since 6.12). To others a repeated element
    is no news, so that it has to go and come in the same transaction.
    """
    parts = [_message(_BATCH_BEGIN, framing.REQUEST, sequence, b"", 0, _SUBSYSTEM)]
    steps = [step for change in changes for step in _steps(table, change, updates=updates)]
    for number, (kind, flags, payload) in enumerate(steps, 1):
        wanted = _ACK if number == len(steps) else 0
        parts.append(_message(kind, framing.REQUEST | flags | wanted, sequence + number, payload))
    parts.append(_message(_BATCH_END, framing.REQUEST, sequence + len(steps) + 1, b"", 0, _SUBSYSTEM))
    return Batch(b"".join(parts), sequence, sequence + len(steps))


def question(table: str, name: str, sequence: int) -> bytes:
    """Return the request for everything that a set holds."""
    return _message(_GET, framing.REQUEST | framing.DUMP, sequence, _where(table, name))


def look_up(table: str, name: str, key: bytes, sequence: int) -> bytes:
    """Return the request for one element, if the set holds it."""
    (piece,) = _pieces([_plain(key)])
    return _message(_GET, framing.REQUEST, sequence, _where(table, name) + piece)


def replies(wire: bytes) -> Iterator[Said]:
    """Yield what the kernel says of messages; of others' messages too: compare the sequence. Raises KernelError."""
    for kind, sequence, payload in framing.messages(wire):
        if kind == framing.ERROR:
            yield Said(sequence, framing.error(payload))


def page(wire: bytes, sequence: int) -> Page:
    """Return what `wire` holds of the dump that `question` asked for with `sequence`. Raises KernelError."""
    elements: list[Element] = []
    done = False
    error = 0
    for kind, number, payload in framing.messages(wire):
        if number != sequence:
            continue
        if kind in (framing.ERROR, framing.DONE):
            done = True
            error = error or framing.error(payload)
        elif kind == _NEW:
            elements += _elements(payload)
    return Page(elements, done, error)


def _steps(table: str, change: Change, *, updates: bool) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, flags and payload of the messages that make `change`, whatever the set holds."""
    if isinstance(change, Drop):
        # There is a request that takes an element away only if it is there, but not before 6.3: so it is added first.
        for piece in _pieces(map(_plain, change.keys)):
            payload = _where(table, change.set) + piece
            yield _NEW, _CREATE, payload
            yield _DELETE, 0, payload
        return
    if not updates:
        for piece in _pieces(_plain(each.key) for each in change.elements):
            payload = _where(table, change.set) + piece
            yield _NEW, _CREATE, payload
            yield _DELETE, 0, payload
    for piece in _pieces(map(_timed, change.elements)):
        yield _NEW, _CREATE, _where(table, change.set) + piece


def _where(table: str, name: str) -> bytes:
    return _attribute(_LIST_TABLE, table.encode() + b"\0") + _attribute(_LIST_SET, name.encode() + b"\0")


def _plain(key: bytes) -> bytes:
    return _attribute(_ELEMENT | _NESTED, _attribute(_KEY | _NESTED, _attribute(_VALUE, key)))


def _timed(element: Element) -> bytes:
    key = _attribute(_KEY | _NESTED, _attribute(_VALUE, element.key))
    if not element.left:
        return _attribute(_ELEMENT | _NESTED, key)
    left = _TIME.pack(element.left)
    return _attribute(_ELEMENT | _NESTED, key + _attribute(_TIMEOUT, left) + _attribute(_EXPIRATION, left))


def _pieces(elements: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the elements as attributes, as few as their lengths allow."""
    piece: list[bytes] = []
    size = 0
    for each in elements:
        if size + len(each) > _MOST:
            yield _attribute(_LIST_ELEMENTS | _NESTED, b"".join(piece))
            piece, size = [], 0
        piece.append(each)
        size += len(each)
    if piece:
        yield _attribute(_LIST_ELEMENTS | _NESTED, b"".join(piece))


def _message(kind: int, flags: int, sequence: int, payload: bytes, family: int = FAMILY, resource: int = 0) -> bytes:
    return framing.message(kind, flags, sequence, _FAMILY.pack(family, 0, resource) + payload)


def _elements(payload: bytes) -> Iterator[Element]:
    for kind, listed in framing.attributes(payload[_FAMILY.size :]):
        if kind != _LIST_ELEMENTS:
            continue
        for _, element in framing.attributes(listed):
            parts = dict(framing.attributes(element))
            value = dict(framing.attributes(parts.get(_KEY, b""))).get(_VALUE)
            if value is None:
                continue  # the catch-all element (`*`) has no key
            left = parts.get(_EXPIRATION, b"")
            yield Element(value, _TIME.unpack(left)[0] if len(left) == _TIME.size else 0)
