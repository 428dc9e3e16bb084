"""One query on its way through the line: what is known of it so far, and its answer."""

from typing import Any, Final, Literal

from blocker.cache import Entry
from blocker.events import Ending
from blocker.fast import Given
from blocker.policy import PASSTHRU, Policy, Verdict
from blocker.wire.constants import MAX_TCP, OUR_UDP_SIZE
from blocker.wire.query import Query
from blocker.wire.response import Response

# How a query came. Plain strings: an Enum's value and hash run Python code for every query.
Transport = Literal["udp", "tcp"]
UDP: Final = "udp"
TCP: Final = "tcp"


class Waiting:  # written out: the generated __init__ would stay uncompiled
    """An answer that may not be told before the name servers are known that it came from."""

    __slots__ = ("asks", "ending", "entry", "heard", "response")

    def __init__(self, response: Response, ending: Ending, entry: Entry | None) -> None:
        self.response = response
        self.ending: Ending = ending
        self.entry: Entry | None = entry  # of the cache, if it is from there
        self.asks: list[Query] = []  # what upstream must be asked; `finish` wants to hear of the first
        self.heard: dict[bytes, Response] = {}  # what it has said, by Query.key: not everything can be kept


class Exchange:  # written out: the generated __init__ would stay uncompiled
    """One query and its answer. `answer` None and not `wanted`: silence is the answer."""

    __slots__ = (
        "answer", "client", "decided_by", "fresh", "given", "noted", "peer", "policy", "query", "refresh", "stale",
        "started", "told", "transport", "ttl", "waiting", "wanted",
    )  # fmt: skip

    def __init__(self, policy: Policy, client: bytes, transport: Transport, started: float, peer: Any = None) -> None:  # noqa: ANN401 (not ours to look at)
        self.policy = policy
        self.client = client  # address, 4 or 16 octets
        self.transport = transport
        self.started = started  # monotonic seconds
        self.peer: Any = peer  # where the answer goes; the line does not look
        self.query: Query | None = None
        self.answer: bytes | None = None
        self.wanted: bool = False  # upstream must be asked, for `query` unless something is `waiting`
        self.waiting: Waiting | None = None
        self.refresh: bool = False  # answered, but upstream should be asked anew in the background
        self.noted: Verdict = PASSTHRU  # what decide() found worth noting about an allowed name, or why it is blocked
        self.decided_by: int = 0  # how often lists and policies had been replaced when decide() was asked
        self.stale: Entry | None = None  # to be given if the upstreams fail
        self.fresh: Response | None = None  # what is told, if it names hosts and nobody has inspected it before
        # Behind the gate: the addresses in the answer, which must not leave before the kernel lets the client there ...
        self.told: tuple[bytes, ...] = ()
        self.ttl: int = 0  # ... the seconds it may use them ...
        self.given: Given | None = None  # ... and the answer for the fast table, once that is so

    def limit(self, query: Query) -> int:
        """Return how many octets the client may be sent."""
        return MAX_TCP if self.transport == TCP else min(query.udp_size, OUR_UDP_SIZE)
