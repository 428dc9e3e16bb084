"""What the first bytes of a connection can turn out to be.

Pure values. What they mean for a client is decided elsewhere (egress/findings.py).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from blocker.names import MAX_LABEL, MAX_NAME, Name

LIMIT: Final = 16_384  # octets of one connection's beginning that anybody keeps: a ClientHello has 300 to 2,000


class Unread(Enum):
    """Why there is no value."""

    MORE = "more"  # so far it could be one: ask again with more octets
    OTHER = "other"  # it is none, whatever follows


MORE: Final = Unread.MORE
OTHER: Final = Unread.OTHER


@dataclass(frozen=True, slots=True)
class Hello:
    """A TLS ClientHello, over TCP or inside QUIC; one that was read early, as far as it had come."""

    name: Name | None  # the server name (RFC 6066 §3); None without one, or if it is no name
    ech: bool = False  # carries encrypted_client_hello (RFC 9849); browsers send an empty one as a disguise too
    alpn: tuple[bytes, ...] = ()  # protocols offered (RFC 7301)
    more: tuple[Name, ...] = ()  # further names: of somebody who tries which one is read; a sound client says one


@dataclass(frozen=True, slots=True)
class Request:
    """The head of an HTTP/1 request."""

    method: bytes
    path: bytes  # of the target, without its authority
    host: Name | None  # the target's authority, else the Host field (RFC 9112 §3.2.2); None if it is no name
    upgrade: bytes = b""  # lower case
    more: tuple[Name, ...] = ()  # what else it is said to be for, by an authority and a Host, or by two of these


@dataclass(frozen=True, slots=True)
class Record:
    """The first record of an mmtls connection."""

    kind: int  # 0x16 handshake, 0x19 handshake with early data, 0x17 data, 0x15 alert
    version: int  # 0xf103 or 0xf104
    from_server: bool  # it is a ServerHello


def host(octets: bytes) -> Name | None:
    """Return the name that a client wrote as `octets`, without a port; None if it is no host name of the DNS.

    Escapes mean nothing here: these are the octets that a server will compare.
    """
    stripped = octets[:-1] if octets.endswith(b".") else octets
    if not stripped or len(stripped) > MAX_NAME - 2:
        return None
    parts = bytearray()
    for label in stripped.split(b"."):
        if not 0 < len(label) <= MAX_LABEL:
            return None
        parts.append(len(label))
        parts += label
    parts.append(0)
    # lower() never alters a length octet: those are at most 63, below "A" (65).
    return bytes(parts).lower()
