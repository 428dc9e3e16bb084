"""`blocker egress watch`: what devices do on the wire, live or from a file, judged by the policy of their questions."""

import json
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from blocker import config as configuration
from blocker.bundle import current as bundles
from blocker.cli import feeds
from blocker.cli.granted import granted
from blocker.cli.options import config_option, json_option, lists_option, overrides
from blocker.clients import Clients
from blocker.config import Config
from blocker.egress import attempt, cut, own, recorded
from blocker.egress.answers import Answers
from blocker.egress.findings import Setting
from blocker.egress.live import Live
from blocker.egress.observe import Finding, Observer
from blocker.egress.packets import Fragment, Packet
from blocker.egress.ring import Ring, open_socket
from blocker.errors import CaptureError, ConfigError
from blocker.events import Basis, address_text
from blocker.lists.opened import opened
from blocker.rollout import state as rollouts
from blocker.serve import confine, helper, observer
from blocker.sinks import privacy

_STEP: Final = 0.25  # seconds between looks at the clock
Show = Callable[[Finding, float], None]


@click.command("watch")
@click.option("-i", "interfaces", multiple=True, metavar="IFACE", help="Look at this interface. Repeatable.")
@click.option("-r", "file", type=click.File("rb"), metavar="PCAP", help="Read a file of packets, - for standard input.")
@click.option("--enforce", is_flag=True, help="Cut what is found out; `blocker egress apply` comes first.")
@click.option("--resolver", "resolvers", multiple=True, metavar="ADDR", help="Devices may ask this one. Repeatable.")
@click.option("--unresolved", is_flag=True, help="Note connections that no answer led to.")
@click.option("--promiscuous/--no-promiscuous", default=True, help="See packets for other machines too.")
@click.option("--user", default="nobody", metavar="NAME", help="Account to become before a packet is looked at.")
@config_option
@lists_option
@json_option
def watch(
    interfaces: tuple[str, ...],
    file: BufferedReader | None,
    enforce: bool,
    resolvers: tuple[str, ...],
    unresolved: bool,
    promiscuous: bool,
    user: str,
    path: Path | None,
    lists: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Show what devices do on the wire that their policy bans: server names in TLS and QUIC, hosts of HTTP, mmtls,
    questions to other resolvers, banned addresses.

    Privileges and files are given away before the first packet is looked at.
    """
    if bool(interfaces) is (file is not None):
        raise click.UsageError("say where packets come from: -i IFACE, or -r PCAP")
    if enforce and file is not None:
        raise click.UsageError("what is in a file has passed: --enforce is for -i")
    config = configuration.load(path, overrides(lists=lists))
    with TemporaryDirectory(prefix="blocker-") as scratch:
        index = opened(
            bundles.in_force(config).lists, configuration.state_dir(config), Path(scratch), feeds.in_force(config)
        )
    if problems := configuration.check_apps(config, index.apps):
        raise ConfigError(problems)
    config = rollouts.in_force(config, configuration.state_dir(config))
    clients = Clients(config, index, time.time(), granted(config))
    answers = Answers() if unresolved else None
    now = 0.0

    def told(client: bytes, address: bytes) -> bool:
        return answers is None or answers.knows(client, address, now)

    known = observer.resolvers(config, resolvers) | (own.addresses() if interfaces else frozenset())
    setting = Setting(index, known, told if unresolved else None, references=index.references)
    networks = observer.devices(config), observer.exempt(config, known)
    watched = Observer(setting, clients.policy_for, *networks, enforce=enforce, answers=answers)
    shown = Shown(config, as_json=as_json)
    if file is not None:
        if not known:
            click.echo(
                "blocker: no resolver is known, so every question counts as one to another: --resolver", err=True
            )
        recorded.prepare()
        held = confine.confine(user, [Path(scratch), *confine.readable(configuration.state_dir(config))])
        confine.start_nothing()
        shown.began(f"reading {file.name}", held)
        packets = unread = 0
        for now, packet in recorded.read(file):
            packets += 1
            if packet is None:
                unread += 1
                continue
            for found in watched.take(packet, now):
                shown.show(found, now)
        shown.ended(packets, 0, watched, unread)
        return
    cuts = helper.cutter() if enforce else None
    sockets = [open_socket() for _ in interfaces]
    held = confine.confine(user, [Path(scratch), *confine.readable(configuration.state_dir(config))])
    confine.start_nothing()
    live = Live([Ring(*pair, promiscuous=promiscuous) for pair in zip(sockets, interfaces, strict=True)])
    if live.missing:
        raise CaptureError(f"{live.missing[0]}: no such interface; `ip link` shows them")
    shown.began(f"watching {', '.join(interfaces)}", held)
    for now, packet in _until_told(live, shown.flush):
        for found in watched.take(packet, now):
            if found.refused and cuts is not None:
                _cut(cuts, found)
            shown.show(found, time.time())
    shown.ended(live.seen, live.lost, watched)


class Shown:
    """What a person or a program sees of findings."""

    def __init__(self, config: Config, *, as_json: bool) -> None:
        self._as_json = as_json
        self._client = privacy.shown(config.log)
        self._basis = Basis()
        self._counts: Counter[tuple[str, str]] = Counter()

    def began(self, what: str, held: list[str]) -> None:
        """Say what is done, and by what."""
        click.echo(f"blocker: {what}; held by {', '.join(held)}", err=True)

    def show(self, found: Finding, when: float) -> None:
        """Print a finding made at unix time `when`."""
        rule = found.verdict.rule
        assert rule is not None
        self._counts[rule.app, str(found.verdict.trigger)] += 1
        moment = f"{datetime.fromtimestamp(when, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        flow = found.sight.flow
        client = self._client(flow.client)
        if self._as_json:
            begin = f'{{"time":"{moment}","client":{json.dumps(client)},'.encode()
            tail = attempt.tail(flow, found.group, found.verdict, self._basis, found.name)
            sys.stdout.buffer.write(begin + tail + b"}\n")
            return
        to = f"[{address_text(flow.destination)}]" if len(flow.destination) == 16 else address_text(flow.destination)
        what = f"{found.verdict.trigger} {found.name}".rstrip()
        how = "cut" if found.refused else "noted"
        click.echo(f"{moment} {client} -> {to}:{flow.port}/{flow.transport} {what}: {rule.app} ({rule.source}), {how}")

    def flush(self) -> None:
        """Let what was printed be seen."""
        sys.stdout.flush()

    def ended(self, packets: int, lost: int, watched: Observer, unread: int = 0) -> None:
        """Say what it came to; `unread` of the packets were not looked into."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(watched.flows.kinds.items())) or "nothing"
        click.echo(f"blocker: {packets} packets, {lost} lost; connections: {kinds}", err=True)
        if unread:
            click.echo(f"blocker: {unread} of them hold no IP packet that could be read", err=True)
        if pieces := watched.fragments.lost:
            click.echo(f"blocker: {pieces} packets in fragments were never whole", err=True)
        for (app, trigger), count in sorted(self._counts.items()):
            click.echo(f"blocker:   {app} by {trigger}: {count}", err=True)


def _until_told(live: Live, between: Callable[[], None]) -> Iterator[tuple[float, Packet | Fragment]]:
    """Yield packets with monotonic times, until somebody wants us to end; call `between` when some have been taken."""
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: stopped.append(number))
    while not stopped:
        for packet in live.packets(_STEP):
            yield time.monotonic(), packet
        between()
        live.look(time.monotonic())
    live.look(float("inf"))


def _cut(cuts: socket.socket, found: Finding) -> None:
    flow = found.sight.flow
    which = cut.of(flow.client, flow.destination, flow.transport, found.sight.source_port, flow.port)
    try:
        cuts.send(cut.encode(which), socket.MSG_DONTWAIT)
    except OSError as error:
        click.echo(f"blocker: a connection is not cut: {error}", err=True)
