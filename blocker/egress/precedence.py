"""Lets the rules come through beside changes of single elements; one for all threads of the egress process.

nft(8) reads what the table holds, works its transaction out and hands it in; if anybody has changed the table meanwhile
the kernel refuses it, and nft begins anew (ERESTART). Where answers open the gate all the time it would never end. So
others may go on for a moment, and then wait until the rules are in.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from blocker.egress.elements import Change
from blocker.egress.netlink import Netlink

PATIENCE: Final = 0.2  # seconds for which others go on: most transactions are through by then


class Precedence:
    """Who may change the table now."""

    def __init__(self, patience: float = PATIENCE) -> None:
        """Let others go on for `patience` seconds while the rules are replaced."""
        self._patience = patience
        self.turn = threading.Lock()
        """Held while one element is changed, or while all others must wait."""

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Replace the rules inside this: whoever else changes the table waits if it takes long."""
        done = threading.Event()

        def hold() -> None:
            if not done.wait(self._patience):
                with self.turn:
                    done.wait()

        holder = threading.Thread(target=hold, name="precedence", daemon=True)
        holder.start()
        try:
            yield
        finally:
            done.set()
            holder.join()


class YieldingNetlink(Netlink):
    """A socket to nf_tables whose changes give way to the rules."""

    def __init__(self, precedence: Precedence) -> None:
        """Wait where `precedence` says so."""
        super().__init__()
        self._precedence = precedence

    def apply(self, changes: Sequence[Change]) -> None:
        """Make all of `changes`, or none. Raises KernelError."""
        with self._precedence.turn:
            super().apply(changes)
