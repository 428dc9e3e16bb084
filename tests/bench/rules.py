"""What it takes to replace the kernel's rules, and that no packet passes meanwhile."""

import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from blocker.egress import apply
from blocker.egress.facts import Interval
from blocker.egress.ruleset import Ruleset
from tests.bench.figures import Row, Series
from tests.bench.lab import Lab, say
from tests.egress import network
from tests.egress.network import Network
from tests.egress.rules import rendered

_ELEMENTS: Final = 50_000
_GOAL: Final = 2.0  # seconds
_BANNED: Final = "11.0.1.1"  # in every set below
_SET: Final = "app_chat_4"


def bench(lab: Lab) -> list[Row]:
    """Return rows for the time of a replacement, and for what a flood gets through during 20 of them."""
    rounds = 5 if lab.quick else 20
    say(f"rules: {rounds} replacements of {_ELEMENTS} elements under a flood")
    folder = lab.new_folder("rules")
    some, others = (_rules(folder, step) for step in (2, 3))
    with network.connected() as net:
        net.gateway.run(lambda: apply.apply(some))
        idle = [_replaced(net, rules) for _ in range(rounds // 2) for rules in (others, some)]
        with _flooded(net) as flood:
            for at in range(rounds):
                _replaced(net, (others, some)[at % 2])
        sent, passed = flood
    took = Series.of(idle)
    goal = f"<= {_GOAL:g} s"
    return [
        Row("rules", f"{_ELEMENTS} elements, all replaced", took.text("s"), "", goal, took.median <= _GOAL),
        Row("rules", f"{rounds} replacements, {sent} packets to a banned address", f"{passed} passed", "", "0 passed",
            passed == 0 and sent > 1000),
    ]  # fmt: skip


def _rules(folder: Path, step: int) -> Ruleset:
    """Return rules with as many single addresses, every `step`-th of those from 11.0.0.1 on."""
    base = rendered(folder)
    start = int.from_bytes(socket.inet_aton("11.0.0.1"))
    numbers = sorted({start + step * at for at in range(_ELEMENTS)} | {int.from_bytes(socket.inet_aton(_BANNED))})
    elements: Sequence[Interval] = [(number.to_bytes(4), number.to_bytes(4)) for number in numbers]
    return dataclasses.replace(base, static={**base.static, _SET: ("ipv4_addr", elements)})


def _replaced(net: Network, rules: Ruleset) -> float:
    """Replace the rules in the gateway, and return the seconds that it took."""
    began = time.monotonic()
    net.gateway.run(lambda: apply.apply(rules))
    return time.monotonic() - began


@contextlib.contextmanager
def _flooded(net: Network) -> Iterator[list[int]]:
    """Send to the banned address all the while; give how many packets were sent, and how many arrived, once it ends."""
    figures: list[int] = []
    stop = threading.Event()
    with (
        network.bound(net.internet, socket.SOCK_DGRAM, _BANNED, 443) as server,
        network.bound(net.device, socket.SOCK_DGRAM, network.DEVICE) as client,
    ):
        sent = [0]

        def send() -> None:
            while not stop.is_set():
                with contextlib.suppress(OSError):  # the refusals come back
                    client.sendto(b"x", (_BANNED, 443))
                    sent[0] += 1

        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield figures
        finally:
            stop.set()
            thread.join()
        server.settimeout(0.2)
        arrived = 0
        with contextlib.suppress(TimeoutError):
            while server.recv(16):
                arrived += 1
        figures += [sent[0], arrived]
