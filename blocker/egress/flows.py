"""Follows connections for as long as they may say what they are. Pure: packets and the time in, sights out.

A table bounded in connections and in octets, of two generations: what the younger has not touched for a while goes
with the older, all at once. Remembers what was told too, so that nothing is told twice.

A connection may say more than one thing: one request after the other, what a proxy is asked to carry, TLS after plain
text, and the same octets again with another content, by those who want one of them to be overlooked (octets.py).
"""

from collections import Counter, deque
from enum import Enum
from typing import Final, NamedTuple

from blocker.egress.attempt import Flow
from blocker.egress.hello import dns, first, http, mmtls, quic
from blocker.egress.hello.seen import MORE, OTHER, Hello, Record, Request, Unread
from blocker.egress.packets import ACK, SYN, TCP, Packet
from blocker.egress.stream import Stream, distance
from blocker.wire.query import Query

DNS: Final = 53  # ports
DOT: Final = frozenset((853, 8853))  # DNS over TLS, over QUIC (RFC 7858, RFC 9250); the second in the wild
_MAX_DATAGRAMS: Final = 32  # of one connection that are decrypted
_MAX_STREAMS: Final = 4  # beginnings of one connection that are waited for
_MAX_AT_ONCE: Final = 64  # things that one segment says
_MAX_READ: Final = 4 << 20
"""Octets of one connection that are read, again and again as it grows: a hello that comes octet by octet takes half of
them. Then only what each segment says by itself is looked at."""
_MAX_SEALED: Final = 4096
"""Beginnings that came in pieces, and were understood, that are kept for a moment: the last piece may have been a
decoy, and the one that counts is still to come."""
_MAX_TOLD: Final = 16  # different things of one connection that are remembered to have been told
_NOTHING: Final = 0  # stands among what was told for what is nothing to us
_WHOLE: Final = 1 << 32


class Opened(Enum):
    """A connection was begun, and nothing was said yet."""

    OPENED = "opened"


OPENED: Final = Opened.OPENED
Said = Hello | Request | Record | Query


class Sight(NamedTuple):
    """What one connection turned out to be."""

    flow: Flow
    source_port: int
    what: Opened | Said


class _Talk:
    """A TCP connection that has said something."""

    __slots__ = ("base", "left", "size", "streams", "told")

    def __init__(self, base: int) -> None:
        self.base = base  # sequence number of its first octet
        self.size = 0  # octets from there on that were understood
        self.streams: tuple[Stream, ...] = ()  # beginnings of something, whose rest has not come
        self.told: tuple[int, ...] = ()
        self.left = _MAX_READ  # octets that are still read

    def expect(self, sequence: int, said: bytes = b"") -> None:
        """Wait for what begins at `sequence`, of which `said` is known, if it is not waited for."""
        sequence %= _WHOLE
        if self.left > 0 and all(stream.base != sequence for stream in self.streams):
            begun = Stream(sequence)
            begun.feed(sequence, said)
            self.streams = (*self.streams[1 - _MAX_STREAMS :], begun)

    @property
    def held(self) -> int:
        """How many octets that is."""
        return sum(stream.size for stream in self.streams)

    @property
    def is_unfinished(self) -> bool:
        """Whether it began to say something, and did not say it."""
        return not self.told and any(stream.end for stream in self.streams)


class _Quic:
    """A QUIC connection, as long as it may say a name."""

    __slots__ = ("initials", "left", "told")

    def __init__(self) -> None:
        self.initials = quic.Initials()
        self.left = _MAX_DATAGRAMS  # that are still looked at
        self.told: tuple[int, ...] = ()

    @property
    def is_unfinished(self) -> bool:
        """Whether part of a hello has come, and the name has not."""
        return not self.told and self.initials.size > 0


_State = int | _Talk | _Quic  # the first sequence number: it has said nothing yet


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
        self._sealed: deque[tuple[_Talk, Stream]] = deque()
        self._turned = 0.0
        self.early = 0  # connections forgotten before their time, for want of room
        self.kinds: Counter[str] = Counter()  # what connections turned out to be

    def see(self, packet: Packet, now: float) -> list[Sight]:
        """Take the next packet at monotonic time `now`, seconds; return what it shows."""
        if now - self._turned >= self._age:
            self._turn(now)
        if packet.protocol != TCP:
            return self._datagram(packet)
        if packet.flags & SYN:
            return self._opened(packet) if not packet.flags & ACK else []
        return self._segment(packet) if packet.payload else []

    # TCP.

    def _opened(self, packet: Packet) -> list[Sight]:
        base = (packet.sequence + 1) % _WHOLE
        state = self._young.get(packet.key)
        sights: list[Sight] = []
        if (state.base if isinstance(state, _Talk) else state) != base:  # else it was sent again, or seen twice
            self._keep(packet.key, base)
            sights.append(_sight(packet, OPENED))
        if packet.payload:  # TCP Fast Open (RFC 7413)
            sights += self._segment(packet._replace(sequence=base))
        return sights

    def _segment(self, packet: Packet) -> list[Sight]:
        payload, sequence = packet.payload, packet.sequence
        state = self._state(packet.key)
        sights: list[Sight] = []
        if isinstance(state, int):
            talk = _Talk(state)
            if sequence == state and packet.urgent < 0:  # most connections say at once, and whole, what they are
                sights, unfinished = self._read(packet, talk, state, payload)
                if not unfinished:
                    self._settle(talk, len(payload))
                    self._keep(packet.key, talk, talk.held)
                    return sights
            talk.expect(state)
        elif isinstance(state, _Talk):
            talk = state
            if 0 <= distance(talk.base, sequence) < talk.size:
                talk.expect(talk.base)  # the same again, but perhaps with another content
        begins = packet.port != DNS and first.is_beginning(payload)
        if begins or state is None:
            if not begins and (_said(packet.port, payload) is OTHER or payload[1:2] == b"\xf1"):
                return []  # its beginning was before ours
            if state is None:
                talk = _Talk(sequence)
            talk.expect(sequence)
        if begins and talk.left <= 0:
            return self._read(packet, talk, sequence, payload)[0]
        held = talk.held
        for stream in talk.streams:
            if stream.feed(sequence, payload, packet.urgent):
                sights += self._heard(packet, talk, stream)
        self._keep(packet.key, talk, max(0, talk.held - held))
        return [_sight(packet, OPENED), *sights] if state is None and sights else sights

    def _heard(self, packet: Packet, talk: _Talk, stream: Stream) -> list[Sight]:
        """Return what a stream shows that has grown."""
        sights: list[Sight] = []
        waits = not stream.is_plain  # who contradicts itself may do so again, with the next piece
        for data in stream.news():
            talk.left -= len(data)
            found, unfinished = self._read(packet, talk, stream.base, data)
            sights += found
            waits |= unfinished
        if talk.left <= 0:
            talk.streams = ()
        elif not waits:
            stream.seal()
            self._sealed.append((talk, stream))
            if len(self._sealed) > _MAX_SEALED:
                oldest, done = self._sealed.popleft()
                oldest.streams = tuple(each for each in oldest.streams if each is not done)
        if not waits or talk.left <= 0:
            self._settle(talk, stream.end if stream.base == talk.base else 0)
        return sights

    def _read(self, packet: Packet, talk: _Talk, base: int, data: bytes) -> tuple[list[Sight], bool]:
        """Return what the octets from number `base` on show, and whether they are the beginning of something."""
        sights: list[Sight] = []
        at = 0
        for _ in range(_MAX_AT_ONCE):
            found = _said(packet.port, data[at:] if at else data)
            if isinstance(found, Unread):
                if found is MORE and at:
                    talk.expect(base + at, data[at:])
                return sights, found is MORE and not at
            sights += self._told(packet, talk, found)
            length = _length(found, data[at:])
            if length is None:
                break
            at += length
            if at >= len(data):
                talk.expect(base + at)
                break
        return sights, False

    def _settle(self, talk: _Talk, size: int) -> None:
        """Take note that the first `size` octets were understood, or are nothing to us."""
        talk.size = max(talk.size, size)
        if not talk.told:
            talk.told = (_NOTHING,)
            self.kinds["other"] += 1

    # UDP.

    def _datagram(self, packet: Packet) -> list[Sight]:
        if packet.port == DNS and isinstance(query := dns.read(packet.payload), Query):
            self.kinds["dns"] += 1
            return [_sight(packet, query)]
        if packet.port not in DOT and not quic.is_initial(packet.payload):
            return []
        state = self._state(packet.key)
        sights: list[Sight] = []
        if not isinstance(state, _Quic):
            state = _Quic()
            sights.append(_sight(packet, OPENED))
        if not state.left:
            return []
        state.left -= 1
        held = state.initials.size
        found = state.initials.feed(packet.payload)
        if isinstance(found, Hello):
            sights += self._told(packet, state, found)
            state.initials.forget()
        elif sights and found is OTHER and packet.port not in DOT:
            return []  # an Initial that does not decrypt with a client's keys is a server's
        elif not state.left and not state.told:
            self.kinds["other"] += 1
        self._keep(packet.key, state, max(0, state.initials.size - held))
        return sights

    # The table.

    def _told(self, packet: Packet, state: _Talk | _Quic, found: Said) -> list[Sight]:
        """Return the sight of what was found, unless it was told."""
        if isinstance(found, Record) and found.from_server:
            return []
        mark = _mark(found)
        if mark in state.told:
            return []
        state.told = (*state.told[-_MAX_TOLD + 1 :], mark)
        self.kinds["quic" if isinstance(state, _Quic) else _KINDS[type(found)]] += 1
        return [_sight(packet, found)]

    def _state(self, key: bytes) -> _State | None:
        state = self._young.get(key)
        return self._old.get(key) if state is None else state

    def _keep(self, key: bytes, state: _State, octets: int = 0) -> None:
        if len(self._young) >= self._connections or self._held > self._octets:
            self.early += len(self._old)
            self._turn(self._turned)
        self._young[key] = state
        self._held += octets

    def _turn(self, now: float) -> None:
        forgotten = (state for key, state in self._old.items() if key not in self._young)
        if unfinished := sum(not isinstance(state, int) and state.is_unfinished for state in forgotten):
            self.kinds["unfinished"] += unfinished
        self._old = self._young
        self._young = {}
        self._sealed.clear()  # they go with their generation
        self._held = 0
        self._turned = now


_KINDS: Final[dict[type, str]] = {Hello: "tls", Request: "http", Record: "mmtls", Query: "dns"}


def _said(port: int, stream: bytes) -> Said | Unread:
    if port == DNS and stream[:2] != b"\x16\x03":
        return dns.read_stream(stream)
    return first.read(stream, early=True)


def _length(found: Said, stream: bytes) -> int | None:
    """Return where in `stream` what comes after `found` begins; None: nothing does, or nobody knows where."""
    if isinstance(found, Request):
        return http.behind(stream, found)
    return dns.length(stream) if isinstance(found, Query) else None


def _mark(found: Said) -> int:
    """Return what one thing that a connection says is told from another by."""
    if isinstance(found, Hello):
        return hash((found.name, found.more))
    if isinstance(found, Request):
        return hash((found.host, found.more, mmtls.is_carried_by(found)))
    return hash(found.qname) if isinstance(found, Query) else hash(Record)


def _sight(packet: Packet, what: Opened | Said) -> Sight:
    transport = "tcp" if packet.protocol == TCP else "udp"
    return Sight(Flow(packet.source, packet.destination, packet.port, transport), packet.source_port, what)
