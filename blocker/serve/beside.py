"""Which processes there are beside the workers, each with what it needs bound before privileges are dropped."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from blocker import config as configuration
from blocker.config import Config, Endpoint
from blocker.errors import BlockerError
from blocker.serve import capabilities, fetcher, keeper, sockets
from blocker.serve.companion import Companion
from blocker.sinks.region import Region


def companions(config: Config) -> list[Companion]:
    """Return those that `config` asks for, but those that need the workers. Raises BlockerError if it cannot bind."""
    found = [Companion("feeds", fetcher.run, wanted=lambda generation: bool(generation["feeds"]), late=True)]
    if config.rpz.listen or config.rpz.imports:
        found.append(_zones(config))
    if config.sinkhole.serve:
        found.append(_sinkhole(config))
    cuts: tuple[socket.socket, socket.socket] | None = None
    if config.egress.enabled:
        if config.egress.watch.interfaces:
            cuts = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        found += [_egress(config, cuts[0] if cuts else None), _reports(config)]
    if config.egress.watch.interfaces:
        found.append(_watch(config, cuts[1] if cuts else None))
    return found


def relatives(state: Path, journals: Callable[[], Sequence[Region]]) -> Companion:
    """Return the companion that looks for unlisted names in `journals`, which there is while that is wanted."""

    def main(channel: socket.socket) -> int:
        from blocker.serve import relatives  # there alone: it needs SQLite

        return relatives.run(state, channel, journals())

    return Companion("candidates", main, wanted=lambda generation: bool(generation["candidates"]), late=True)


def selftest(state: Path, listeners: Sequence[Endpoint]) -> Companion:
    """Return the companion that asks `listeners` for banned names, which there is while that is wanted."""

    def main(channel: socket.socket) -> int:
        from blocker.serve import selftest  # there alone: nobody else asks anything

        return selftest.run(state, listeners, channel)

    return Companion("selftest", main, wanted=lambda generation: bool(generation["selftest"]), late=True)


def regions(found: list[Companion]) -> Mapping[str, Region]:
    """Return the regions of the companions that record attempts, by the companions' names."""
    return {each.name: each.region for each in found if each.region is not None}


def _zones(config: Config) -> Companion:
    """Return the companion that transfers policy zones, with its sockets bound."""
    udp = [sockets.listen_udp(end) for end in config.rpz.listen]
    tcp = [sockets.listen_tcp(end) for end in config.rpz.listen]

    def main(channel: socket.socket) -> int:
        from blocker.serve import zones  # there alone: it needs a DNS library that nobody else should carry

        return zones.run(config, channel, udp, tcp)

    return Companion("zones", main, (*udp, *tcp), late=True)


def _sinkhole(config: Config) -> Companion:
    """Return the companion that serves the addresses of blocked names, with its sockets bound."""
    region = Region()

    def listening(ports: Sequence[int]) -> tuple[socket.socket, ...]:
        return tuple(sockets.listen_tcp(end) for end in configuration.ends(config.sinkhole, config.answers, ports))

    heard, reset = listening(config.sinkhole.ports), listening(config.sinkhole.reset)

    def main(channel: socket.socket) -> int:
        from blocker.serve import sinkhole  # there alone: it reads what is said with a cryptographic library

        return sinkhole.run(config, region, channel, heard, reset)

    return Companion("sinkhole", main, (*heard, *reset), region=region)


def _egress(config: Config, cuts: socket.socket | None) -> Companion:
    """Return the companion that changes the kernel's rules, and keeps the privilege to do so.

    On `cuts` come connections that were found out.
    """
    if missing := capabilities.EGRESS - capabilities.held():
        named = ", ".join(f"CAP_{capability.name}" for capability in sorted(missing))
        raise BlockerError(
            f"egress.enabled: {named} is missing. Start as root, give it to the unit (docs/egress.md), or set"
            " egress.enabled to false."
        )
    region = Region()
    supervisor = os.getpid()
    asked = sockets.listen_packets(configuration.egress_socket(config))

    def main(channel: socket.socket) -> int:
        from blocker.serve import egress  # there alone

        return keeper.run(
            "egress", config.process, region, supervisor, lambda: egress.run(config, channel, asked, region, cuts)
        )

    return Companion("egress", main, (asked, *([cuts] if cuts else [])), region=region, early=True)


def _watch(config: Config, cuts: socket.socket | None) -> Companion:
    """Return the companion that looks at packets, with its sockets opened: it has no privilege to do so itself.

    The sockets stay with the supervisor, so that one that dies is replaced. On `cuts` go connections to be cut.
    """
    from blocker.egress.ring import open_socket  # there alone

    region = Region()
    captures = [open_socket() for _ in config.egress.watch.interfaces]

    def main(channel: socket.socket) -> int:
        from blocker.serve import observer  # there alone

        return observer.run(config, channel, captures, cuts, region)

    return Companion("watch", main, (*captures, *([cuts] if cuts else [])), region=region)


def _reports(config: Config) -> Companion:
    """Return the companion that records what the rules report, subscribed while we may."""
    region = Region()
    subscribed = sockets.subscribe(config.egress.nflog)

    def main(channel: socket.socket) -> int:
        from blocker.serve import reports  # there alone

        return reports.run(config, channel, subscribed, region)

    return Companion("reports", main, (subscribed,), region=region)
