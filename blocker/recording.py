"""How the line's endings are told to the world: each becomes an outcome, and a record where somebody wants one."""

from collections.abc import Sequence

from blocker import events
from blocker.events import Basis, Ending, Recorder
from blocker.exchange import Exchange
from blocker.policy import PASSTHRU, Verdict
from blocker.wire.constants import TYPE_NAMES
from blocker.wire.query import Query

Ended = tuple[events.Outcome, int, bytes]  # the outcome, its journal flags, the tail of its journal record


class Recording:
    """Counts endings, and journals those that somebody wants to read; no verdict rests on what it says back."""

    def __init__(self, recorder: Recorder, journaled: int, basis: Basis | None) -> None:
        """`journaled` is the sum of the event flags somebody wants to read: events.ATTEMPT, QUERY, SEARCH."""
        self._recorder = recorder
        self._journaled = journaled
        self._basis = basis
        self._plain_outcomes: dict[tuple[str, int, int | None, Ending], Ended] = {}

    def adopt(self, basis: Basis | None, journaled: int | None) -> None:
        """Go on with other lists; None: the same is wanted as before."""
        self._basis = basis
        if journaled is not None:
            self._journaled = journaled

    def _outcome(
        self,
        exchange: Exchange,
        query: Query,
        rcode: int | None,
        ending: Ending,
        verdict: Verdict,
        addresses: Sequence[bytes],
    ) -> Ended:
        """Return the outcome of an ending, its journal flags and the tail of its record."""
        transport = exchange.transport
        if verdict is PASSTHRU and not self._journaled & events.EVERY:  # most queries: one look-up
            plain = (transport, query.qtype, rcode, ending)
            known = self._plain_outcomes.get(plain)
            if known is None:
                found = events.labels(transport, query.qtype, rcode, ending, "", verdict)
                known = self._recorder.outcome(found, attempt=False), 0, b""
                if query.qtype in TYPE_NAMES:  # a closed set: strangers cannot make it grow
                    self._plain_outcomes[plain] = known
            return known
        group = exchange.policy.group
        attempt = events.is_attempt(verdict) and not exchange.policy.quiet
        found = events.labels(transport, query.qtype, rcode, ending, group, verdict)
        outcome = self._recorder.outcome(found, attempt=attempt)
        flags = self._journaled & (events.EVERY | (events.ATTEMPT if attempt else 0))
        if not flags:
            return outcome, flags, b""
        heard = events.told(exchange.answer, addresses) if attempt else ""
        basis = self._basis
        tail = events.tail(group, query.qname, query.qtype, transport, rcode, ending, verdict, heard, basis)
        return outcome, flags, tail

    def record(
        self,
        exchange: Exchange,
        query: Query,
        rcode: int | None,
        ending: Ending,
        verdict: Verdict,
        now: float,
        addresses: Sequence[bytes] = (),
    ) -> Ended:
        """Count and journal an ending; `addresses` went into its answer."""
        outcome, flags, tail = self._outcome(exchange, query, rcode, ending, verdict, addresses)
        self._recorder.record(outcome, exchange.client, now - exchange.started, tail, flags)
        return outcome, flags, tail
