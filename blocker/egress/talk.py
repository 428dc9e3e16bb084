"""What a worker and the egress process say to each other, one message a datagram.

Pure. A worker asks that its clients may reach what they are about to be told, and hears when the kernel agreed; the
egress process may say that something it agreed to holds no longer. The process that changes the kernel's sets reads
nothing but these few octets.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from blocker.errors import TalkError

MAX_MESSAGE: Final = 1 << 16  # octets
MAX_ADDRESSES: Final = 64  # of one answer; what a client could do with more nobody knows
_ASK: Final = b"A"
_DONE: Final = b"D"
_FORGET: Final = b"F"
_NUMBER: Final = struct.Struct("=I")
_ASKED: Final = struct.Struct("=IB")  # seconds, addresses
_SIZES: Final = (4, 16)


class Status(IntEnum):
    """How it ended."""

    OPEN = 0  # the kernel lets them through
    FULL = 1  # no room
    FAILED = 2


class Ask(NamedTuple):
    """A client that is about to be told `addresses`, which it should reach for `seconds`."""

    client: bytes  # 4 or 16 octets, as the addresses
    seconds: int
    addresses: Sequence[bytes]


class Asks(NamedTuple):
    """A worker's request."""

    number: int  # by which the worker knows it
    asks: list[Ask]


class Done(NamedTuple):
    """The answer to one."""

    number: int
    status: Status


class Forget(NamedTuple):
    """What these clients were let through to, they no longer are; none named: nobody is."""

    clients: list[bytes]


def asks(number: int, wanted: Iterable[Ask]) -> bytes:
    """Return a request; the caller sees to it that it is no longer than MAX_MESSAGE (`size`)."""
    return b"".join((_ASK, _NUMBER.pack(number), *map(_asked, wanted)))


def size(ask: Ask) -> int:
    """Return how many octets `ask` takes in a request, at the most."""
    return 1 + 16 + _ASKED.size + 17 * min(len(ask.addresses), MAX_ADDRESSES)


def done(number: int, status: Status) -> bytes:
    """Return the answer to request `number`."""
    return _DONE + _NUMBER.pack(number) + bytes((status,))


def forget(clients: Iterable[bytes]) -> bytes:
    """Return that nothing said of `clients` holds any longer; of nobody, if there are none."""
    return _FORGET + b"".join(map(_address, clients))


def read(message: bytes) -> Asks | Done | Forget:
    """Return what `message` says. Raises TalkError."""
    try:
        kind = message[:1]
        if kind == _ASK:
            return Asks(_NUMBER.unpack_from(message, 1)[0], list(_read_asks(message, 1 + _NUMBER.size)))
        if kind == _DONE and len(message) == 2 + _NUMBER.size:
            return Done(_NUMBER.unpack_from(message, 1)[0], Status(message[-1]))
        if kind == _FORGET:
            return Forget(list(_read_clients(message)))
    except (struct.error, IndexError, ValueError) as error:
        raise TalkError(f"a message between our own processes cannot be read: {error}") from error
    raise TalkError("a message between our own processes is of no kind that we know")


def _asked(ask: Ask) -> bytes:
    told = ask.addresses[:MAX_ADDRESSES]
    return b"".join((_address(ask.client), _ASKED.pack(ask.seconds, len(told)), *map(_address, told)))


def _address(address: bytes) -> bytes:
    return bytes((len(address),)) + address


def _read_asks(message: bytes, at: int) -> Iterator[Ask]:
    while at < len(message):
        client, at = _read_address(message, at)
        seconds, count = _ASKED.unpack_from(message, at)
        at += _ASKED.size
        addresses = []
        for _ in range(count):
            address, at = _read_address(message, at)
            addresses.append(address)
        yield Ask(client, seconds, addresses)


def _read_clients(message: bytes) -> Iterator[bytes]:
    at = 1
    while at < len(message):
        client, at = _read_address(message, at)
        yield client


def _read_address(message: bytes, at: int) -> tuple[bytes, int]:
    behind = at + 1 + message[at]
    if message[at] not in _SIZES or behind > len(message):
        raise ValueError("an address was cut short")
    return message[at + 1 : behind], behind
