"""Offers load with dnsperf and reads what it says; writes the files of names that it asks for."""

import re
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.errors import BenchError

_NUMBER: Final = {
    "sent": re.compile(r"Queries sent:\s+(\d+)"),
    "completed": re.compile(r"Queries completed:\s+(\d+)"),
    "lost": re.compile(r"Queries lost:\s+(\d+)"),
    "qps": re.compile(r"Queries per second:\s+([\d.]+)"),
}
_RCODES: Final = re.compile(r"Response codes:(.*)")
_RCODE: Final = re.compile(r"([A-Z0-9]+) (\d+) \(")
_STOP: Final = 15.0  # seconds that dnsperf may take to end beyond its own limit
_BUFFER: Final = "2048"  # KiB: dnsperf must be able to take what a server that paused says all at once


@dataclass(frozen=True, slots=True)
class Result:
    """What dnsperf counted."""

    sent: int
    completed: int
    lost: int
    qps: float
    rcodes: Mapping[str, int]


def parse(text: str) -> Result:
    """Return the statistics in dnsperf's output. Raises BenchError when they are missing."""
    found: dict[str, float] = {}
    for word, pattern in _NUMBER.items():
        match = pattern.search(text)
        if match is None:
            raise BenchError(f"dnsperf did not say how many queries were {word}: {text[-500:]!r}")
        found[word] = float(match[1])
    codes = _RCODES.search(text)
    rcodes = {code: int(count) for code, count in _RCODE.findall(codes[1])} if codes else {}
    return Result(int(found["sent"]), int(found["completed"]), int(found["lost"]), found["qps"], rcodes)


class Dnsperf:
    """One run of dnsperf, started at once."""

    def __init__(
        self,
        port: int,
        names: Path,
        output: Path,
        *,
        cpus: str,
        seconds: float,
        clients: int = 8,
        outstanding: int = 100,
        rate: int | None = None,
        once: bool = False,
        timeout: float = 2.0,
        threads: int = 1,
    ) -> None:
        """Ask 127.0.0.1 `port` for `names` from the cores `cpus`, for `seconds` at the most.

        `rate` queries/s are offered, else as many as `outstanding` allows. `once`: do not begin the file again.
        """
        argv = ["taskset", "-c", cpus, "dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(names)]
        argv += ["-l", f"{seconds:g}", "-c", str(clients), "-q", str(outstanding), "-t", f"{timeout:g}", "-b", _BUFFER]
        argv += ["-T", str(threads)] + (["-Q", str(rate)] if rate else [])
        argv += ["-n", "1"] if once else []
        self._output = output
        self._until = time.monotonic() + seconds + timeout + _STOP
        with output.open("wb") as file:
            self._process = subprocess.Popen(argv, stdout=file, stderr=subprocess.STDOUT)

    def interrupt(self) -> None:
        """End the run before its time; what is under way is not counted as lost."""
        self._process.send_signal(signal.SIGINT)

    def result(self) -> Result:
        """Wait for the end and return what was counted. Raises BenchError."""
        try:
            self._process.wait(max(0.0, self._until - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            self._process.wait()
            raise BenchError("dnsperf did not end in time") from error
        return parse(self._output.read_text(encoding="utf-8", errors="replace"))


def write_names(path: Path, names: Iterable[str]) -> Path:
    """Write a file of A queries for `names`."""
    with path.open("w", encoding="ascii") as file:
        file.writelines(f"{name} A\n" for name in names)
    return path
