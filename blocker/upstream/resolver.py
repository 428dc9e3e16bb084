"""Asks upstream for what the line wants, and hands back what came: the shell around exchange.py and pool.py.

Runs on the worker's loop without tasks or futures: a miss is a few calls, not a coroutine.
Retries, probes and deadlines hang on one timer.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from dnslib import DNSRecord

from blocker import names
from blocker.config import Endpoint, Upstream
from blocker.errors import WireError
from blocker.exchange import Exchange
from blocker.line import Line
from blocker.names import Name
from blocker.sinks.region import MAX_UPSTREAMS, Region, Word
from blocker.upstream.entropy import Entropy
from blocker.upstream.exchange import TICK, InFlight, Pending, is_whole_reply, knows_no_edns, message, question_of
from blocker.upstream.pool import Pool, RetryBudget, Server
from blocker.upstream.ports import RECEIVE, Port, Ports
from blocker.upstream.shown import Shown
from blocker.upstream.stream import Connection
from blocker.wire.constants import DS, NOERROR, NXDOMAIN, OPCODE, SERVFAIL, TC, YXDOMAIN
from blocker.wire.query import Query, parse_query
from blocker.wire.response import Response, scan

_USABLE: Final = (NOERROR, NXDOMAIN, YXDOMAIN)
_PLAIN_FOR: Final = 900.0  # seconds a server without EDNS is asked without it: it may be replaced by a better one
_PROBE: Final = bytes(DNSRecord.question(".", "NS").pack())


class Resolver:
    """One worker's way to the upstreams."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: Upstream,
        servers: Sequence[Endpoint],
        line: Line,
        region: Region,
        settled: Callable[[Exchange], None],
        flush: Callable[[], None],
        *,
        stale_after: float,
        client_in_flight: int,
        most_ports: int = sys.maxsize,
    ) -> None:
        """`servers` are the default upstreams; `settled` is called with each exchange that has its
        answer, `flush` after a batch of them. Sockets are `most_ports`, late ones included.
        """
        self._loop = loop
        self._config = config
        self._line = line
        self._region = region
        self._settled = settled
        self._flush = flush
        self._stale_after = stale_after
        self._client_in_flight = client_in_flight
        self._in_flight = InFlight()
        self._budget = RetryBudget()
        self._random = Entropy()
        self._by_client: dict[bytes, int] = {}
        endpoints = list(dict.fromkeys([*servers, *(end for each in config.forward for end in each.servers)]))
        endpoints = endpoints[:MAX_UPSTREAMS]
        self._servers = [Server(end) for end in endpoints]
        self._shown = Shown(region, self._servers)
        self._default = Pool([endpoints.index(end) for end in servers], config.strategy)
        self._zones: dict[Name, Pool] = {
            names.from_text(zone): Pool([endpoints.index(end) for end in each.servers], config.strategy)
            for each in config.forward
            for zone in each.zones
        }
        self._ports = Ports(loop, endpoints, config.ports, self._received, self._unreachable, flush, most_ports)
        self._connections = [Connection(loop, end, config.deadline) for end in endpoints]
        self._timer = loop.call_later(TICK, self._tick)
        self._retired = False
        self._closed = False
        self._shown.publish(0)  # at once: nobody is unhealthy for not having been asked

    def __len__(self) -> int:
        """The number of questions on their way."""
        return len(self._in_flight)

    def ask(self, exchange: Exchange, now: float) -> None:
        """Ask for what `exchange` wants; it is `settled` sooner or later, in this call at the earliest."""
        query = exchange.query
        if (aside := exchange.waiting) is not None:
            query = aside.asks[0]
            for each in aside.asks[1:]:  # so that they are on their way when it is their turn
                self.refresh(each, now)
        assert query is not None
        waiting = self._by_client.get(exchange.client, 0)
        pending = self._in_flight.get(query.key)
        full = pending is None and len(self._in_flight) >= self._config.in_flight
        if full or waiting >= self._client_in_flight:
            self._region.words[Word.LIMITED] += 1
            self._line.finish(exchange, None, now)
            self._hand_back(exchange, now, limited=True)
            return
        self._by_client[exchange.client] = waiting + 1
        if pending is not None:
            self._region.words[Word.COALESCED] += 1
            pending.waiting.append(exchange)
            if exchange.stale is not None and not pending.helpable:
                pending.helpable = True
                self._wake(pending, pending.wake)
            return
        pending = self._new(query, now)
        pending.waiting.append(exchange)
        pending.helpable = exchange.stale is not None
        self._begin(pending, now)

    def refresh(self, query: Query, now: float) -> None:
        """Ask anew in the background; nobody waits for it."""
        if self._in_flight.get(query.key) is None and len(self._in_flight) < self._config.in_flight:
            self._begin(self._new(query, now), now)

    def retire(self) -> None:
        """Close once everything on its way is settled: another resolver takes what comes next."""
        self._retired = True

    def close(self) -> None:
        """Settle everything that is on its way, and close the sockets; what is closed stays so."""
        if self._closed:
            return
        self._closed = True
        now = time.monotonic()
        for pending in self._in_flight.everything():
            self._settle(pending, None, now)
        self._timer.cancel()
        self._ports.close()
        for connection in self._connections:
            connection.close()

    def _new(self, query: Query, now: float) -> Pending:
        coin = None
        if self._config.randomize_case:
            coin = self._random() | self._random() << 16 | self._random() << 32 | self._random() << 48
        pending = Pending(query.key, query, question_of(query, coin), now, now + self._config.deadline)
        self._in_flight.add(pending)
        self._budget.earn()
        return pending

    def _begin(self, pending: Pending, now: float) -> None:
        """Send a new question; whatever goes wrong, nobody waits for ever."""
        try:
            self._send(pending, now)
        except Exception as error:  # noqa: BLE001 a bug of ours: the next client's query must not suffer
            self._region.bug(error)
            self._settle(pending, None, now)

    def _pool(self, query: Query) -> Pool:
        if self._zones:
            qname = query.qname
            if query.qtype == DS and qname != names.ROOT:  # the parent speaks of a delegation (RFC 4035 §3.1.4.1)
                qname = qname[1 + qname[0] :]
            for zone in names.parents(qname):
                if (pool := self._zones.get(zone)) is not None:
                    return pool
        return self._default

    def _send(self, pending: Pending, now: float) -> None:
        number = self._pool(pending.query).pick(self._servers, pending.tried)
        pending.tried |= 1 << number
        pending.attempts += 1
        pending.plain = False
        self._attempt(number, pending, now)

    def _attempt(self, number: int, pending: Pending, now: float) -> None:
        pending.over_tcp = False
        self._send_to(number, pending, now)
        self._wake(pending, now + self._servers[number].wait(self._config.timeout))

    def _wake(self, pending: Pending, when: float) -> None:
        """Look at `pending` again at `when`, or before: at its deadline, or when a stale answer should be given."""
        if pending.helpable:
            when = min(when, pending.started + self._stale_after)
        self._in_flight.wake_at(pending, min(when, pending.deadline))

    def _send_to(self, number: int, pending: Pending, now: float) -> None:
        pending.server = number
        pending.sent = now
        server = self._servers[number]
        server.queries += 1
        try:
            port = self._ports.pick(number, self._random(), now)
            while not self._in_flight.sent(pending, port.number, ident := self._random()):
                pass
            pending.plain = pending.plain or now < server.plain_until
            port.socket.send(message(ident, pending.query, pending.question, edns=not pending.plain))
        except OSError:  # no route, no buffer, no descriptor: as if it had been lost on the way
            server.errors += 1

    def _received(self, packet: bytes, port: Port) -> None:
        """Look at a packet that came on one of our sockets."""
        pending = self._in_flight.match(packet, port.number)
        if pending is None or pending.over_tcp:
            self._region.words[Word.MISMATCHED] += 1
            return
        now = time.monotonic()
        is_last = port.number == pending.port and packet[0] << 8 | packet[1] == pending.ident
        # When an earlier attempt left was not kept: its answer took no longer than everything has.
        self._servers[port.server].responded(now - (pending.sent if is_last else pending.started))
        if packet[2] & TC >> 8 or len(packet) >= RECEIVE:  # what fills the buffer may go on behind it
            self._ask_over_tcp(port.server, pending, now)
            return
        self._judge(port.server, pending, packet, now, is_last=is_last)

    def _judge(self, number: int, pending: Pending, packet: bytes, now: float, *, is_last: bool) -> None:
        """Take a reply that matched: read it, or try elsewhere, unless a later attempt is under way there."""
        server = self._servers[number]
        if is_last and not pending.plain and knows_no_edns(packet):
            pending.plain = True
            self._attempt(number, pending, now)
            return
        response: Response | None = None
        try:
            if packet[2] & OPCODE >> 8:
                raise WireError(SERVFAIL, "opcode")
            response = scan(packet, 12 + len(pending.question), pending.query.qtype)
        except WireError:
            server.errors += 1
        if response is not None and response.rcode in _USABLE:
            server.served()
            self._budget.answered()
            if pending.plain and is_last and now >= server.plain_until:
                server.plain_until = now + _PLAIN_FOR
            self._settle(pending, response, now)
            return
        server.refused(now, self._config.probe_interval)
        if not is_last:
            return
        # The same server would say the same again (RFC 9520 §3.1); another may know better.
        if self._has_untried(pending) and self._may_retry(pending, now):
            self._send(pending, now)
            return
        # What the last upstream said of its failure (RFC 8914) is worth passing on; the rest is not.
        self._settle(pending, response if response is not None and response.rcode == SERVFAIL else None, now)

    def _may_retry(self, pending: Pending, now: float) -> bool:
        """Tell whether one more attempt may be made; the first at another server is free of the budget."""
        if pending.attempts >= self._config.attempts or now >= pending.deadline:
            return False
        return (pending.attempts == 1 and self._has_untried(pending)) or self._budget.spend()

    def _has_untried(self, pending: Pending) -> bool:
        return self._pool(pending.query).untried(pending.tried)

    def _settle(self, pending: Pending, response: Response | None, now: float) -> None:
        """Give everybody who waits their answer; once."""
        if pending.done:
            return
        self._in_flight.remove(pending)
        if response is not None or pending.waiting:
            self._line.keep(pending.query, response, now)
        for exchange in pending.waiting:
            self._line.finish(exchange, response, now)
            self._release(exchange, now)

    def _release(self, exchange: Exchange, now: float) -> None:
        """Let go of an exchange that heard what it asked for."""
        left = self._by_client[exchange.client] - 1
        if left:
            self._by_client[exchange.client] = left
        else:
            del self._by_client[exchange.client]
        self._hand_back(exchange, now)

    def _hand_back(self, exchange: Exchange, now: float, *, limited: bool = False) -> None:
        """Give an exchange back that has its answer; one that wants to know more asks on, while it has time."""
        limited = limited or self._closed or now >= exchange.started + self._config.deadline
        while exchange.wanted:
            if not limited:
                self.ask(exchange, now)
                return
            self._line.finish(exchange, None, now)
        self._settled(exchange)

    def _ask_over_tcp(self, number: int, pending: Pending, now: float) -> None:
        """Ask the same server again over TCP: its answer did not fit (RFC 7766 §5)."""
        pending.over_tcp, pending.server, pending.sent = True, number, now
        self._servers[number].tcp_queries += 1
        self._wake(pending, now + self._config.timeout)
        ident = self._random()
        query = message(ident, pending.query, pending.question, edns=not pending.plain)

        def replied(packet: bytes | None) -> None:
            if pending.done:
                return
            now = time.monotonic()
            is_last = pending.over_tcp and pending.server == number  # else it took too long, and another was asked
            if packet is not None and is_whole_reply(packet, pending.question):
                self._judge(number, pending, packet, now, is_last=is_last)
            else:
                self._servers[number].errors += 1
                if is_last and self._may_retry(pending, now):
                    self._send(pending, now)
                elif is_last:
                    self._settle(pending, None, now)
            self._flush()

        self._connections[number].ask(ident, query, replied)

    def _unreachable(self, port: Port) -> None:
        """The kernel says that nobody listens there (ICMP): no use waiting for those that went out from it."""
        now = time.monotonic()
        self._servers[port.server].errors += 1
        for pending in self._in_flight.on_port(port.number):
            if pending.over_tcp or pending.done:
                continue
            pending.unreachable += 1
            if pending.port == port.number:
                self._lost(pending, now)

    def _lost(self, pending: Pending, now: float) -> None:
        """An attempt went unanswered: the next one, if there may be one."""
        server = self._servers[pending.server]
        server.timed_out(now, self._config.probe_interval)
        if self._may_retry(pending, now):
            self._send(pending, now)
        elif pending.unreachable == pending.attempts:  # nobody is left who could still answer
            self._settle(pending, None, now)
        else:
            self._wake(pending, pending.deadline)

    def _tick(self) -> None:
        if self._retired and not len(self._in_flight):
            self.close()
            return
        self._timer = self._loop.call_later(TICK, self._tick)
        now = time.monotonic()
        for pending in self._in_flight.due(now):
            try:
                self._look(pending, now)
            except Exception as error:  # noqa: BLE001 a bug of ours: the others that are due must not suffer
                self._region.bug(error)
                self._settle(pending, None, now)
        self._flush()
        if self._retired:  # the numbers of the upstreams belong to our successor
            return
        self._probe(now)
        self._shown.publish(len(self._in_flight))

    def _look(self, pending: Pending, now: float) -> None:
        """See to a question whose time has come."""
        if now >= pending.deadline:
            self._settle(pending, None, now)
            return
        if pending.helpable and now >= pending.started + self._stale_after:
            self._give_stale(pending, now)
        patience = self._config.timeout  # what a connection takes to be made was not measured
        tried_until = pending.sent + (patience if pending.over_tcp else self._servers[pending.server].wait(patience))
        if now < tried_until:
            self._wake(pending, tried_until)
        else:
            self._lost(pending, now)

    def _give_stale(self, pending: Pending, now: float) -> None:
        """Those who can be helped with a stale answer have waited long enough (RFC 8767 §5)."""
        self._line.keep(pending.query, None, now)  # until upstream is heard again, others need not wait as long
        helped = [exchange for exchange in pending.waiting if exchange.stale is not None]
        pending.waiting = [exchange for exchange in pending.waiting if exchange.stale is None]
        pending.helpable = False
        for exchange in helped:
            self._line.finish(exchange, None, now)
            self._release(exchange, now)

    def _probe(self, now: float) -> None:
        """Ask servers that are down whether they are back; any response will do."""
        for number, server in enumerate(self._servers):
            if server.down and now >= server.probe_at:
                server.probe_at = now + self._config.probe_interval
                query = parse_query(_PROBE)
                pending = Pending(b"probe" + bytes((number,)), query, question_of(query), now, server.probe_at)
                pending.attempts = self._config.attempts
                self._in_flight.add(pending)
                self._send_to(number, pending, now)
                self._wake(pending, pending.deadline)
