"""What a change of the kernel's sets costs: a transaction of one element, of a hundred, of ten thousand, of 50,000."""

import time
from statistics import median
from typing import Final

from blocker.egress.elements import Drop, Element, Put, concatenated
from blocker.egress.netlink import Netlink
from tests.bench.figures import Row
from tests.bench.lab import Lab, say
from tests.egress.namespace import Namespace

_SET: Final = "gate_4"
_HELD: Final = 200_000  # elements that are in the set all the time
_ALL: Final = 50_000
_GOAL: Final = 2.0  # seconds for all of those
_LEFT: Final = 600_000  # milliseconds


def bench(lab: Lab) -> list[Row]:
    """Return rows for transactions of several sizes."""
    say(f"elements: transactions on a set that holds {_HELD}")
    rows: list[Row] = []
    with Namespace() as inside:
        inside.nft(
            f"add table inet blocker\nadd set inet blocker {_SET} {{ type ipv4_addr . ipv4_addr; flags timeout; }}\n"
        )
        with inside.run(Netlink) as kernel:
            kernel.apply([Put(_SET, _elements(0, _HELD))])
            for size in (1, 100, 10_000):
                rounds = 20 if size == 10_000 else 2000 // size**0.5
                took = median(_timed(kernel, _HELD + number * size, size) for number in range(int(rounds)))
                text = f"{took * 1e6:.0f} us a transaction, {size / took:,.0f} elements/s"
                rows.append(Row("elements", f"{size:,} at a time", text))
            took = _timed(kernel, 1 << 24, _ALL)
            text = f"{took:.2f} s, {_ALL / took:,.0f} elements/s"
            rows.append(Row("elements", f"{_ALL:,} at once", text, "", f"≤ {_GOAL:.2f} s", took <= _GOAL))
    return rows


def _timed(kernel: Netlink, first: int, count: int) -> float:
    """Return the seconds that it takes to put `count` elements; they are taken out again."""
    wanted = _elements(first, count)
    began = time.perf_counter()
    kernel.apply([Put(_SET, wanted)])
    took = time.perf_counter() - began
    kernel.apply([Drop(_SET, [each.key for each in wanted])])
    return took


def _elements(first: int, count: int) -> list[Element]:
    return [
        Element(concatenated(b"\x0a\0\0\2", (0x20000000 + number).to_bytes(4)), _LEFT)
        for number in range(first, first + count)
    ]
