"""Netlink's outer form: messages with a head, attributes with a length. Pure; every length is checked."""

import struct
from collections.abc import Iterator
from typing import Final

from blocker.errors import KernelError

HEAD: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE: Final = struct.Struct("=HH")  # nlattr: length with its head, type
_ERROR: Final = struct.Struct("=i")
_TYPE: Final = 0x3FFF  # without the flags "nested" and "in network order"

ERROR: Final = 2  # NLMSG_ERROR: an acknowledgement too
DONE: Final = 3  # NLMSG_DONE: a dump's end
REQUEST: Final = 0x1
DUMP: Final = 0x300


def message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """Return a message; `payload` ends on whole 32 bits."""
    return HEAD.pack(HEAD.size + len(payload), kind, flags, sequence, 0) + payload


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute, filled to whole 32 bits."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def messages(wire: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, sequence and payload of each message. Raises KernelError."""
    at = 0
    while at < len(wire):
        if at + HEAD.size > len(wire):
            raise KernelError("netlink: a message was cut short")
        size, kind, _, sequence, _ = HEAD.unpack_from(wire, at)
        if size < HEAD.size or at + size > len(wire):
            raise KernelError("netlink: a message's length is wrong")
        yield kind, sequence, wire[at + HEAD.size : at + size]
        at += size + -size % 4


def attributes(wire: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each attribute. Raises KernelError."""
    at = 0
    while at + _ATTRIBUTE.size <= len(wire):
        size, kind = _ATTRIBUTE.unpack_from(wire, at)
        if size < _ATTRIBUTE.size or at + size > len(wire):
            raise KernelError("netlink: an attribute's length is wrong")
        yield kind & _TYPE, wire[at + _ATTRIBUTE.size : at + size]
        at += size + -size % 4


def error(payload: bytes) -> int:
    """Return what an acknowledgement says: 0, or a number of errno. Raises KernelError."""
    if len(payload) < _ERROR.size:
        raise KernelError("netlink: an acknowledgement was cut short")
    number: int = -_ERROR.unpack_from(payload)[0]
    return number
