"""Follows connections for as long as they have not said what they are. Pure: packets and the time in, sights out.

A table bounded in connections and in octets, of two generations: what the younger has not touched for a while goes
with the older, all at once. Remembers what is settled too, so that nothing is told twice.
"""

from collections import Counter
from enum import Enum
from typing import Final, NamedTuple

from blocker.egress.attempt import Flow
from blocker.egress.hello import dns, first, quic
from blocker.egress.hello.seen import MORE, OTHER, Hello, Record, Request, Unread
from blocker.egress.packets import ACK, SYN, TCP, Packet
from blocker.egress.stream import Stream
from blocker.wire.query import Query

DNS: Final = 53  # ports
DOT: Final = frozenset((853, 8853))  # DNS over TLS, over QUIC (RFC 7858, RFC 9250); the second in the wild
_MAX_DATAGRAMS: Final = 16  # of one connection that are decrypted


class Opened(Enum):
    """A connection was begun, and nothing was said yet."""

    OPENED = "opened"


OPENED: Final = Opened.OPENED


class Sight(NamedTuple):
    """What one connection turned out to be."""

    flow: Flow
    source_port: int
    what: Opened | Hello | Request | Record | Query


class _Quic(NamedTuple):
    """A QUIC connection whose hello is not whole yet."""

    initials: quic.Initials
    left: list[int]  # datagrams that are still looked at


_State = int | Stream | _Quic  # the first sequence number; what has come so far; settled: less than zero


class Flows:
    """The connections of a network, from packets in both directions."""

    def __init__(self, connections: int = 131_072, octets: int = 64 << 20, age: float = 15.0) -> None:
        """Remember at most `connections` and `octets` of them; what is silent for 2 x `age` seconds is forgotten."""
        self._connections = connections // 2
        self._octets = octets // 2
        self._age = age
        self._young: dict[bytes, _State] = {}
        self._old: dict[bytes, _State] = {}
        self._held = 0  # octets, in the younger
        self._turned = 0.0
        self.early = 0  # connections forgotten before their time, for want of room
        self.kinds: Counter[str] = Counter()  # what connections turned out to be

    def see(self, packet: Packet, now: float) -> tuple[Sight, ...]:
        """Take the next packet at monotonic time `now`, seconds; return what it shows."""
        if now - self._turned >= self._age:
            self._turn(now)
        if packet.protocol != TCP:
            return self._datagram(packet)
        if packet.flags & SYN:
            return self._opened(packet) if not packet.flags & ACK else ()
        return self._segment(packet) if packet.payload else ()

    # TCP.

    def _opened(self, packet: Packet) -> tuple[Sight, ...]:
        base = (packet.sequence + 1) % (1 << 32)
        if self._young.get(packet.key) in (base, _settled(base)):
            return ()  # sent again, or seen twice
        self._keep(packet.key, base)
        sights: tuple[Sight, ...] = (_sight(packet, OPENED),)
        if packet.payload:  # TCP Fast Open (RFC 7413)
            sights += self._segment(packet._replace(sequence=base))
        return sights

    def _segment(self, packet: Packet) -> tuple[Sight, ...]:
        key = packet.key
        state = self._young.get(key, OTHER)
        if state is OTHER:
            state = self._old.get(key, OTHER)
        if isinstance(state, int) and state < 0:
            return ()
        read = dns.read_stream if packet.port == DNS else _first
        if state is OTHER:  # its beginning was before ours: only what looks like a beginning is taken for one
            found = read(packet.payload)
            if found is OTHER:
                return ()
            if found is not MORE:
                return (_sight(packet, OPENED), *self._settle(packet, found, packet.sequence))
            state = packet.sequence
        if isinstance(state, int):
            if state == packet.sequence and (found := read(packet.payload)) is not MORE:
                return self._settle(packet, found, state)
            state = Stream(state)
        assert isinstance(state, Stream)
        self._keep(key, state, len(packet.payload))
        if state.feed(packet.sequence, packet.payload) and (found := read(bytes(state.data))) is not MORE:
            return self._settle(packet, found, state.base)
        return ()

    # UDP.

    def _datagram(self, packet: Packet) -> tuple[Sight, ...]:
        if packet.port == DNS:
            query = dns.read(packet.payload)
            if isinstance(query, Unread):
                return ()
            self.kinds["dns"] += 1
            return (_sight(packet, query),)
        key = packet.key
        state = self._young.get(key, OTHER)
        if state is OTHER:
            state = self._old.get(key, OTHER)
        if isinstance(state, int) or not (packet.port in DOT or quic.is_initial(packet.payload)):
            return ()
        sights: tuple[Sight, ...] = ()
        if not isinstance(state, _Quic):
            state = _Quic(quic.Initials(), [_MAX_DATAGRAMS])
            sights = (_sight(packet, OPENED),)
        state.left[0] -= 1
        found = state.initials.feed(packet.payload)
        if isinstance(found, Hello):
            return sights + self._settle(packet, found)
        if state.left[0] <= 0:
            return sights + self._settle(packet, OTHER)
        if sights and found is OTHER and packet.port not in DOT:
            return ()  # an Initial that does not decrypt with a client's keys is a server's
        self._keep(key, state, len(packet.payload))
        return sights

    # The table.

    def _settle(
        self, packet: Packet, found: Hello | Request | Record | Query | Unread, base: int = 0
    ) -> tuple[Sight, ...]:
        self._keep(packet.key, _settled(base))
        if isinstance(found, Unread) or (isinstance(found, Record) and found.from_server):
            self.kinds["other"] += 1
            return ()
        self.kinds["quic" if isinstance(found, Hello) and packet.protocol != TCP else _KINDS[type(found)]] += 1
        return (_sight(packet, found),)

    def _keep(self, key: bytes, state: _State, octets: int = 0) -> None:
        if len(self._young) >= self._connections or self._held > self._octets:
            self.early += len(self._old)
            self._turn(self._turned)
        self._young[key] = state
        self._held += octets

    def _turn(self, now: float) -> None:
        self._old = self._young
        self._young = {}
        self._held = 0
        self._turned = now


_KINDS: Final[dict[type, str]] = {Hello: "tls", Request: "http", Record: "mmtls", Query: "dns"}


def _first(stream: bytes) -> Hello | Request | Record | Unread:
    return first.read(stream, early=True)


def _settled(base: int) -> int:
    """Return the state of a settled connection: it still tells another that follows on the same ports."""
    return -1 - base


def _sight(packet: Packet, what: Opened | Hello | Request | Record | Query) -> Sight:
    transport = "tcp" if packet.protocol == TCP else "udp"
    return Sight(Flow(packet.source, packet.destination, packet.port, transport), packet.source_port, what)
