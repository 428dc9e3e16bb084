"""What a visitor says first: an HTTP request, a TLS greeting, something else. Pure.

The same readers as in the capture (egress/hello) find the name, so that a host has one meaning. Bodies and
further requests are nobody's business: a connection ends with the answer to its first words.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from blocker.egress.hello import first, http, tls
from blocker.egress.hello.seen import LIMIT, MORE, Hello, Record, Request

_MAX_PIECES: Final = 64  # segments before a whole greeting; each is a look at all of it. Browsers need one to four


class Kind(StrEnum):
    """What a visitor speaks."""

    HTTP = "http"
    TLS = "tls"
    OTHER = "other"
    NOTHING = "nothing"  # it said nothing at all


class Outcome(StrEnum):
    """How a visit ended."""

    NAMED = "named"  # it named what is blocked
    UNNAMED = "unnamed"  # it named nothing, or nothing that is blocked
    CLOSED = "closed"  # it went before it had said what it wants
    TIMEOUT = "timeout"  # it did not say it in time


@dataclass(frozen=True, slots=True)
class Visit:
    """What a visitor wants."""

    kind: Kind
    said: Hello | Request | Record | None = None  # None: nothing that we read
    accept: str = ""
    accept_language: str = ""


class Greeting:
    """Takes octets until they say what is wanted."""

    __slots__ = ("_octets", "_pieces")

    def __init__(self) -> None:
        self._octets = b""
        self._pieces = 0

    @property
    def kind(self) -> Kind:
        """What it seems to be so far."""
        if not self._octets:
            return Kind.NOTHING
        if self._octets[0] == tls.HANDSHAKE:
            return Kind.TLS
        return Kind.HTTP if self._octets[:1].isupper() else Kind.OTHER

    def take(self, data: bytes) -> Visit | None:
        """Return what is wanted once it is clear; None: more is needed. Keeps no more than LIMIT octets."""
        self._octets = (self._octets + data)[:LIMIT]
        self._pieces += 1
        found = first.read(self._octets)
        if isinstance(found, Request):
            accept, language = (http.field(self._octets, name) for name in (b"accept", b"accept-language"))
            return Visit(Kind.HTTP, found, accept, language)
        if isinstance(found, Hello):
            return Visit(Kind.TLS, found)
        if isinstance(found, Record):
            return Visit(Kind.OTHER, found)
        if found is MORE and len(self._octets) < LIMIT and self._pieces < _MAX_PIECES:
            return None
        return Visit(Kind.OTHER)
