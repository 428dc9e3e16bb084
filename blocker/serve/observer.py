"""The process that looks at packets for a living, and holds no privilege: its sockets were opened by the supervisor.

    capture -> observer -> findings -> journal -> attempt log, metrics
                                    -> cuts -> egress process (the one that may change the kernel's rules)

Started by the supervisor by fork. DNS goes on without it; what it misses meanwhile is counted as lost by the kernel.
"""

import signal
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

import setproctitle

from blocker import config as configuration
from blocker.config import Config, Endpoint
from blocker.config.egress import governed
from blocker.egress import attempt, cut, own
from blocker.egress.answers import Answers
from blocker.egress.findings import Setting
from blocker.egress.live import Live
from blocker.egress.observe import Finding, Observer
from blocker.egress.repeats import Repeats
from blocker.egress.ring import Ring
from blocker.errors import BlockerError
from blocker.serve import confine, priority
from blocker.serve.excepted import Standing
from blocker.serve.generation import Generation
from blocker.serve.link import Link
from blocker.sinks import capture, companions, oplog
from blocker.sinks.region import Region, Word

_STEP: Final = 0.25  # seconds between looks at what else there is to do
_BEAT: Final = 1.0  # seconds between signs of life
_SHOW_EVERY: Final = 60.0  # seconds between two tracebacks
_FIRST: Final = 30.0  # seconds until the supervisor has said what is in force


def run(
    config: Config,
    supervisor: socket.socket,
    sockets: Sequence[socket.socket],
    cuts: socket.socket | None,
    region: Region,
) -> int:
    """Be the process that looks at packets: the body of a forked child. Returns its exit status.

    `sockets` are for the interfaces of `config`, one each; `cuts` leads to who may cut connections.
    """
    setproctitle.setproctitle("blocker: watch")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when
    priority.be_prompt()  # a connection that was found out goes on for as long as we wait
    watching = config.egress.watch
    log = oplog.get("watch")
    held = confine.confine("", confine.readable(configuration.state_dir(config)))
    news = News(Link(supervisor))
    news.start()
    confine.start_nothing()
    pairs = zip(sockets, watching.interfaces, strict=True)
    live = Live([Ring(*pair, promiscuous=watching.promiscuous) for pair in pairs])
    log.info("looking at packets", interfaces=", ".join(watching.interfaces), held=", ".join(held))
    generation = news.first(_FIRST)
    if generation is None:
        return 0 if news.stopped else 1
    return Watch(live, cuts, region, news, generation).serve()


def resolvers(config: Config, more: Iterable[str] = ()) -> frozenset[bytes]:
    """Return the addresses that devices may ask: ours as configured, and `more` as people write them."""
    given = (configuration.endpoint(text, 53) for text in more)
    ends = (*given, *config.egress.resolver, *config.listen)
    return frozenset(end.address.packed for end in ends if not end.address.is_unspecified)


def upstreams(generation: Generation) -> Iterator[Endpoint]:
    """Yield whom we ask ourselves."""
    yield from generation.servers
    for forward in generation.config.upstream.forward:
        yield from forward.servers


def devices(config: Config) -> Sequence[IPv4Network | IPv6Network]:
    """Return the networks whose packets are looked at; none: everybody's. In mode `node` it is this machine alone."""
    if config.egress.mode == "node":
        return tuple(ip_network(address) for address in own.addresses())
    return governed(config.egress, tuple(network for group in config.groups for network in group.clients))


def exempt(config: Config, ours: Iterable[bytes]) -> Sequence[IPv4Network | IPv6Network]:
    """Return the networks whose packets are not looked at; but on a node, `ours` are among them: they ask others."""
    return *config.egress.exempt, *(map(ip_network, ours) if config.egress.mode != "node" else ())


class News:
    """What the supervisor says, heard by a thread of its own: the capture does not wait for it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._log = oplog.get("watch")
        self._heard = threading.Event()
        self._newest: Generation | None = None
        self.stopped = False

    def start(self) -> None:
        """Start to listen."""
        threading.Thread(target=self._listen, name="news", daemon=True).start()
        self._link.inquire()

    def first(self, seconds: float) -> Generation | None:
        """Return what is in force, having waited for it; None: there is nothing to do, or nobody said it."""
        self._heard.wait(seconds)
        return self.taken()

    def taken(self) -> Generation | None:
        """Return what has come into force since the last time, if anything has."""
        newest, self._newest = self._newest, None
        return newest

    def _listen(self) -> None:
        known: Standing | None = None
        for event in self._link.events():
            if event["event"] == "stop":
                break
            if event["event"] == "generation":
                standing = Standing.of(event["standing"])
                if standing == known:  # said again because others began: to open it takes time that the capture needs
                    continue
                known = standing
                try:
                    self._newest = Generation.open(standing)
                except BlockerError as error:
                    self._log.error("packets are judged by the former lists", why=str(error))
                self._heard.set()
        self.stopped = True
        self._heard.set()


class Watch:
    """Everything that this process does, tied together."""

    def __init__(
        self, live: Live, cuts: socket.socket | None, region: Region, news: News, generation: Generation
    ) -> None:
        self._live = live
        self._cuts = cuts
        self._region = region
        self._news = news
        self._log = oplog.get("watch")
        self._counted = (0, 0, 0, 0)
        self._answers: Answers | None = None
        self._now = time.monotonic()
        self._missing: list[str] = []
        self._lines = Repeats(0.0)
        self._show_at = 0.0  # monotonic seconds
        self._generation = generation
        self._observer = Observer(self._setting(generation), generation.clients.policy_for)
        self._adopt(generation)

    def serve(self) -> int:
        """Look at packets until the supervisor says stop, or is gone."""
        companions.begin(self._region)
        beat_at = 0.0
        while not self._news.stopped:
            for packet in self._live.packets(_STEP):
                self._now = time.monotonic()
                try:
                    for found in self._observer.take(packet, self._now):
                        self._found(found)
                except Exception as error:  # noqa: BLE001 a bug of ours: the next packet must be looked at all the same
                    self._broken(error)
            now = self._now = time.monotonic()
            if (generation := self._news.taken()) is not None:
                self._adopt(generation)
            if now >= beat_at:
                beat_at = now + _BEAT
                self._tell(now)
        self._tell(float("inf"))
        return 0

    def _found(self, found: Finding) -> None:
        """Cut it, then write it down: a connection must not go on for the time that a log takes."""
        if found.refused and self._cuts is not None:
            flow = found.sight.flow
            which = cut.of(flow.client, flow.destination, flow.transport, found.sight.source_port, flow.port)
            try:
                self._cuts.send(cut.encode(which), socket.MSG_DONTWAIT)
            except OSError:
                capture.uncut(self._region, 1)
        basis = self._generation.basis
        again = found.sight.flow, found.verdict.trigger, found.name, found.refused
        logged = self._lines.is_new(again, self._now)
        attempt.record(self._region, found.sight.flow, found.group, found.verdict, basis, found.name, logged=logged)

    def _broken(self, error: Exception) -> None:
        """Count a bug of ours, and show it once a minute."""
        self._region.words[Word.ERRORS] += 1
        if self._now >= self._show_at:
            self._show_at = self._now + _SHOW_EVERY
            self._log.error("a bug of ours; a packet was passed over", exc_info=error)

    def _adopt(self, generation: Generation) -> None:
        """Judge by another generation from now on."""
        self._generation = generation
        watching = generation.config.egress.watch
        self._lines.every = generation.config.egress.log_interval
        self._answers = (self._answers or Answers()) if watching.unresolved != "off" else None
        setting = self._setting(generation)
        self._observer.adopt(
            setting,
            generation.clients.policy_for,
            devices(generation.config),
            exempt(generation.config, setting.resolvers),
            enforce=watching.enforce and self._cuts is not None,
            answers=self._answers,
        )
        self._region.words[Word.GENERATION] = generation.number

    def _setting(self, generation: Generation) -> Setting:
        config = generation.config
        told = self._told if self._answers is not None else None
        known = resolvers(config) | own.addresses()
        if config.egress.mode == "node":
            known |= {end.address.packed for end in upstreams(generation)}
        return Setting(generation.index, known, told, config.egress.enabled, generation.index.references)

    def _told(self, client: bytes, address: bytes) -> bool:
        return self._answers is None or self._answers.knows(client, address, self._now)

    def _tell(self, now: float) -> None:
        """Show a sign of life, and what was seen."""
        live, flows = self._live, self._observer.flows
        live.look(now)
        counted = live.seen, live.lost, flows.early, self._observer.fragments.lost
        packets, lost, early, pieces = (new - old for new, old in zip(counted, self._counted, strict=True))
        self._counted = counted
        missing = live.missing
        capture.count(
            self._region, flows.kinds, packets=packets, lost=lost, early=early, pieces=pieces, missing=len(missing)
        )
        if missing != self._missing:
            self._missing = missing
            if missing:
                self._log.warning("interfaces are not there", interfaces=", ".join(missing))
        companions.beat(self._region)
