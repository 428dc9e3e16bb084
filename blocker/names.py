r"""Domain names as the line handles them: lower-case wire bytes (RFC 1035 §3.1).

A Name ends with the root's zero octet, so the root itself is `b"\0"`. A suffix test is a slice and
a look-up, and nothing is decoded on the query's path. Text is for people and files only.
"""

from collections.abc import Iterator
from typing import Final

import idna

from blocker.errors import NameFormatError

Name = bytes

ROOT: Final[Name] = b"\0"
MAX_LABEL: Final = 63  # octets (RFC 1035 §2.3.4)
MAX_NAME: Final = 255  # octets on the wire, the root's zero included (RFC 1035 §2.3.4)

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_*")


def from_text(text: str) -> Name:
    r"""Return the name written as `text`; a trailing dot is optional, `\DDD` and `\X` escapes are read.

    Letters beyond ASCII are converted to their punycode form (IDNA 2008, UTS 46 mapping).
    Raises NameFormatError, whose message quotes the text and says what to fix.
    """
    if text == ".":
        return ROOT
    backslashes = len(text) - 1 - len(text[:-1].rstrip("\\"))  # an odd number of them escapes a last dot
    stripped = text[:-1] if text.endswith(".") and not backslashes % 2 else text
    if not stripped:
        raise NameFormatError(f"{text!r} is not a domain name: it is empty")
    if stripped.isascii():
        labels = _labels_of(stripped) if "\\" in stripped else stripped.encode("ascii").split(b".")
    else:
        labels = _punycode(stripped).split(b".")
    parts = bytearray()
    for label in labels:
        if not label:
            raise NameFormatError(f"{text!r} is not a domain name: it has an empty label (two dots in a row)")
        if len(label) > MAX_LABEL:
            raise NameFormatError(f"{text!r} is not a domain name: a label is longer than {MAX_LABEL} octets")
        parts.append(len(label))
        parts += label.lower()
    parts.append(0)
    if len(parts) > MAX_NAME:
        raise NameFormatError(f"{text!r} is not a domain name: it is longer than {MAX_NAME} octets")
    return bytes(parts)


def hostname(text: str) -> Name:
    """Return the name written as `text` if it could be a host's: letters, digits, `-` and `_` only.

    Stricter than `from_text`, for lists: a space, a slash or a colon in a list is a mistake of its
    writer, though the DNS itself could carry it; and so is an address, which no host has for a name (RFC 3696 §2).
    Raises NameFormatError.
    """
    name = from_text(text)
    label = b""
    for label in labels(name):
        for octet in label:
            if octet not in _PLAIN or octet == ord("*"):
                allowed = "letters, digits, '-' and '_' are allowed"
                raise NameFormatError(f"{text!r} is not a domain name: it contains {chr(octet)!r}; {allowed}")
    if label.isdigit():
        raise NameFormatError(f"{text!r} is not a domain name: no top-level domain is a number")
    return name


def to_text(name: Name) -> str:
    r"""Return `name` for people: no trailing dot (the root is "."), odd octets as `\DDD` (RFC 4343 §2.1)."""
    if name == ROOT:
        return "."
    return ".".join("".join(_shown(octet) for octet in label) for label in labels(name))


def labels(name: Name) -> Iterator[bytes]:
    """Yield the labels of `name` from left to right, the root's empty one left out."""
    at = 0
    while length := name[at]:
        yield name[at + 1 : at + 1 + length]
        at += 1 + length


def parents(name: Name) -> Iterator[Name]:
    """Yield `name`, then each name above it, the root last."""
    at = 0
    while length := name[at]:
        yield name[at:]
        at += 1 + length
    yield ROOT


def is_below(name: Name, zone: Name) -> bool:
    """Tell whether `name` is `zone` or lies below it, at a label boundary."""
    if not name.endswith(zone):
        return False
    border = len(name) - len(zone)
    at = 0
    while at < border:
        at += 1 + name[at]
    return at == border


def depth(name: Name) -> int:
    """Return the number of labels of `name`; the root has none."""
    return sum(1 for _ in labels(name))


def _punycode(text: str) -> bytes:
    try:
        return idna.encode(text, uts46=True)
    except idna.IDNAError as error:
        raise NameFormatError(f"{text!r} is not a domain name: {error}") from error


def _labels_of(text: str) -> list[bytes]:
    """Split an escaped text at its dots (RFC 1035 §5.1)."""
    found = [bytearray()]
    at = 0
    while at < len(text):
        char = text[at]
        if char == ".":
            found.append(bytearray())
        elif char == "\\" and text[at + 1 : at + 4].isdigit() and len(text[at + 1 : at + 4]) == 3:
            octet = int(text[at + 1 : at + 4])
            if octet > 255:
                raise NameFormatError(f"{text!r} is not a domain name: \\{octet} is more than 255")
            found[-1].append(octet)
            at += 3
        elif char == "\\":
            if at + 1 == len(text):
                raise NameFormatError(f"{text!r} is not a domain name: it ends with a backslash")
            found[-1].append(ord(text[at + 1]))
            at += 1
        else:
            found[-1].append(ord(char))
        at += 1
    return [bytes(label) for label in found]


def _shown(octet: int) -> str:
    if octet in _PLAIN:
        return chr(octet)
    if 0x21 <= octet <= 0x7E and chr(octet) not in '.\\"();@$':
        return chr(octet)
    return f"\\{octet:03}" if chr(octet) not in ".\\" else f"\\{chr(octet)}"
