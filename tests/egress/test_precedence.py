"""Rules that are replaced while elements change all the time."""

import threading
import time

from blocker.egress import apply
from blocker.egress.elements import Element, Put
from blocker.egress.precedence import Precedence, YieldingNetlink
from tests.egress.namespace import Namespace
from tests.egress.rules import RANGES, rendered

LIMIT = 10.0  # seconds


def test_others_go_on_for_a_moment_and_then_wait():
    precedence = Precedence(0.05)
    with precedence.taken():
        with precedence.turn:
            pass
        deadline = time.monotonic() + LIMIT
        while precedence.turn.acquire(blocking=False):
            precedence.turn.release()
            assert time.monotonic() < deadline
    with precedence.turn:
        pass


def test_rules_come_through_beside_changes_without_end(tmp_path):
    """Without precedence this takes a minute or never ends."""
    many = {"more": [f"11.1.{at // 120}.{at % 120 * 2}" for at in range(6000)]}
    rules = [rendered(tmp_path, ranges=RANGES | many), rendered(tmp_path)]
    precedence = Precedence()
    changed = [0]
    stop = threading.Event()
    with Namespace() as namespace:
        namespace.run(lambda: apply.apply(rules[0]))
        kernel = namespace.run(lambda: YieldingNetlink(precedence))

        def change() -> None:
            while not stop.is_set():
                pair = bytes((10, 0, *changed[0].to_bytes(4)[2:])) + b"\x0b\1\1\1"
                kernel.apply([Put("gate_4", [Element(pair, 60_000)])])
                changed[0] += 1

        thread = threading.Thread(target=change)
        thread.start()
        try:
            for at in range(6):
                began = time.monotonic()
                with precedence.taken():
                    namespace.run(lambda at=at: apply.apply(rules[(at + 1) % 2]))
                assert time.monotonic() - began < LIMIT
        finally:
            stop.set()
            thread.join()
            kernel.close()
    assert changed[0] > 100
