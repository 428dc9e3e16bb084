"""What the figures depend on beside the code: the machine, its peers' versions, and who else is using it."""

import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.bench.figures import Stamp
from tests.bench.ours import ROOT, Built

_VERSIONS: Final = {
    "unbound": ("unbound", "-V"), "dnsdist": ("dnsdist", "--version"), "dnsmasq": ("dnsmasq", "--version"),
    "bind9": ("named", "-v"), "dnsperf": ("dnsperf", "-h"),
}  # fmt: skip
_VERSION: Final = re.compile(r"\b(\d+\.\d+(?:\.\d+)?)\b")
_QUIET: Final = 0.1  # cores that others may use while we measure
_LOOK: Final = 0.3  # seconds


class Watch:
    """Sees how much of the machine others use while nothing of ours runs, and waits for a quiet moment."""

    def __init__(self, patience: float) -> None:
        """Wait `patience` seconds at the most, over all waits together."""
        self._patience = patience
        self._seen: list[float] = []  # cores

    def wait(self) -> None:
        """Return when the machine is quiet, or patience is at its end. Call when the servers are idle."""
        while True:
            began, used = time.monotonic(), _busy()
            time.sleep(_LOOK)
            others = (_busy() - used) / (time.monotonic() - began)
            if others <= _QUIET or self._patience <= 0:
                self._seen.append(others)
                return
            self._patience -= _LOOK

    def text(self) -> str:
        """Return the cores that others used just before measurements, mean and greatest."""
        if not self._seen:
            return "not looked at"
        mean = sum(self._seen) / len(self._seen)
        return f"{mean:.2f} cores in the mean, {max(self._seen):.2f} at most"


def heading(built: Built) -> str:
    """Return what was measured with what."""
    parts = [
        f"accelerated modules (drain and core): {'loaded' if built.accelerated else 'NOT LOADED'}",
        f"Python {platform.python_version()}",
        *(f"{name} {_version(argv)}" for name, argv in _VERSIONS.items()),
        f"Linux {platform.release().split('-')[0]}",
    ]
    return "; ".join(parts)


def stamp() -> Stamp:
    """Return date, commit and machine for the table."""
    commit = _output("git", "rev-parse", "--short", "HEAD").strip() or "unknown"
    # What counts is what was built; notes and figures beside it change nothing.
    changed = _output("git", "status", "--porcelain", "--", "blocker", "setup.py", "pyproject.toml").strip()
    return Stamp(
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        commit + ("-dirty" if changed else ""),
        f"{cpu_model(Path('/proc/cpuinfo').read_text())}, {os.cpu_count()} cores",
    )


def cpu_model(cpuinfo: str) -> str:
    """Return the processor's name in the text of /proc/cpuinfo."""
    match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def _version(argv: Sequence[str]) -> str:
    match = _VERSION.search(_output(*argv))
    return match[1] if match else "unknown"


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, cwd=ROOT)
    except OSError:
        return ""
    return done.stdout + done.stderr if done.returncode == 0 or argv[-1].startswith("-") else ""


def _busy() -> float:
    """Return the seconds of CPU used by anybody, and taken by the hypervisor, since the machine started."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, soft, steal = (int(word) for word in words[:8])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
