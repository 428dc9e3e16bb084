"""What the gate costs those who ask, and that no first packet is lost, between a device, us and an internet."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Final

import yaml

from tests.bench.errors import BenchError
from tests.bench.figures import Row, quantile
from tests.bench.lab import Lab, say
from tests.bench.process import Running
from tests.egress import network
from tests.egress.network import DEVICE, GATEWAY, OTHER, UPSTREAM, Network

_PORT: Final = 53
_NOBODYS: Final = "11.255.255.254"  # an address that no name has
_TOGETHER: Final = 64  # questions outstanding at full load
_KNOWN: Final = 100  # names that are asked for again and again
_WAIT: Final = 0.9  # seconds: a first packet that is lost comes again after one
_GOAL: Final = 0.001  # seconds that an answer may take longer
_MS: Final = 1000
_QUESTION: Final = struct.Struct("!HHHHHH")


def bench(lab: Lab) -> list[Row]:
    """Return rows for resolutions each followed by a connection, for what an answer waits, and for full load."""
    count = 2000 if lab.quick else 10_000
    say(f"gate: {count} resolutions, each followed at once by a connection")
    with network.connected() as net, network.answering(net):
        server = _start(lab, net)
        with ExitStack() as stack:
            gated, free = (stack.enter_context(_client(net, address)) for address in (DEVICE, OTHER))
            _wait_ready(gated, free, server)
            _must_refuse(net)
            lost, failed = _resolve_and_connect(net, gated, count)
            behind, before = _latencies(gated, free, count)
            rate, new = _flood(gated, server, count * 2)
            gated.repeat(_KNOWN)
            _, known = _flood(gated, server, count * 2)
    added = median(behind) - median(before)
    return [
        Row("gate", f"{count} resolutions and connections",
            f"{lost} first packets lost, {failed} not answered", "", "0 lost", lost + failed == 0),
        Row("gate", "an answer with new addresses",
            f"p50 {median(behind) * _MS:.2f}, p99 {quantile(behind, 0.99) * _MS:.2f} ms", "", "", None),
        Row("gate", "the same without the gate",
            f"p50 {median(before) * _MS:.2f}, p99 {quantile(before, 0.99) * _MS:.2f} ms", "", "", None),
        Row("gate", "added to the median", f"{added * _MS:.2f} ms", "", f"≤ {_GOAL * _MS:.2f} ms", added <= _GOAL),
        Row("gate", f"new addresses, {_TOGETHER} outstanding", f"{rate:,.0f} answers/s, {new:.1f} us each"),
        Row("gate", "known addresses, from the drain", f"{known:.1f} us each"),
    ]  # fmt: skip


def _start(lab: Lab, net: Network) -> Running:
    folder = lab.new_folder("gate")
    config = {
        "listen": [f"{GATEWAY}:{_PORT}"],
        "upstream": {"servers": [UPSTREAM]},
        "groups": [{"name": "strict", "clients": [DEVICE]}],
        "egress": {"enabled": True, "groups": [{"name": "strict", "gate": "enforce"}]},
        "lists": {"watch": False},
        "log": {"attempts": "off"},
        "metrics": {"listen": None},
        "process": {"state_dir": str(folder / "state"), "workers": 1},
        "limits": {"client_in_flight": 4096},
    }
    path = folder / "blocker.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return net.gateway.run(lambda: lab.run_ours("gate", path, _PORT))


class Client:
    """A device's stub resolver."""

    def __init__(self, sock: socket.socket, tag: str) -> None:
        self._socket = sock
        self._tag = tag
        self._number = 0
        self._known = 0

    def repeat(self, known: int) -> None:
        """From now on ask for the same `known` names only."""
        self._known = known

    def ask(self) -> int:
        """Send a question, for a name that nobody has asked for yet unless it is to `repeat`; return its number."""
        self._number += 1
        label = f"{self._tag}{self._number % self._known if self._known else self._number}".encode()
        head = _QUESTION.pack(self._number & 0xFFFF, 0x0100, 1, 0, 0, 0)
        self._socket.send(head + bytes((len(label),)) + label + b"\5bench\0\0\1\0\1")
        return self._number

    def hear(self) -> tuple[int, str]:
        """Return an answer's id and its address; none if it failed. Raises TimeoutError."""
        answer = self._socket.recv(4096)
        address = socket.inet_ntoa(answer[-4:]) if answer[3] & 0xF == 0 and answer[7] else ""
        return int.from_bytes(answer[:2]), address


@contextmanager
def _client(net: Network, address: str) -> Iterator[Client]:
    with network.bound(net.device, socket.SOCK_DGRAM, address) as sock:
        sock.settimeout(2.0)
        sock.connect((GATEWAY, _PORT))
        yield Client(sock, "g" if address == DEVICE else "f")


def _wait_ready(gated: Client, free: Client, server: Running) -> None:
    """Wait until both hear addresses; the gate's process begins a little later than the workers."""
    deadline = time.monotonic() + 30
    for client in (free, gated):
        address = ""
        while not address:
            if time.monotonic() >= deadline:
                raise BenchError(f"no answer: {server.said()}")
            client.ask()
            try:
                _, address = client.hear()
            except (TimeoutError, ConnectionError):
                time.sleep(0.05)


def _must_refuse(net: Network) -> None:
    """See that the gate is shut, which it is once rules are there: else nothing would be measured."""
    deadline = time.monotonic() + 30
    while _connects(net, _NOBODYS) and time.monotonic() < deadline:
        time.sleep(0.1)
    if _connects(net, _NOBODYS):
        raise BenchError("the gate lets through what nobody was told")


def _connects(net: Network, address: str) -> bool:
    """Tell whether the first packet of a connection passes."""
    with network.bound(net.device, socket.SOCK_STREAM, DEVICE) as sock:
        sock.settimeout(_WAIT)
        try:
            sock.connect((address, network.SERVED))
        except OSError:
            return False
    return True


def _resolve_and_connect(net: Network, client: Client, count: int) -> tuple[int, int]:
    lost = failed = 0
    for _ in range(count):
        client.ask()
        _, address = client.hear()
        if not address:
            failed += 1
        elif not _connects(net, address):
            lost += 1
    return lost, failed


def _latencies(gated: Client, free: Client, count: int) -> tuple[list[float], list[float]]:
    """Return the seconds until each answer, behind the gate and without; in turn, so that moods meet both."""
    found: dict[Client, list[float]] = {gated: [], free: []}
    for number in range(count):
        client = (gated, free)[number % 2]
        began = time.perf_counter()
        client.ask()
        client.hear()
        found[client].append(time.perf_counter() - began)
    return found[gated], found[free]


def _flood(client: Client, server: Running, count: int) -> tuple[float, float]:
    """Return the answers a second at full load, and the CPU microseconds of all processes for each.

    Raises BenchError when one failed.
    """
    before = server.cpu()
    began = time.perf_counter()
    for _ in range(_TOGETHER):
        client.ask()
    for number in range(count):
        _, address = client.hear()
        if not address:
            raise BenchError(f"answer {number} at full load failed")
        client.ask()
    took = time.perf_counter() - began
    for _ in range(_TOGETHER):
        client.hear()
    after = server.cpu()
    stayed = before.keys() & after.keys()  # the egress process has nft look at its table every other second
    return count / took, sum(after[pid] - before[pid] for pid in stayed) / 1000 / count
