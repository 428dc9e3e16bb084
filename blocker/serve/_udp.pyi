"""The compiled drain's interface; serve/udp.py says what it does."""

import mmap
from collections.abc import Iterable, Mapping

from blocker.fast import Table
from blocker.serve.udp import Miss

class Drain:
    def __init__(self, fd: int, v6: bool, local: bool, memory: mmap.mmap) -> None: ...
    def receive(self, tables: Mapping[bytes, Table], now: float) -> tuple[int, list[Miss]]: ...
    def send(self, replies: Iterable[tuple[bytes, object]]) -> None: ...
