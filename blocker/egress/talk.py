"""What a worker and the egress process say to each other, one message a datagram.

Pure. A worker asks that its clients may reach what they are about to be told, and hears when the kernel agreed; the
egress process may say that something it agreed to holds no longer. And a worker says what allowed and banned names it
meets, and asks for the addresses of banned ones. The process that changes the kernel's sets reads nothing but this.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from blocker.errors import TalkError, WireError
from blocker.names import Name
from blocker.wire.response import behind_name, read_name

MAX_MESSAGE: Final = 1 << 16  # octets
MAX_ADDRESSES: Final = 64  # of one answer; what a client could do with more nobody knows
_ASK: Final = b"A"
_DONE: Final = b"D"
_FORGET: Final = b"F"
_MET: Final = b"M"
_BANNED: Final = b"B"
_LOOK_UP: Final = b"L"
_LOOKED_UP: Final = b"U"
_REFUSED: Final = b"R"
_NUMBER: Final = struct.Struct("=I")
_ASKED: Final = struct.Struct("=IB")  # seconds, addresses
_QTYPE: Final = struct.Struct("=H")
_MAX_ALIASES: Final = 16  # of one answer
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


class Answer(NamedTuple):
    """What a name was found to have."""

    name: Name
    ttl: int  # seconds
    addresses: Sequence[bytes]
    aliases: Sequence[Name] = ()
    excepted: bool = False  # it is banned, but somebody has an exception


class Met(NamedTuple):
    """What allowed names were found to have; none: a worker says that it can be asked."""

    answers: list[Answer]
    number: int = 0  # answers wait until this is answered; 0: none does


class Refused(NamedTuple):
    """Addresses that are refused, or no longer."""

    addresses: list[bytes]
    refused: bool


class Banned(NamedTuple):
    """Names that clients asked for, and did not get."""

    names: list[Name]


class LookUp(NamedTuple):
    """A worker is asked to look a name up."""

    name: Name
    qtype: int


class LookedUp(NamedTuple):
    """What came of it."""

    qtype: int
    answer: Answer


Message = Asks | Done | Forget | Met | Refused | Banned | LookUp | LookedUp


def asks(number: int, wanted: Iterable[Ask]) -> bytes:
    """Return a request; the caller sees to it that it is no longer than MAX_MESSAGE (`size`)."""
    return b"".join((_ASK, _NUMBER.pack(number), *map(_asked, wanted)))


def size(ask: Ask) -> int:
    """Return how many octets `ask` takes in a request, at the most."""
    return 1 + 16 + _ASKED.size + 17 * min(len(ask.addresses), MAX_ADDRESSES)


def done(number: int, status: Status) -> bytes:
    """Return the answer to request `number`."""
    return _DONE + _NUMBER.pack(number) + bytes((status,))


def forget(clients: Iterable[bytes]) -> Iterator[bytes]:
    """Yield messages that say that nothing said of `clients` holds any longer."""
    return _lists(_FORGET, clients)


def forget_all() -> bytes:
    """Return that nothing said of anybody holds any longer."""
    return _FORGET


def answer_size(answer: Answer) -> int:
    """Return how many octets `answer` takes in a message, at the most."""
    addresses, aliases = min(len(answer.addresses), MAX_ADDRESSES), answer.aliases[:_MAX_ALIASES]
    return len(answer.name) + 3 + _ASKED.size + 17 * addresses + sum(len(alias) + 1 for alias in aliases)


def met(answers: Iterable[Answer], number: int = 0) -> bytes:
    """Return what allowed names have; the other side says when it has acted on it, by `number` if that is not 0."""
    return b"".join((_MET, _NUMBER.pack(number), *map(_answered, answers)))


def refused(addresses: Iterable[bytes], *, refused: bool) -> Iterator[bytes]:
    """Yield messages that say that these addresses are refused, or no longer."""
    return _lists(_REFUSED + bytes((refused,)), addresses)


def banned(asked: Iterable[Name]) -> bytes:
    """Return names that clients did not get."""
    return _BANNED + b"".join(map(_address, asked))


def look_up(name: Name, qtype: int) -> bytes:
    """Return the request to look `name` up."""
    return _LOOK_UP + _QTYPE.pack(qtype) + _address(name)


def looked_up(qtype: int, answer: Answer) -> bytes:
    """Return what came of it."""
    return _LOOKED_UP + _QTYPE.pack(qtype) + _answered(answer)


def _lists(head: bytes, addresses: Iterable[bytes]) -> Iterator[bytes]:
    """Yield messages with `head` in front of as many addresses as there is room for."""
    room = MAX_MESSAGE // 17 - 1
    told = [_address(each) for each in addresses]
    return (head + b"".join(told[at : at + room]) for at in range(0, len(told), room))


def read(message: bytes) -> Message:
    """Return what `message` says. Raises TalkError."""
    try:
        return _read(message)
    except (struct.error, IndexError, ValueError, WireError) as error:
        raise TalkError(f"a message between our own processes cannot be read: {error}") from error


def _read(message: bytes) -> Message:
    kind = message[:1]
    if kind == _ASK:
        return Asks(_NUMBER.unpack_from(message, 1)[0], list(_read_asks(message, 1 + _NUMBER.size)))
    if kind == _DONE and len(message) == 2 + _NUMBER.size:
        return Done(_NUMBER.unpack_from(message, 1)[0], Status(message[-1]))
    if kind == _FORGET:
        return Forget(list(_read_all(_read_address, message, 1)))
    if kind == _MET:
        return Met(list(_read_answers(message, 1 + _NUMBER.size)), _NUMBER.unpack_from(message, 1)[0])
    if kind == _REFUSED:
        return Refused(list(_read_all(_read_address, message, 2)), bool(message[1]))
    if kind == _BANNED:
        return Banned(list(_read_all(_read_name, message, 1)))
    if kind == _LOOK_UP:
        name, end = _read_name(message, 1 + _QTYPE.size)
        if end == len(message):
            return LookUp(name, _QTYPE.unpack_from(message, 1)[0])
    if kind == _LOOKED_UP:
        (answer,) = _read_answers(message, 1 + _QTYPE.size)
        return LookedUp(_QTYPE.unpack_from(message, 1)[0], answer)
    raise ValueError("it is of no kind that we know")


def _asked(ask: Ask) -> bytes:
    told = ask.addresses[:MAX_ADDRESSES]
    return b"".join((_address(ask.client), _ASKED.pack(ask.seconds, len(told)), *map(_address, told)))


def _answered(answer: Answer) -> bytes:
    told, aliases = answer.addresses[:MAX_ADDRESSES], answer.aliases[:_MAX_ALIASES]
    head = _address(answer.name) + _ASKED.pack(answer.ttl, len(told)) + bytes((len(aliases), answer.excepted))
    return head + b"".join(map(_address, (*told, *aliases)))


def _address(address: bytes) -> bytes:
    """Return an address, or a name, with its length."""
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


def _read_all(read_one: Callable[[bytes, int], tuple[bytes, int]], message: bytes, at: int) -> Iterator[bytes]:
    while at < len(message):
        one, at = read_one(message, at)
        yield one


def _read_address(message: bytes, at: int) -> tuple[bytes, int]:
    behind = at + 1 + message[at]
    if message[at] not in _SIZES or behind > len(message):
        raise ValueError("an address was cut short")
    return message[at + 1 : behind], behind


def _read_answers(message: bytes, at: int) -> Iterator[Answer]:
    while at < len(message):
        name, at = _read_name(message, at)
        ttl, count = _ASKED.unpack_from(message, at)
        at += _ASKED.size
        aliases: list[Name] = []
        also, excepted = message[at], bool(message[at + 1])
        at += 2
        addresses: list[bytes] = []
        for _ in range(count):
            address, at = _read_address(message, at)
            addresses.append(address)
        for _ in range(also):
            alias, at = _read_name(message, at)
            aliases.append(alias)
        yield Answer(name, ttl, addresses, aliases, excepted)


def _read_name(message: bytes, at: int) -> tuple[Name, int]:
    behind = at + 1 + message[at]
    name = message[at + 1 : behind]
    if behind > len(message) or behind_name(name, 0) != len(name):
        raise ValueError("a name was cut short")
    return read_name(name, 0), behind
