"""As much of the protobuf encoding as dnstap needs: fields of one message, without a schema. Pure and bounded."""

from typing import Final

from blocker.simulate.logs.record import BadLineError

MAX_FIELDS: Final = 64  # of one message; dnstap has 15
_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5

Fields = dict[int, int | bytes]


def fields(data: bytes) -> Fields:
    """Return the fields of the message `data` by number; the last of a repeated field counts. Raises BadLineError."""
    found: Fields = {}
    at = 0
    for _ in range(MAX_FIELDS):
        if at == len(data):
            return found
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            found[key >> 3], at = _varint(data, at)
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise BadLineError(f"protobuf: a field of wire type {kind}")
        if size > len(data) - at:
            raise BadLineError("protobuf: a field is longer than its message")
        value = data[at : at + size]
        found[key >> 3] = value if kind == _BYTES else int.from_bytes(value, "little")
        at += size
    raise BadLineError(f"protobuf: more than {MAX_FIELDS} fields")


def number(found: Fields, field: int) -> int:
    """Return a field that is a number; 0 if it is not there. Raises BadLineError."""
    value = found.get(field, 0)
    if not isinstance(value, int):
        raise BadLineError(f"protobuf: field {field} is not a number")
    return value


def octets(found: Fields, field: int) -> bytes:
    """Return a field that is octets; empty if it is not there. Raises BadLineError."""
    value = found.get(field, b"")
    if not isinstance(value, bytes):
        raise BadLineError(f"protobuf: field {field} is not octets")
    return value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at` and the place behind it; 64 bits at the most."""
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            raise BadLineError("protobuf: it ends inside a number")
        octet = data[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value, at
    raise BadLineError("protobuf: a number of more than 64 bits")
