"""The questions that are on their way: which are the same, which packet is the reply, when to try again.

Pure: packets, times and random numbers come in as arguments. Whom to ask is the pool's decision.
"""

from struct import Struct
from typing import TYPE_CHECKING, Final

from blocker.wire.constants import AD, CD, DO, FORMERR, HEADER_SIZE, NOTIMP, OPT, OUR_UDP_SIZE, QR, RCODE, RD, TC
from blocker.wire.query import Query

if TYPE_CHECKING:
    from blocker.exchange import Exchange

TICK: Final = 0.02  # seconds: how exact timers are; a heap would be exact, and dearer
_HEADER: Final = Struct("!HHHHHH")
_OPT_PLAIN: Final = Struct("!BHHIH").pack(0, OPT, OUR_UDP_SIZE, 0, 0)
_OPT_DO: Final = Struct("!BHHIH").pack(0, OPT, OUR_UDP_SIZE, DO, 0)


class Pending:  # written out: the generated __init__ would stay uncompiled
    """One question on its way upstream, and everybody who waits for it."""

    __slots__ = (
        "attempts", "deadline", "done", "former", "helpable", "ident", "key", "over_tcp", "plain", "port", "query",
        "question", "sent", "server", "started", "tried", "unreachable", "waiting", "wake",
    )  # fmt: skip

    def __init__(self, key: bytes, query: Query, question: bytes, started: float, deadline: float) -> None:
        self.key = key  # Query.key
        self.query = query  # the first that asked
        self.question = question  # on the wire, spelled as sent
        self.started = started  # monotonic seconds
        self.deadline = deadline  # monotonic seconds after which nobody waits any more
        self.waiting: list[Exchange] = []
        self.server: int = -1  # whom it was sent to last
        self.port: int = -1  # number of the socket it was sent from last
        self.ident: int = -1  # id it was sent with last
        self.former: tuple[tuple[int, int], ...] = ()  # sockets and ids of earlier attempts: a late answer is an answer
        self.sent: float = 0.0  # monotonic seconds
        self.attempts: int = 0
        self.unreachable: int = 0  # attempts of which the kernel says that nobody listens there
        self.tried: int = 0  # bit mask of servers
        self.wake: float = 0.0  # when to look at it again; an older entry of the heap is void
        self.over_tcp: bool = False
        self.plain: bool = False  # sent without EDNS last
        self.helpable: bool = False  # somebody who waits could be given a stale answer
        self.done: bool = False


def question_of(query: Query, coin: int | None = None) -> bytes:
    """Return the question to send for `query`: lower case, or spelled by the bits of `coin` (0x20)."""
    question = query.qname + query.packet[query.question_end - 4 : query.question_end]
    if coin is None:
        return question
    spelled = bytearray(question)
    for at in range(1, len(query.qname) - 1):
        if 0x61 <= spelled[at] <= 0x7A:
            spelled[at] ^= (coin >> (at & 63) & 1) << 5
    return bytes(spelled)


def knows_no_edns(packet: bytes) -> bool:
    """Tell whether a reply comes from a server to which our OPT record was an error: it has none (RFC 6891 §7)."""
    return packet[3] & RCODE in (FORMERR, NOTIMP) and packet[10:12] == b"\0\0"


def is_whole_reply(packet: bytes, question: bytes) -> bool:
    """Tell whether a packet that came over TCP, with the right id, replies to `question` in full (RFC 5452 §9.1)."""
    return (
        len(packet) >= HEADER_SIZE
        and bool(packet[2] & QR >> 8)
        and not packet[2] & TC >> 8
        and packet[4:6] == b"\0\1"
        and packet.startswith(question, HEADER_SIZE)
    )


def message(ident: int, query: Query, question: bytes, *, edns: bool = True) -> bytes:
    """Return the query to send upstream. Composed anew, so nothing of the client's but the question leaves:
    no client subnet, no cookie. AD asks for the answer's AD (RFC 6840 §5.7); DO and CD are the client's.
    Without `edns` DO cannot be said.
    """
    flags = RD | AD | query.flags & CD
    if not edns:
        return _HEADER.pack(ident, flags, 1, 0, 0, 0) + question
    return _HEADER.pack(ident, flags, 1, 0, 0, 1) + question + (_OPT_DO if query.do else _OPT_PLAIN)


class InFlight:
    """The questions on their way from one worker."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, Pending] = {}
        self._by_port: dict[int, dict[int, Pending]] = {}  # socket number, id
        self._wheel: dict[int, list[tuple[float, Pending]]] = {}  # by the tick they are due in
        self._ticked = 0  # the first tick that was not looked at yet

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: bytes) -> Pending | None:
        """Return the question `key` if it is on its way."""
        return self._by_key.get(key)

    def add(self, pending: Pending) -> None:
        """Take in a new question."""
        self._by_key[pending.key] = pending

    def sent(self, pending: Pending, port: int, ident: int) -> bool:
        """Note that `pending` leaves from socket `port` with id `ident`; False: that pair is taken, choose another."""
        by_id = self._by_port.setdefault(port, {})
        if ident in by_id:
            return False
        if pending.port >= 0:
            pending.former += ((pending.port, pending.ident),)
        by_id[ident] = pending
        pending.port, pending.ident = port, ident
        return True

    def match(self, packet: bytes, port: int) -> Pending | None:
        """Return the question that `packet`, received on socket `port`, replies to (RFC 5452 §9).

        The socket is connected, so source address and port were checked by the kernel; id and question,
        to the letter's case, are checked here. Who cannot read a query may leave its question out.
        """
        if len(packet) < HEADER_SIZE or not packet[2] & QR >> 8:
            return None
        by_id = self._by_port.get(port)
        pending = by_id.get(packet[0] << 8 | packet[1]) if by_id is not None else None
        if pending is None:
            return None
        if packet[4:6] == b"\0\1" and packet.startswith(pending.question, HEADER_SIZE):
            return pending
        return pending if len(packet) == HEADER_SIZE and knows_no_edns(packet) else None

    def remove(self, pending: Pending) -> None:
        """Forget a question that is settled."""
        pending.done = True
        self._by_key.pop(pending.key, None)
        self._leave_port(pending.port, pending.ident)
        for port, ident in pending.former:
            self._leave_port(port, ident)

    def on_port(self, port: int) -> list[Pending]:
        """Return the questions that wait for a reply on socket `port`."""
        return list({id(pending): pending for pending in self._by_port.get(port, {}).values()}.values())

    def wake_at(self, pending: Pending, when: float) -> None:
        """Have `due` return `pending` at `when`, or a tick later, and at no other time."""
        pending.wake = when
        tick = max(int(when / TICK), self._ticked)
        due = self._wheel.get(tick)
        if due is None:
            self._wheel[tick] = [(when, pending)]
        else:
            due.append((when, pending))

    def due(self, now: float) -> list[Pending]:
        """Return the questions whose time has come."""
        found: list[Pending] = []
        until = int(now / TICK)  # this tick is not over yet
        if until - self._ticked > len(self._wheel):  # the clock ran far: look at what there is
            ticks = sorted(tick for tick in self._wheel if tick < until)
        else:
            ticks = list(range(self._ticked, until))
        self._ticked = until
        for tick in ticks:
            for when, pending in self._wheel.pop(tick, ()):
                if not pending.done and pending.wake == when:
                    pending.wake = 0.0  # it may stand here twice with the same time
                    found.append(pending)
        return found

    def everything(self) -> list[Pending]:
        """Return all questions on their way."""
        return list(self._by_key.values())

    def _leave_port(self, port: int, ident: int) -> None:
        by_id = self._by_port.get(port)
        if by_id is not None and by_id.pop(ident, None) is not None and not by_id:
            del self._by_port[port]
