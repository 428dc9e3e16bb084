"""A resolver that says what a test wants: UDP and TCP on one port, in a thread, written with dnslib.

It records every query that reaches it. A script is a function: a query in, the replies out, each now or later.
"""

import contextlib
import heapq
import itertools
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dnslib import QTYPE, RCODE, RR, DNSRecord

SOA = "{zone} {ttl} SOA ns.upstream.example. host.upstream.example. 1 3600 600 86400 {ttl}"
V4, V6 = "93.184.215.14", "2606:2800:21f:cb07::e"  # what a name without a script has


@dataclass(frozen=True)
class Seen:
    """One query, as it came."""

    transport: str
    wire: bytes
    source: tuple[str, int]
    when: float  # monotonic seconds

    @property
    def message(self) -> DNSRecord:
        return DNSRecord.parse(self.wire)

    @property
    def spelled(self) -> str:
        at, labels = 12, []
        while length := self.wire[at]:
            labels.append(self.wire[at + 1 : at + 1 + length].decode("latin-1"))
            at += 1 + length
        return ".".join(labels) or "."

    @property
    def name(self) -> str:
        return self.spelled.lower()

    @property
    def qtype(self) -> str:
        return QTYPE[self.message.q.qtype]

    @property
    def ident(self) -> int:
        return int.from_bytes(self.wire[:2])


@dataclass(frozen=True)
class Reply:
    """One packet to send back."""

    wire: bytes
    after: float = 0.0  # seconds
    elsewhere: bool = False  # from another port than the one that was asked (UDP)
    close: bool = False  # end the connection instead (TCP)


Script = Callable[[Seen], Sequence[Reply]]


# Scripts.


def answer(*records: str, rcode: str = "NOERROR", authority: Sequence[str] = ()) -> Script:
    """Say this; records are text: `name ttl type rdata`."""

    def script(seen: Seen) -> Sequence[Reply]:
        reply = seen.message.reply(ra=1, aa=0)
        reply.header.rcode = getattr(RCODE, rcode)
        for text in records:
            reply.add_answer(*RR.fromZone(text))
        for text in authority:
            reply.add_auth(*RR.fromZone(text))
        return [Reply(bytes(reply.pack()))]

    return script


def default(seen: Seen) -> Sequence[Reply]:
    """Say one address, or that there is nothing of that type."""
    name = seen.name.rstrip(".") + "."
    if seen.qtype in ("A", "AAAA"):
        return answer(f"{name} 300 {seen.qtype} {V4 if seen.qtype == 'A' else V6}")(seen)
    return answer(authority=[SOA.format(zone=name, ttl=300)])(seen)


def silence(_seen: Seen) -> Sequence[Reply]:
    """Say nothing."""
    return []


def failure(seen: Seen) -> Sequence[Reply]:
    """Say SERVFAIL."""
    return answer(rcode="SERVFAIL")(seen)


def refusal(seen: Seen) -> Sequence[Reply]:
    """Say REFUSED."""
    return answer(rcode="REFUSED")(seen)


def malformed(seen: Seen) -> Sequence[Reply]:
    """Say one record whose length runs beyond the packet."""
    (good,) = default(seen)
    return [Reply(good.wire[:-2])]


def hang_up(_seen: Seen) -> Sequence[Reply]:
    """Close the connection."""
    return [Reply(b"", close=True)]


def truncated(over_tcp: Script = default) -> Script:
    """Say over UDP that it does not fit, and `over_tcp` over TCP."""

    def script(seen: Seen) -> Sequence[Reply]:
        if seen.transport == "tcp":
            return over_tcp(seen)
        reply = seen.message.reply(ra=1, aa=0)
        reply.header.tc = 1
        return [Reply(bytes(reply.pack()))]

    return script


def slow(seconds: float, then: Script = default) -> Script:
    """Say it later."""
    return lambda seen: [Reply(each.wire, each.after + seconds) for each in then(seen)]


def first(*scripts: Script) -> Script:
    """Follow each script once, and the last one from then on."""
    count = itertools.count()
    return lambda seen: scripts[min(next(count), len(scripts) - 1)](seen)


def after(forgery: Script, then: Script = default, gap: float = 0.1) -> Script:
    """Say something false, and the truth `gap` seconds later."""
    return lambda seen: [*forgery(seen), *slow(gap, then)(seen)]


def forged(change: Callable[[bytes], bytes], said: str = "6.6.6.6", *, elsewhere: bool = False) -> Script:
    """Say something false: another address, in a packet that `change` has altered."""

    def script(seen: Seen) -> Sequence[Reply]:
        (reply,) = answer(f"{seen.name}. 300 A {said}")(seen)
        return [Reply(change(reply.wire), elsewhere=elsewhere)]

    return script


class Upstream:
    """The resolver."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, script: Script = default) -> None:
        """Listen on `host`; names without a script of their own get `script`."""
        self.default = script
        self.scripts: dict[str, Script] = {}
        self._seen: list[Seen] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._udp, self._tcp = _pair(family, host, port)
        self._other = socket.socket(family, socket.SOCK_DGRAM)
        self._other.bind((host, 0))
        self.host = host
        self.port = self._udp.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._udp, selectors.EVENT_READ, self._datagram)
        self._selector.register(self._tcp, selectors.EVENT_READ, self._accept)
        self._buffers: dict[socket.socket, bytearray] = {}
        self._later: list[tuple[float, int, Reply, Callable[[Reply], None]]] = []
        self._order = itertools.count()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="upstream", daemon=True)
        self._thread.start()

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def seen(self, name: str | None = None) -> list[Seen]:
        """Return the queries that came, for `name` and everything below it if it is given; probes aside."""
        every = [each for each in list(self._seen) if each.name != "."]
        return [each for each in every if name is None or each.name == name or each.name.endswith("." + name)]

    def probes(self) -> int:
        """Return how many health probes came."""
        return sum(each.name == "." for each in list(self._seen))

    def close(self) -> None:
        self._ending = True
        self._thread.join(2)
        for sock in (self._udp, self._tcp, self._other, *self._buffers):
            sock.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._ending:
            wait = max(0.0, min(0.05, self._later[0][0] - time.monotonic())) if self._later else 0.05
            for key, _ in self._selector.select(wait):
                key.data(key.fileobj)
            while self._later and self._later[0][0] <= time.monotonic():
                *_, reply, send = heapq.heappop(self._later)
                send(reply)

    def _datagram(self, sock: socket.socket) -> None:
        for _ in range(64):
            try:
                wire, source = sock.recvfrom(4096, socket.MSG_DONTWAIT)
            except OSError:
                return

            def send(reply: Reply, source=source) -> None:
                with contextlib.suppress(OSError):
                    (self._other if reply.elsewhere else sock).sendto(reply.wire, source)

            self._take(Seen("udp", wire, source[:2], time.monotonic()), send)

    def _accept(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        self._buffers[sock] = bytearray()
        self._selector.register(sock, selectors.EVENT_READ, self._stream)

    def _stream(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._hang_up(sock)
            return
        buffer = self._buffers[sock]
        buffer += data
        while len(buffer) >= 2 and len(buffer) >= 2 + int.from_bytes(buffer[:2]):
            size = int.from_bytes(buffer[:2])
            wire = bytes(buffer[2 : 2 + size])
            del buffer[: 2 + size]

            def send(reply: Reply) -> None:
                if reply.close:
                    self._hang_up(sock)
                    return
                with contextlib.suppress(OSError):
                    sock.sendall(struct.pack("!H", len(reply.wire)) + reply.wire)

            self._take(Seen("tcp", wire, sock.getpeername()[:2], time.monotonic()), send)

    def _hang_up(self, sock: socket.socket) -> None:
        if self._buffers.pop(sock, None) is not None:
            self._selector.unregister(sock)
            sock.close()

    def _take(self, seen: Seen, send: Callable[[Reply], None]) -> None:
        self._seen.append(seen)
        script = next((self.scripts[name] for name in _parents(seen.name) if name in self.scripts), self.default)
        try:
            replies = script(seen)
        except Exception:  # noqa: BLE001 whatever dnslib finds wrong with a name that is one
            replies = [Reply(seen.wire[:2] + b"\x81\x82" + bytes(8))]
        for reply in replies:
            if reply.after:
                heapq.heappush(self._later, (time.monotonic() + reply.after, next(self._order), reply, send))
            else:
                send(reply)


def _parents(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[at:]) for at in range(len(labels))]


def _pair(family: int, host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a listening TCP socket on the same port."""
    for _ in range(20):
        tcp = socket.socket(family, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((host, port))
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            udp.bind((host, tcp.getsockname()[1]))
        except OSError:
            tcp.close()
            udp.close()
            continue
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        tcp.listen(16)
        return udp, tcp
    raise OSError("no port is free for both UDP and TCP")
