"""Processes under test: started on their cores, asked until they answer, read from /proc, stopped by their id."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from tests.bench.errors import BenchError

_STOP: Final = 12.0  # seconds a server may take to end
_IDLE: Final = 2e6  # ns of CPU per look, below which a server counts as idle
_LOOK: Final = 0.1  # seconds


class Running:
    """A server with all its children. Use as a context: it is stopped at the end, whatever happened."""

    def __init__(
        self, name: str, argv: Sequence[str], port: int, cpus: str, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """Start `argv` on the cores `cpus`; it will serve DNS on 127.0.0.1 `port` unless it is the responder."""
        self.name = name
        self.port = port
        self.began = time.monotonic()
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                ["taskset", "-c", cpus, *argv],
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, cwd=log.parent,
                env={**os.environ, **(env or {})},
            )  # fmt: skip

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()

    @property
    def pid(self) -> int:
        """Return the id of the first process."""
        return self._process.pid

    def pids(self) -> list[int]:
        """Return the first process and all below it."""
        parents = _parents()
        found = [self.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def workers(self) -> list[int]:
        """Return the serving processes of the blocker."""
        return [pid for pid in self.pids() if _title(pid).startswith(b"blocker: worker")]

    def wait_ready(self, name: str, address: str | None, patience: float = 30.0, host: str = "127.0.0.1") -> float:
        """Ask for `name` until the answer is `address` (any, if None); return the seconds since the start.

        Raises BenchError when that takes longer than `patience` seconds.
        """
        seen: object = None
        while time.monotonic() - self.began < patience:
            if self._process.poll() is not None:
                raise BenchError(f"{self.name} ended with {self._process.returncode}: {self.said()}")
            seen = ask(name, self.port, host, 0.05)
            if seen is not None and (address is None or seen == address):
                return time.monotonic() - self.began
            time.sleep(0.002)
        raise BenchError(f"{self.name} answers {name} with {seen}, not {address}, after {patience:g} s: {self.said()}")

    def cpu(self) -> dict[int, int]:
        """Return the nanoseconds of CPU that each process has used, all its threads together.

        From schedstat: the ticks in /proc/PID/stat are too coarse, and wrong on some virtual machines.
        """
        return {pid: sum(_run_time(task) for task in _tasks(pid)) for pid in self.pids()}

    def settle(self, patience: float = 10.0) -> None:
        """Wait until the server is idle: work it put off belongs to the queries that caused it."""
        deadline = time.monotonic() + patience
        before = sum(self.cpu().values())
        while time.monotonic() < deadline:
            time.sleep(_LOOK)
            now = sum(self.cpu().values())
            if now - before < _IDLE:
                return
            before = now

    def memory(self) -> int:
        """Return the octets in memory of all processes together; what several share is counted once (PSS)."""
        return sum(_pss(pid) for pid in self.pids())

    def signal(self, number: int) -> None:
        """Send a signal to the first process."""
        self._process.send_signal(number)

    def said(self) -> str:
        """Return the end of what the server printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-800:].strip()

    def stop(self) -> None:
        """End the server, by force if it does not want to."""
        if self._process.poll() is not None:
            return
        family = self.pids()
        self._process.terminate()
        try:
            self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()


def spent(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    """Return the CPU used between two looks. Raises BenchError if a process came or went: its share is unknown."""
    if before.keys() != after.keys():
        raise BenchError(f"processes came or went while measuring: {sorted(before.keys() ^ after.keys())}")
    return sum(after.values()) - sum(before.values())


def ask(name: str, port: int, host: str = "127.0.0.1", timeout: float = 1.0) -> str | None:
    """Return the first address that the server gives for `name`, "" for none, None when it does not answer."""
    query = dns.message.make_query(name, "A")
    try:
        response = dns.query.udp(query, host, timeout=timeout, port=port)
    except (OSError, dns.exception.DNSException):
        return None
    for rrset in response.answer:
        if rrset.rdtype == dns.rdatatype.A:
            return str(rrset[0])
    return ""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free now, for UDP and TCP."""
    for _ in range(100):
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind((host, 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind((host, port))
                return port
    raise BenchError(f"no free port on {host}")


def _parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The command, in parentheses, may hold anything: count from its end.
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def _tasks(pid: int) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def _run_time(task: Path) -> int:
    with contextlib.suppress(OSError):
        return int((task / "schedstat").read_text().split()[0])
    return 0


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _title(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
