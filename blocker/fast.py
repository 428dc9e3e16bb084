"""Answers already given, keyed by the query's own bytes behind its id: what a repeated query gets at once.

Pure. One table per policy, since the same question may have another answer in another group, and one per client
where an answer may only be given once the kernel lets that client there; dropped whole when lists change. The tables
are read by the drain (serve/udp.py, serve/_udp.pyx), which must not decide anything: it finds the bytes or it does not.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from blocker.policy import UNGATED, Policy

FOREVER: Final = 1 << 62  # seconds: a blocked answer stays right until the lists change
MAX_EXTRA: Final = 64  # octets of a query behind its question: a cookie fits, padding without end does not
_OVERHEAD: Final = 500  # octets an answer costs beside its bytes
MAX_ADDRESSES: Final = 100_000  # clients remembered


class Given(NamedTuple):
    """An answer that may be given again. The drain reads it by position, so the order matters."""

    answer: bytes  # behind the id
    expires: int  # second from which it may not be given any more
    stored: int  # second its TTLs were right
    ttl_offsets: Sequence[int]  # in `answer`; empty: TTLs do not age
    cell: int  # of the outcome, in the worker's tally
    ending: int  # index of its duration histogram
    flags: int  # events.ATTEMPT, events.QUERY, or 0: not journaled
    tail: bytes  # of its journal record; empty when not journaled


Table = dict[bytes, Given]


class Fast:
    """One table of answers per policy, and which table a client's address reads."""

    def __init__(self, limit: int = 16 << 20) -> None:
        """Keep `limit` octets of answers at the most, over all policies."""
        self.size = 0  # octets, estimated
        self.limit = limit
        self.by_address: dict[bytes, Table] = {}  # address, 4 or 16 octets
        self._tables: dict[tuple[str, str], Table] = {}  # by group and what sets some of its clients apart
        self._own: dict[bytes, Table] = {}  # of clients behind the gate

    def remember(self, address: bytes, policy: Policy) -> None:
        """Let queries from `address` be answered from the table of `policy`, or from one of its own behind the gate."""
        if len(self.by_address) >= MAX_ADDRESSES:
            self.by_address.clear()
            self._own.clear()
        self.by_address[address] = self._table(policy, address)

    def put(self, policy: Policy, address: bytes, packet: bytes, given: Given) -> None:
        """Keep `given` for queries with the same bytes as `packet`, its id aside, from clients as that at `address`.

        Full: all answers go, which costs one slow answer each. Tables are emptied, not replaced: addresses
        refer to them.
        """
        self.size += _OVERHEAD + len(packet) + len(given.answer) + len(given.tail)
        if self.size > self.limit:
            self.size = 0
            for each in (*self._tables.values(), *self._own.values()):
                each.clear()
        self._table(policy, address)[packet[2:]] = given

    def forget(self, address: bytes) -> None:
        """Forget the answers that are for the client at `address` alone."""
        if (own := self._own.get(address)) is not None:
            own.clear()

    def forget_own(self) -> None:
        """Forget all answers that are for one client alone."""
        for each in self._own.values():
            each.clear()

    def clear(self) -> None:
        """Forget all answers and clients: lists or groups have changed."""
        self.size = 0
        self._tables.clear()
        self._own.clear()
        self.by_address.clear()

    def _table(self, policy: Policy, address: bytes) -> Table:
        if policy.gate is UNGATED:
            return self._tables.setdefault((policy.group, policy.variant), {})
        return self._own.setdefault(address, {})
