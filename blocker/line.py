"""The life of a query, in one straight line; READ FIRST.

    datagram -> clients -> fast --hit------------------------------------------> send -> journal
                             | miss                                                ^
                 open:       v                                                     |
                 parse_query -> decide -> cache --miss--> upstream -> finish: inspect -> answer
                                  | block     | hit                                ^
                                  +-----------+-> answer --------------------------+

The order is the security property, so it is code and not configuration. `open` goes as far as memory allows
and never waits; what it cannot settle is `wanted` from upstream, and `finish` takes it from there. `_tell` is
the only door from an upstream's words to a client, and it inspects. Whatever goes wrong, the client hears a
block or SERVFAIL, never an answer that nobody checked.

Knows no sockets, clocks or logs: time is an argument, outcomes go to a Recorder.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from blocker import answer, events, servers
from blocker.answer import Wording
from blocker.cache import NOTHING_SAID, Cache, Entry, lifetime
from blocker.errors import WireError
from blocker.events import Basis, Ending, Recorder
from blocker.exchange import UDP, Exchange, Transport, Waiting
from blocker.fast import FOREVER, MAX_EXTRA, Fast, Given
from blocker.policy import (
    PASSTHRU,
    UNGATED,
    Action,
    Index,
    Policy,
    Verdict,
    decide,
    ends,
    inspect,
    inspect_servers,
    is_judged_by_servers,
    weightier,
)
from blocker.recording import Ended, Recording
from blocker.wire.constants import (
    ANY,
    AXFR,
    CLASS_CHAOS,
    CLASS_IN,
    HEADER_SIZE,
    IXFR,
    META_TYPES,
    NEVER_ASKED,
    OPT,
    RD,
    SERVFAIL,
    TC,
    Ede,
    Rcode,
)
from blocker.wire.ech import without_ech
from blocker.wire.query import Query, parse_query
from blocker.wire.response import Response


class Line:
    """Everything that one worker knows while it serves; `index` and `policies` are swapped on reload."""

    def __init__(
        self,
        index: Index,
        cache: Cache,
        fast: Fast,
        wording: Wording,
        recorder: Recorder,
        journaled: int,
        basis: Basis | None = None,
    ) -> None:
        """`journaled` is the sum of the event flags somebody wants to read: events.ATTEMPT, QUERY, SEARCH."""
        self.index = index
        self._judges_servers = index.judges_servers
        self.wording = wording
        self._cache = cache
        self._fast = fast
        self._recorder = recorder
        self._recording = Recording(recorder, journaled, basis)
        self._policy_for: Callable[[bytes], Policy] | None = None  # of the last adopt()
        self._adopted = 0  # times that lists or policies were replaced
        self.prefetches = 0
        self.hits = 0
        self.misses = 0
        self.unjudged = 0

    def adopt(
        self,
        index: Index,
        wording: Wording,
        policy_for: Callable[[bytes], Policy],
        basis: Basis | None = None,
        journaled: int | None = None,
    ) -> None:
        """Go on with other lists and policies. What upstreams said stays; what we said to clients goes."""
        self.index = index
        self._judges_servers = index.judges_servers
        self.wording = wording
        self._policy_for = policy_for
        self._adopted += 1
        self._recording.adopt(basis, journaled)
        self._fast.clear()

    def open(
        self, packet: bytes, policy: Policy, client: bytes, transport: Transport, now: float, peer: object = None
    ) -> Exchange:
        """Take a packet from a client as far as memory allows. Never waits, never raises."""
        exchange = Exchange(policy, client, transport, now, peer)
        try:
            if (query := self._read(exchange, packet)) is not None:
                self._answer_from_memory(exchange, query, now)
        except Exception as error:  # noqa: BLE001 as in finish
            self._broken(exchange, error, now)
        return exchange

    def finish(self, exchange: Exchange, response: Response | None, now: float) -> None:
        """Settle an exchange that was `wanted` with what upstream said; None: nothing usable in time.

        The response is already kept (`keep`). A failure makes way for a stale answer where there is one. The exchange
        may be `wanted` once more, if the name servers matter that an answer came from.
        """
        exchange.wanted = False
        try:
            if exchange.decided_by != self._adopted and self._is_blocked_now(exchange, now):
                return
            if (waiting := exchange.waiting) is not None:
                self._hear(waiting, response, now)
                self._tell(exchange, waiting.response, waiting.ending, now, waiting.entry)
            elif response is not None and response.rcode != SERVFAIL:
                self._tell(exchange, response, events.UPSTREAM, now)
            elif exchange.stale is not None:
                self._tell(exchange, exchange.stale.response, events.STALE, now, exchange.stale)
            else:
                self._tell(exchange, response or NOTHING_SAID, events.FAILURE, now)
        except Exception as error:  # noqa: BLE001 a bug of ours must neither open the ban nor leave the client without answer
            self._broken(exchange, error, now)

    def _is_blocked_now(self, exchange: Exchange, now: float) -> bool:
        """Decide again on a name that was allowed by lists which were replaced while upstream was asked."""
        query = exchange.query
        assert query is not None
        if self._policy_for is not None:
            exchange.policy = self._policy_for(exchange.client)
        exchange.decided_by = self._adopted
        exchange.noted = decide(exchange.policy, self.index, query.qname, exchange.transport == UDP)
        if exchange.noted.action is Action.PASSTHRU:
            return False
        self._block(exchange, query, exchange.noted, now)
        return True

    def keep(self, query: Query, response: Response | None, now: float) -> None:
        """Remember what upstream said to `query`, or that it said nothing (RFC 9520)."""
        self._cache.put(query.key, response if response is not None else NOTHING_SAID, int(now))

    def withhold(self, exchange: Exchange) -> None:
        """Let the client hear a failure in place of addresses that the kernel does not let it connect to.

        It will ask again; with the answer it would sit on addresses that it cannot reach for as long as their TTL.
        """
        query = exchange.query
        assert query is not None
        why = answer.extended_error(Ede.NOT_READY, "the gate did not open")
        exchange.answer = answer.failed(query, SERVFAIL, exchange.limit(query), self.wording, why)
        exchange.told, exchange.given = (), None

    def _read(self, exchange: Exchange, packet: bytes) -> Query | None:
        """Read the query; None: it is none, and the exchange has its answer, if any."""
        try:
            exchange.query = parse_query(packet)
        except WireError as error:  # from here alone: from a later step it would be a bug of ours
            self._recorder.malformed(error.reason)
            if error.rcode is not None:
                exchange.answer = answer.malformed(packet, error.rcode)
        return exchange.query

    def _broken(self, exchange: Exchange, error: Exception, now: float) -> None:
        """Settle an exchange that hit a bug of ours: SERVFAIL, whatever was known. What fails here too is let go."""
        exchange.wanted = exchange.refresh = False
        exchange.answer, exchange.told = None, ()
        with suppress(Exception):
            self._recorder.bug(error)
        with suppress(Exception):
            if (query := exchange.query) is not None:
                exchange.answer = answer.failed(query, SERVFAIL, exchange.limit(query), self.wording)
                self._recording.record(exchange, query, SERVFAIL, events.FAILURE, PASSTHRU, now)

    def _answer_from_memory(self, exchange: Exchange, query: Query, now: float) -> None:
        unusual = query.qclass != CLASS_IN or query.qtype in META_TYPES or query.qtype == OPT
        if unusual and self._answer_locally(exchange, query, now):
            return
        verdict = decide(exchange.policy, self.index, query.qname, exchange.transport == UDP)
        if verdict is not PASSTHRU and verdict.action is not Action.PASSTHRU:
            self._block(exchange, query, verdict, now)
            return
        exchange.noted = verdict
        exchange.decided_by = self._adopted
        if query.qtype == ANY:
            said = answer.minimal_any(query, exchange.limit(query), self.wording)
            self._local(exchange, query, said, Rcode.NOERROR, now)
            return
        entry = self._cache.get(query.key, int(now))
        if entry is not None:
            if now < entry.expires:
                self.hits += 1
                self._tell(exchange, entry.response, events.CACHE, now, entry)
                if now >= entry.refresh and not exchange.wanted:
                    entry.refresh = entry.expires  # once is enough
                    exchange.refresh = True
                    self.prefetches += 1
                return
            if now < entry.retry:
                self._tell(exchange, entry.response, events.STALE, now, entry)
                return
            exchange.stale = entry if entry.response.rcode != SERVFAIL else None
        if not query.flags & RD:  # a look into the cache is all that was asked for, and it held nothing
            why = answer.extended_error(Ede.NOT_AUTHORITATIVE, "")
            said = answer.failed(query, Rcode.REFUSED, exchange.limit(query), self.wording, why)
            self._local(exchange, query, said, Rcode.REFUSED, now)
            return
        self.misses += 1
        exchange.wanted = True

    def _answer_locally(self, exchange: Exchange, query: Query, now: float) -> bool:
        """Answer what the protocol itself settles, if it does."""
        limit = exchange.limit(query)
        if query.qclass == CLASS_CHAOS and query.qname in (b"\7version\4bind\0", b"\7version\6server\0"):
            said = answer.version(query, limit, self.wording)
            rcode: int = said[3] & 0xF
        elif query.qclass == CLASS_IN and query.qtype == ANY:
            return False  # after decide(): a blocked name is blocked for ANY too
        else:
            refused = query.qclass != CLASS_IN or query.qtype in (AXFR, IXFR)
            rcode = Rcode.REFUSED if refused else Rcode.FORMERR if query.qtype in NEVER_ASKED else Rcode.NOTIMP
            said = answer.failed(query, rcode, limit, self.wording)
        self._local(exchange, query, said, rcode, now)
        return True

    def _local(self, exchange: Exchange, query: Query, said: bytes, rcode: int, now: float) -> None:
        exchange.answer = said
        self._recording.record(exchange, query, rcode, events.LOCAL, exchange.noted, now)

    def _block(self, exchange: Exchange, query: Query, verdict: Verdict, now: float) -> None:
        """Answer as the verdict says, and remember the answer where it depends on the query alone."""
        rcode: int | None = None
        addresses: Sequence[bytes] = ()
        exchange.noted = verdict
        if verdict.action is not Action.DROP:
            addresses = answer.addresses(query, verdict, self.wording)
            exchange.answer = answer.blocked(query, verdict, self.wording, exchange.limit(query))
            rcode = exchange.answer[3] & 0xF
        outcome, flags, tail = self._recording.record(exchange, query, rcode, events.BLOCKED, verdict, now, addresses)
        # A block found inside an answer (via) may go when the answer changes; a listed name stays blocked.
        if exchange.answer is not None and exchange.transport == UDP and not verdict.via and _is_plain(query):
            given = Given(exchange.answer[2:], FOREVER, 0, (), outcome.cell, outcome.ending, flags, tail)
            self._fast.put(exchange.policy, exchange.client, query.packet, given)

    def _tell(
        self, exchange: Exchange, response: Response, ending: Ending, now: float, entry: Entry | None = None
    ) -> None:
        """Tell an upstream's response to a client, unless something in it is blocked. The only door."""
        query = exchange.query
        assert query is not None
        policy = exchange.policy
        verdict = exchange.noted
        # What this very policy has inspected, it need not inspect again: a reload makes new policies.
        if (response.aliases or response.addresses or self._judges_servers) and (
            entry is None or entry.passed is not policy
        ):
            udp = exchange.transport == UDP
            found = inspect(policy, self.index, query.qname, response, udp)
            if self._judges_servers and response.counts[0] and not ends(found):
                of_servers = self._judge_servers(
                    exchange, query, exchange.waiting or Waiting(response, ending, entry), now
                )
                if of_servers is None:
                    return
                found = weightier(found, of_servers)
            if found is not PASSTHRU:
                if found.action is not Action.PASSTHRU:
                    self._block(exchange, query, found, now)
                    return
                verdict = weightier(verdict, found)
            elif entry is not None and udp:  # over TCP more may pass
                entry.passed = policy
            if response.aliases or response.addresses:
                exchange.fresh = response
        if response.has_ech and policy.strip_ech:
            response = without_ech(response, query.packet[HEADER_SIZE : query.question_end], query.qtype)
        limit = exchange.limit(query)
        second = int(now)
        if response.rcode == SERVFAIL:
            options = response.ede or answer.extended_error(Ede.NO_REACHABLE_AUTHORITY, "")
            if ending == events.CACHE:
                options += answer.extended_error(Ede.CACHED_ERROR, "")
            said = answer.failed(query, SERVFAIL, limit, self.wording, options)
        elif ending == events.STALE:
            said = answer.told(query, response, 0, limit, self.wording, stale=True)
        else:
            said = answer.told(query, response, second - entry.stored if entry else 0, limit, self.wording)
        exchange.answer = said
        if policy.gate is not UNGATED and response.addresses and not said[2] << 8 & TC:
            exchange.told = response.addresses
            left = entry.expires - second if entry is not None else lifetime(response, self._cache.limits)
            exchange.ttl = self.wording.stale_ttl if ending == events.STALE else left
        ended = self._recording.record(exchange, query, response.rcode, ending, verdict, now, response.addresses)
        if ending == events.CACHE and entry is not None and exchange.transport == UDP:
            self._remember(exchange, query, ended, response, entry, second)

    def _judge_servers(self, exchange: Exchange, query: Query, waiting: Waiting, now: float) -> Verdict | None:
        """Return the verdict on an answer by the name servers that it came from.

        None: not yet, and the exchange is `wanted` for that; or they cannot be learned, and the client hears a failure.
        """
        second = int(now)

        def said(key: bytes) -> Response | None:
            if (heard := waiting.heard.get(key)) is not None:
                return heard
            entry = self._cache.get(key, second)
            return entry.response if entry is not None and second < entry.expires else None

        index = self.index
        of = [
            name
            for name in (query.qname, *waiting.response.aliases)
            if is_judged_by_servers(exchange.policy, index, name)
        ]
        found = servers.look(said, of, addresses=index.judges_server_addresses)
        exchange.waiting = None
        udp = exchange.transport == UDP
        verdict = inspect_servers(exchange.policy, index, query.qname, waiting.response, found, udp)
        if ends(verdict):  # whatever else there may be to know
            return verdict
        if found.failed:
            self.unjudged += 1
            why = answer.extended_error(Ede.NO_REACHABLE_AUTHORITY, "the name servers of its zone cannot be learned")
            exchange.answer = answer.failed(query, SERVFAIL, exchange.limit(query), self.wording, why)
            self._recording.record(exchange, query, SERVFAIL, events.FAILURE, exchange.noted, now)
            return None
        if found.wanted:
            waiting.asks = found.wanted
            exchange.waiting, exchange.wanted, exchange.stale = waiting, True, None
            return None
        return verdict

    def _hear(self, waiting: Waiting, response: Response | None, now: float) -> None:
        """Take note of what upstream said of name servers, or had said before it failed."""
        key = waiting.asks[0].key
        if response is None or response.rcode == SERVFAIL:
            entry = self._cache.get(key, int(now))
            response = entry.response if entry is not None else NOTHING_SAID
        waiting.heard[key] = response

    def _remember(
        self, exchange: Exchange, query: Query, ended: Ended, response: Response, entry: Entry, second: int
    ) -> None:
        """Let the drain give this answer again, until its entry should be refreshed or is stale."""
        said = exchange.answer
        if said is None or response.rcode == SERVFAIL or not query.flags & RD or not _is_plain(query):
            return
        offsets: tuple[int, ...] = ()
        if not said[2] << 8 & TC:
            start = query.question_end - 2  # the sections begin behind the question; the id is not kept
            offsets = tuple(start + offset for offset in response.ttl_offsets)
        expires = entry.refresh if second < entry.refresh else entry.expires
        outcome, flags, tail = ended
        given = Given(said[2:], expires, second, offsets, outcome.cell, outcome.ending, flags, tail)
        if exchange.told:
            exchange.given = given
        else:
            self._fast.put(exchange.policy, exchange.client, query.packet, given)


def _is_plain(query: Query) -> bool:
    """Tell whether a query's bytes are few enough to be remembered: padding could make them anything."""
    return len(query.packet) <= query.question_end + MAX_EXTRA
