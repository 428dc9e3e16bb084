"""Reads the ClientHello inside QUIC Initial packets, version 1 (RFC 9001 §5) and version 2 (RFC 9369).

Initial packets are encrypted with keys that anybody can derive from the packet itself: this keeps
middleboxes from meddling, not from reading. Pure: datagrams in, a Hello out. Bounded in memory and in work.
"""

import hmac
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from blocker.egress.hello import tls
from blocker.egress.hello.seen import LIMIT, MORE, OTHER, Hello, Unread
from blocker.egress.octets import Readings

V1: Final = 0x00000001
V2: Final = 0x6B3343CF
_MAX_ID: Final = 20  # octets of a connection id
_MAX_PACKETS: Final = 8  # coalesced in one datagram that are looked at
_MAX_FRAMES: Final = 1500  # of one packet: more do not fit; browsers cut their hello into a few dozen pieces
_MAX_HELLOS: Final = 4  # of one connection
_SAMPLE: Final = 16  # octets
_LONG: Final = 0x80  # a long header; the bit that is fixed may be greased (RFC 9287)

_PADDING, _PING, _ACK, _ACK_ECN, _CRYPTO, _CLOSE = 0x00, 0x01, 0x02, 0x03, 0x06, 0x1C


class _Version(NamedTuple):
    salt: bytes
    label: bytes  # begins the labels of keys
    initial: int  # the header's type bits of an Initial


_VERSIONS: Final = {
    V1: _Version(bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), b"quic ", 0x00),
    V2: _Version(bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"), b"quicv2 ", 0x10),
}


class Keys(NamedTuple):
    """What protects a client's Initial packets."""

    key: bytes
    iv: bytes
    header: bytes


class Initials:
    """Puts the CRYPTO frames of one connection's client together, over packets and datagrams, in any order.

    What belongs to other keys is another hello: after a Retry, which begins anew, or of somebody who tries which one
    is read.
    """

    __slots__ = ("_hellos",)

    def __init__(self) -> None:
        self._hellos: dict[
            Keys, Readings | None
        ] = {}  # the keys of the first packet stay, though the server names another id

    def feed(self, datagram: bytes) -> Hello | Unread:
        """Take the next datagram from the client; return the ClientHello once its server name has come.

        OTHER: this datagram brought nothing of one. Others may still.
        """
        brought: dict[Keys, Readings] = {}
        for version, head, dcid in _packets(datagram):
            opened = self._open(datagram, version, head, dcid)
            if opened is None:
                continue
            keys, plain = opened
            for offset, data in _crypto_frames(plain):
                readings = brought[keys] = self._hellos[keys] = self._hellos[keys] or Readings(LIMIT)
                readings.feed(offset, data)
        if not brought:
            return OTHER
        octets = (each for readings in brought.values() for each in readings.beginnings())
        read = [tls.read_message(each, early=True) for each in octets]
        if len(read) == 1:
            return read[0]
        found = [each for each in read if isinstance(each, Hello)]
        if not found:
            return MORE if MORE in read else OTHER
        name, *more = dict.fromkeys(name for each in found for name in (each.name, *each.more) if name) or (None,)
        return replace(found[0], name=name, more=tuple(more))

    def forget(self) -> None:
        """Forget what was said, and not the keys."""
        self._hellos = dict.fromkeys(self._hellos)

    @property
    def size(self) -> int:
        """How many octets are held."""
        return sum(each.size for each in self._hellos.values() if each is not None)

    def _open(self, datagram: bytes, version: int, head: "_Head", dcid: bytes) -> tuple[Keys, bytes] | None:
        for keys in self._hellos:
            if (plain := unprotect(datagram, head, keys)) is not None:
                return keys, plain
        keys = derive(version, dcid)
        if keys in self._hellos or (plain := unprotect(datagram, head, keys)) is None:
            return None
        if len(self._hellos) >= _MAX_HELLOS:
            del self._hellos[next(iter(self._hellos))]
        self._hellos[keys] = None
        return keys, plain


class _Head(NamedTuple):
    """Where one Initial packet lies in a datagram."""

    start: int
    number: int  # offset of the packet number
    end: int


def is_initial(datagram: bytes) -> bool:
    """Tell whether `datagram` looks like a QUIC Initial of a version we read."""
    if len(datagram) < 7 or datagram[0] & _LONG != _LONG:
        return False
    version = _VERSIONS.get(int.from_bytes(datagram[1:5]))
    return version is not None and datagram[0] & 0x30 == version.initial


def derive(version: int, dcid: bytes) -> Keys:
    """Return the keys of a client whose first packet went to connection id `dcid` (RFC 9001 §5.2)."""
    salt, label, _ = _VERSIONS[version]
    secret = _expand(hmac.digest(salt, dcid, "sha256"), b"client in", 32)
    return Keys(
        _expand(secret, label + b"key", 16), _expand(secret, label + b"iv", 12), _expand(secret, label + b"hp", 16)
    )


def unprotect(datagram: bytes, head: "_Head", keys: Keys) -> bytes | None:
    """Return the payload of the packet at `head`; None if it was not made with `keys` (RFC 9001 §5.3, §5.4)."""
    at = head.number
    sample = datagram[at + 4 : at + 4 + _SAMPLE]
    cipher = Cipher(algorithms.AES(keys.header), modes.ECB()).encryptor()  # noqa: S305 (one block is the RFC's mask)
    mask = cipher.update(sample)
    first = datagram[head.start] ^ (mask[0] & 0x0F)
    size = (first & 3) + 1
    number = bytes(a ^ b for a, b in zip(datagram[at : at + size], mask[1:], strict=False))
    nonce = keys.iv[:-size] + bytes(a ^ b for a, b in zip(keys.iv[-size:], number, strict=True))
    associated = bytes((first,)) + datagram[head.start + 1 : at] + number
    try:
        return AESGCM(keys.key).decrypt(nonce, datagram[at + size : head.end], associated)
    except InvalidTag:
        return None


def _packets(datagram: bytes) -> Iterator[tuple[int, _Head, bytes]]:
    """Yield version, place and destination connection id of each Initial in `datagram` (RFC 9000 §17.2)."""
    at = 0
    for _ in range(_MAX_PACKETS):
        start = at
        if len(datagram) < at + 7 or datagram[at] & _LONG != _LONG:  # a short header ends the datagram
            return
        number = int.from_bytes(datagram[at + 1 : at + 5])
        version = _VERSIONS.get(number)
        if version is None:
            return
        at += 5
        size = datagram[at]
        dcid = datagram[at + 1 : at + 1 + size]
        at += 1 + size
        if size > _MAX_ID or at >= len(datagram) or datagram[at] > _MAX_ID:
            return
        at += 1 + datagram[at]
        kind = datagram[start] & 0x30
        if kind == version.initial:
            token, at = _varint(datagram, at)
            at += token
        elif kind == (version.initial - 0x10) & 0x30:  # Retry: has no length, and comes from servers alone
            return
        length, at = _varint(datagram, at)
        end = at + length
        if end > len(datagram) or length < 4 + _SAMPLE:
            return
        if kind == version.initial:
            yield number, _Head(start, at, end), dcid
        at = end


def _crypto_frames(plain: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield offset and data of the CRYPTO frames among what an Initial may hold (RFC 9000 §17.2.2)."""
    at = 0
    for _ in range(_MAX_FRAMES):
        while at < len(plain) and plain[at] == _PADDING:
            at += 1
        if at >= len(plain):
            return
        kind = plain[at]
        at += 1
        if kind == _CRYPTO:
            offset, at = _varint(plain, at)
            size, at = _varint(plain, at)
            if at + size > len(plain):
                return
            yield offset, plain[at : at + size]
            at += size
        elif kind in (_ACK, _ACK_ECN):
            at = _behind_ack(plain, at, ecn=kind == _ACK_ECN)
        elif kind != _PING:  # CONNECTION_CLOSE, or what must not be here
            return


def _behind_ack(plain: bytes, at: int, *, ecn: bool) -> int:
    _, at = _varint(plain, at)  # largest
    _, at = _varint(plain, at)  # delay
    ranges, at = _varint(plain, at)
    for _ in range(min(2 * ranges + 1 + 3 * ecn, len(plain))):
        _, at = _varint(plain, at)
    return at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer at `at` and the offset behind it (RFC 9000 §16); beyond the end, an offset beyond it."""
    if at >= len(data):
        return 0, len(data) + 1
    size = 1 << (data[at] >> 6)
    return int.from_bytes(data[at : at + size]) & (1 << 8 * size - 2) - 1, at + size


def _expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label of one block (RFC 8446 §7.1): `size` is at most 32."""
    full = b"tls13 " + label
    return hmac.digest(secret, size.to_bytes(2) + bytes((len(full),)) + full + b"\0\1", "sha256")[:size]
