"""The kernel's sieve in front of the capture: a classic BPF program that lets the beginnings of connections through.

Pure: writes the program, does not load it. The kernel runs it for every packet, without memory of the one before, so
it goes by what packets look like: the first of a connection, what a hello or a request begins with, and what may
continue one. Of a network's traffic, about one packet in a hundred is left.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from blocker.egress.hello import quic
from blocker.egress.hello.seen import LIMIT

PORTS: Final = (53, 80, 443, 5000, 8080, 8443)  # where a hello may go on in a second segment; mmtls uses five of them
_SHORT: Final = 1100
"""Octets: segments up to this are let through on PORTS. Who cuts a hello small makes such, as a narrow path does; the
middle of an upload comes in segments that fill a wide one."""
_KEEP: Final = LIMIT + 512  # octets of a packet that are captured
_WHOLE: Final = struct.Struct("=HBBI")

_LOAD_LENGTH_4: Final = 0xB1  # X = 4 * ([k] & 0xf): the length of an IPv4 header
_LOAD_BYTE, _LOAD_HALF = 0x30, 0x28
_AT_X_BYTE, _AT_X_HALF, _AT_X_WORD = 0x50, 0x48, 0x40
_LOAD_X, _LOAD_MEMORY, _STORE = 0x01, 0x60, 0x02
_AND, _SHIFT_RIGHT, _ADD, _ADD_X, _SUBTRACT_X, _TO_X = 0x54, 0x74, 0x04, 0x0C, 0x1C, 0x07
_IF_EQUAL, _IF_MORE, _IF_AT_LEAST, _IF_ANY = 0x15, 0x25, 0x35, 0x45
_RETURN: Final = 0x06
_PROTOCOL: Final = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL: the ethertype
_PORT, _FLAGS, _END = 0, 1, 2  # cells of memory
_PUSH: Final = 0x08

_Step = tuple[int, str, str, int] | str  # code, label if true, label if false, operand; or a label alone


def program() -> list[tuple[int, int, int, int]]:
    """Return the program for a socket whose packets begin with their IP header: code, jumps and operand of each step.

    What it returns is how many octets of the packet to capture.
    """
    return _assembled([*_ip(), *_tcp(), *_udp(), "keep", (_RETURN, "", "", _KEEP), "drop", (_RETURN, "", "", 0)])


def encoded(steps: Iterable[tuple[int, int, int, int]]) -> bytes:
    """Return a program as the kernel takes it (struct sock_filter)."""
    return b"".join(_WHOLE.pack(*step) for step in steps)


def _ip() -> Iterator[_Step]:
    yield from _if_equal(_LOAD_HALF, _PROTOCOL, {0x0800: "v4", 0x86DD: "v6"})
    yield "v4"
    yield (_LOAD_HALF, "", "", 6)
    yield (_IF_ANY, "piece", "", 0x3FFF)  # a fragment: what it is a piece of shows when all have come
    yield (_LOAD_HALF, "", "", 2)
    yield (_STORE, "", "", _END)
    yield (_LOAD_LENGTH_4, "", "", 0)
    yield from _if_equal(_LOAD_BYTE, 9, {6: "tcp", 17: "udp"})
    yield "piece"
    yield from _if_equal(_LOAD_BYTE, 9, {6: "keep", 17: "keep"})
    yield "v6"
    yield (_LOAD_HALF, "", "", 4)
    yield (_ADD, "", "", 40)
    yield (_STORE, "", "", _END)
    yield (_LOAD_X, "", "", 40)
    # Extension headers are rare enough for Python.
    yield from _if_equal(_LOAD_BYTE, 6, {6: "tcp", 17: "udp", **dict.fromkeys((0, 43, 44, 60), "keep")})


def _tcp() -> Iterator[_Step]:
    yield "tcp"  # X: where its header begins
    yield (_AT_X_HALF, "", "", 2)
    yield (_STORE, "", "", _PORT)
    yield (_AT_X_BYTE, "", "", 13)
    yield (_STORE, "", "", _FLAGS)
    yield (_AND, "", "", 0x12)
    yield (_IF_EQUAL, "keep", "", 0x02)  # SYN without ACK: a connection begins
    yield (_AT_X_BYTE, "", "", 12)
    yield (_SHIFT_RIGHT, "", "", 2)
    yield (_AND, "", "", 0x3C)
    yield (_ADD_X, "", "", 0)
    yield (_TO_X, "", "", 0)  # X: where its payload begins
    yield (_LOAD_MEMORY, "", "", _END)
    yield (_SUBTRACT_X, "", "", 0)
    yield (_IF_EQUAL, "drop", "", 0)
    yield (_IF_AT_LEAST, "", "port", 6)  # too short to tell
    yield (_AT_X_HALF, "", "", 0)
    yield (_IF_EQUAL, "hello", "", 0x1603)
    yield (_IF_EQUAL, "drop", "", 0x1703)  # application data of TLS: most of what clients send
    yield (_AND, "", "", 0xFF)
    yield (_IF_EQUAL, "mmtls", "", 0xF1)
    for at in range(3):  # three capitals: a method of HTTP
        yield (_AT_X_BYTE, "", "", at)
        yield (_IF_AT_LEAST, "", "port", 0x41)
        yield (_IF_MORE, "port", "", 0x5A)
    yield (_AT_X_WORD, "", "", 0)
    yield (_IF_EQUAL, "drop", "keep", 0x48545450)  # HTTP: a response

    yield "hello"
    yield (_AT_X_BYTE, "", "", 5)
    yield (_IF_EQUAL, "keep", "", 1)  # a ClientHello; a server's is 2
    yield (_AT_X_HALF, "", "", 3)
    yield (_IF_EQUAL, "keep", "port", 0)  # a record without content, which servers pass over
    yield "mmtls"
    yield (_AT_X_BYTE, "", "", 0)
    yield (_IF_AT_LEAST, "", "port", 0x14)
    yield (_IF_MORE, "port", "keep", 0x19)

    yield "port"  # may continue what began before: the end of what was written at once, or a small piece
    yield (_LOAD_MEMORY, "", "", _PORT)
    for port in PORTS:
        yield (_IF_EQUAL, "more", "", port)
    yield (_IF_EQUAL, "more", "drop", 853)
    yield "more"
    yield (_LOAD_MEMORY, "", "", _FLAGS)
    yield (_IF_ANY, "keep", "", _PUSH)
    yield (_LOAD_MEMORY, "", "", _END)
    yield (_SUBTRACT_X, "", "", 0)
    yield (_IF_MORE, "drop", "keep", _SHORT)


def _udp() -> Iterator[_Step]:
    yield "udp"
    yield (_AT_X_HALF, "", "", 2)
    for port in (53, 853, 8853):
        yield (_IF_EQUAL, "keep", "", port)
    yield (_AT_X_HALF, "", "", 0)
    yield (_IF_EQUAL, "keep", "", 53)  # an answer: who was told what
    yield (_AT_X_BYTE, "", "", 8)
    yield (_AND, "", "", 0xB0)  # not the bit that may be greased (RFC 9287)
    yield (_IF_EQUAL, "one", "", 0x80)  # an Initial of version 1, by its type
    yield (_IF_EQUAL, "two", "drop", 0x90)
    yield "one"
    yield (_AT_X_WORD, "", "", 9)
    yield (_IF_EQUAL, "keep", "drop", quic.V1)
    yield "two"
    yield (_AT_X_WORD, "", "", 9)
    yield (_IF_EQUAL, "keep", "drop", quic.V2)


def _if_equal(load: int, at: int, targets: dict[int, str]) -> Iterator[_Step]:
    """Load what is at `at`, and go where its value says; else drop."""
    yield (load, "", "", at)
    *first, last = targets.items()
    for value, label in first:
        yield (_IF_EQUAL, label, "", value)
    yield (_IF_EQUAL, last[1], "drop", last[0])


def _assembled(steps: Iterable[_Step]) -> list[tuple[int, int, int, int]]:
    """Return `steps` with labels turned into distances; no jump leads back."""
    labels: dict[str, int] = {}
    found: list[tuple[int, str, str, int]] = []
    for step in steps:
        if isinstance(step, str):
            labels[step] = len(found)
        else:
            found.append(step)

    def distance(label: str, at: int) -> int:
        return labels[label] - at - 1 if label else 0

    return [(code, distance(yes, at), distance(no, at), k) for at, (code, yes, no, k) in enumerate(found)]
