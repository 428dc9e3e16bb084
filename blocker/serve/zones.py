"""The process that serves policy zones to other resolvers and takes over those of others; DNS goes on without it.

    generation -> zones computed, serial raised -> NOTIFY -> secondaries -> IXFR, AXFR
    primaries  -> timers, NOTIFY -> transfer -> file -> reload -> supervisor

Started by the supervisor by fork, with its sockets already bound.
"""

import selectors
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from socketserver import BaseRequestHandler
from typing import Final
from urllib.parse import quote

import dns.name
import setproctitle

from blocker import config as configuration
from blocker import names
from blocker.config import Config, Endpoint, RpzZone
from blocker.errors import BlockerError
from blocker.exceptions.entry import Grant
from blocker.rpz import export, keys, notify, status, unsaid
from blocker.rpz.history import History
from blocker.rpz.keys import Keyring
from blocker.rpz.notify import Notifier
from blocker.rpz.serve import Address, Primary, Served
from blocker.rpz.status import Status, ZoneStatus
from blocker.rpz.zone import Report
from blocker.serve import commands, priority
from blocker.serve.excepted import Standing, shortened
from blocker.serve.followers import Followers
from blocker.serve.generation import Generation
from blocker.serve.link import Link
from blocker.serve.threaded import ThreadedServer
from blocker.sinks import oplog

_CONNECTIONS: Final = 32  # at once; a secondary needs one
_LIFETIME: Final = 900.0  # seconds a transfer may take
_IDLE: Final = 10.0  # seconds to wait for the next query
_STALLED: Final = 30.0  # seconds a secondary may take for one message
_LARGEST: Final = 65535  # octets of a datagram
_STEP: Final = 0.25  # seconds between looks at what is due
_TELL: Final = 2.0  # seconds between two writings of the status
_AGAIN: Final = 60.0  # seconds after which zones that could not be made are tried again
_NOTIFY: Final = 0x2000  # opcode 4, in the flags


def run(config: Config, supervisor: socket.socket, udp: Sequence[socket.socket], tcp: Sequence[socket.socket]) -> int:
    """Be the zones process: the body of a forked child. Returns its exit status."""
    setproctitle.setproctitle("blocker: zones")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when
    priority.give_way()
    return Zones(configuration.state_dir(config), Link(supervisor)).serve(udp, tcp)


class Zones:
    """Everything the zones process does, tied together."""

    def __init__(self, state: Path, link: Link) -> None:
        """Keep zones in the `state` folder, and talk with the supervisor over `link`."""
        self._state = state
        self._link = link
        self._log = oplog.get("zones")
        self._histories: dict[str, History] = {}
        self._transfers: Counter[tuple[str, str, str]] = Counter()
        self._unsaid: dict[str, tuple[Grant, ...]] = {}  # by zone: exceptions that it cannot say
        self._keyring: Keyring = {}
        self._notifier = Notifier()
        self._notifying = threading.Lock()
        self._followers = Followers(state, self._taken_over)
        self._newest: Standing | None = None  # what to make zones of
        self._news = threading.Event()
        self.primary = Primary((), {}, self._transfers)

    def serve(self, udp: Sequence[socket.socket], tcp: Sequence[socket.socket]) -> int:
        """Serve until the supervisor says stop, or is gone."""
        threading.Thread(target=self._make, name="maker", daemon=True).start()
        threading.Thread(target=self._datagrams, args=(udp,), name="datagrams", daemon=True).start()
        for listener in tcp:
            _Streams(listener, self).start()
        for event in self._link.events():
            if event["event"] == "stop":
                break
            if event["event"] == "generation":
                self._newest = Standing.of(event["standing"])
                self._news.set()
        return 0  # a zone that is being written is left as a draft; the version before it is whole

    # Making zones.

    def _make(self) -> None:
        again: float | None = None  # seconds after which to try once more
        while True:
            self._news.wait(again)
            self._news.clear()
            again = None
            standing = self._newest
            assert standing is not None
            try:
                self._adopt(Generation.open(standing), standing)
            except (BlockerError, OSError) as error:
                self._log.error("the zones stay as they were", why=str(error), again_in=_AGAIN)
                again = _AGAIN
            except Exception as error:  # noqa: BLE001 a bug of ours must not end the thread: the next policy may pass
                self._log.error("a bug of ours while making zones", exc_info=error)

    def _adopt(self, generation: Generation, standing: Standing) -> None:
        """Serve and follow what a generation says at a moment."""
        rpz = generation.config.rpz
        self._keyring = keys.load(rpz.keys)
        self._followers.adopt(rpz.imports, self._keyring)
        changed = [zone for zone in rpz.zones if self._publish(zone, generation)]
        granted = shortened(generation.approved.grants, standing.ends)
        for zone in rpz.zones:
            self._leave_out(zone, unsaid.unsaid(generation.config, granted, zone.group, standing.moment))
        first = not self.primary.zones
        self.primary = Primary([self._served(zone) for zone in rpz.zones], self._keyring, self._transfers)
        for zone in rpz.zones if first else changed:
            self._notify(zone)

    def _publish(self, zone: RpzZone, generation: Generation) -> bool:
        """Make the next version of a zone, if it differs; tell whether it does."""
        origin = names.from_text(zone.name)
        if zone.name not in self._histories:
            self._histories[zone.name] = History(self._state / "rpz" / "zones" / quote(zone.name, safe=""), origin)
        history = self._histories[zone.name]
        report = Report()
        policy = generation.clients.policies[zone.group]
        lines = export.records(generation.index, policy, generation.wording, origin, report)
        began = time.monotonic()
        if not history.publish(lines, generation.wording.ttl, int(time.time())):
            return False
        version = history.current
        assert version is not None
        seconds = round(time.monotonic() - began, 3)
        self._log.info("zone changed", zone=zone.name, serial=version.serial, records=version.records, seconds=seconds)
        return True

    def _leave_out(self, zone: RpzZone, left_out: tuple[Grant, ...]) -> None:
        """Take note of the exceptions that a zone cannot say, and tell of new ones."""
        known = {each.id for each in self._unsaid.get(zone.name, ())}
        self._unsaid[zone.name] = left_out
        for each, line in zip(left_out, unsaid.told(left_out), strict=True):
            if each.id not in known:
                self._log.warning("a policy zone cannot say an exception", zone=zone.name, why=line)

    def _served(self, zone: RpzZone) -> Served:
        addresses = frozenset(end.address for end in zone.secondaries)
        key = dns.name.from_text(zone.key) if zone.key else None
        return Served(zone.name, self._histories[zone.name], addresses, key)

    def _notify(self, zone: RpzZone) -> None:
        key = self._keyring[dns.name.from_text(zone.key)] if zone.key else None
        with self._notifying:
            self._notifier.begin(zone.name, zone.secondaries, key, time.monotonic())

    def _taken_over(self) -> None:
        """Have a zone that has come read with the lists; the supervisor logs what comes of it."""
        reply = self._link.reload(commands.RELOAD)
        if not reply.get("ok"):
            self._log.warning("the policy zone is not in force", problems="; ".join(reply.get("problems", ())))

    # Talking.

    def _datagrams(self, sockets: Sequence[socket.socket]) -> None:
        """Answer datagrams, send what is due, and say how it goes."""
        tell_at = 0.0
        with selectors.DefaultSelector() as selector:
            for sock in sockets:
                selector.register(sock, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(_STEP):
                    try:
                        packet, source = key.fileobj.recvfrom(_LARGEST)  # type: ignore[union-attr]
                        if said := self._answer(packet, Endpoint(_address(source[0]), source[1])):
                            key.fileobj.sendto(said, source)  # type: ignore[union-attr]
                    except OSError:
                        pass
                    except Exception as error:  # noqa: BLE001 a stranger's packet must not end the thread
                        self._log.error("a bug of ours in a datagram", exc_info=error)
                self._send_due(sockets)
                if time.monotonic() >= tell_at:
                    tell_at = time.monotonic() + _TELL
                    self._tell()

    def _answer(self, packet: bytes, source: Endpoint) -> bytes | None:
        """Return the answer to a datagram, if it deserves one."""
        flags = int.from_bytes(packet[2:4])
        if flags & 0x8000:
            with self._notifying:
                self._notifier.heard(packet, source)
            return None
        if flags & 0x7800 == _NOTIFY:
            zone, reply = notify.receive(packet, source.address, self._followers.settings, self._keyring)
            if zone:
                self._followers.notified(zone)
            return reply
        return self.primary.over_udp(packet, source.address)

    def _send_due(self, sockets: Sequence[socket.socket]) -> None:
        with self._notifying:
            due = list(self._notifier.due(time.monotonic()))
        for target, packet in due:
            family = socket.AF_INET6 if target.address.version == 6 else socket.AF_INET
            # From where we listen: secondaries take NOTIFY from their primary's address alone.
            sock = next((each for each in sockets if each.family == family), None)
            try:
                if sock is not None:
                    sock.sendto(packet, (str(target.address), target.port))
            except OSError as error:
                self._log.warning("a secondary cannot be notified", secondary=str(target), why=error.strerror)

    def _tell(self) -> None:
        zones = {}
        for name in self.primary.zones:
            if (version := self._histories[name].current) is not None:
                zones[name] = ZoneStatus(version.serial, version.records, len(self._unsaid.get(name, ())))
        sent = {" ".join(labels): count for labels, count in list(self._transfers.items())}
        said = Status(zones, self._followers.status(), sent, self._followers.transfers(), self._notifier.gave_up)
        try:
            status.write(said, self._state)
        except OSError as error:
            self._log.warning("the status of the zones cannot be written", why=str(error))


class _Streams(ThreadedServer):
    """TCP, for those who may have a zone; others are hung up on before they use anything up."""

    def __init__(self, listener: socket.socket, zones: Zones) -> None:
        super().__init__(listener, _Stream, limit=_CONNECTIONS, lifetime=_LIFETIME, busy=b"")
        self.zones = zones

    def verify_request(self, request: object, client_address: tuple[str, int]) -> bool:  # noqa: ARG002 (socketserver's)
        return self.zones.primary.knows(_address(client_address[0]))


class _Stream(BaseRequestHandler):
    server: _Streams
    request: socket.socket

    def handle(self) -> None:
        """Answer the queries of one connection, one after the other."""
        source = _address(self.client_address[0])
        while packet := self._read():
            self.server.heard(self.request)
            with closing(self.server.zones.primary.over_tcp(packet, source)) as messages:
                self.request.settimeout(_STALLED)
                for message in messages:
                    self.request.sendall(len(message).to_bytes(2) + message)

    def _read(self) -> bytes:
        """Return the next message; nothing at the end, or when it does not come."""
        self.request.settimeout(_IDLE)
        try:
            size = self._exactly(2)
            return self._exactly(int.from_bytes(size)) if size else b""
        except OSError:
            return b""

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            piece = self.request.recv(size - len(parts))
            if not piece:
                return b""
            parts += piece
        return bytes(parts)


def _address(text: str) -> Address:
    return ip_address(text.partition("%")[0])
