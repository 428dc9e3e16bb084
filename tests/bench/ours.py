"""The blocker under test: built once, compiled, into a folder of its own, and never from the working copy."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.bench.errors import BenchError
from tests.bench.peers import RESPONDER

ROOT: Final = Path(__file__).parents[2]
IN_HANDS: Final = 64  # queries that a worker takes from its socket at once (blocker.serve.udp.BATCH)
_BUILT: Final = ROOT / "build" / "bench"
_PARTS: Final = ("blocker", "setup.py", "pyproject.toml", "README.md", "LICENSE")
_OURS: Final = ("*.so", "*.c", "__pycache__")  # what other builds have left there
_LOOK: Final = """import importlib, json
names = ("blocker.serve._udp", "blocker.line")
print(json.dumps({name: str(importlib.import_module(name).__file__) for name in names}))
"""


@dataclass(frozen=True, slots=True)
class Built:
    """A compiled blocker."""

    folder: Path
    accelerated: bool  # the drain and the core's modules are machine code

    @property
    def env(self) -> dict[str, str]:
        """Return the environment in which Python finds this blocker first."""
        return {"PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1"}

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of `blocker` with `arguments`."""
        return [sys.executable, "-m", "blocker.cli", *arguments]


def build() -> Built:
    """Return the blocker built from the source as it stands; the same source is built once.

    Raises BenchError when it cannot be built.
    """
    target = _BUILT / _digest()
    if not target.exists():
        shutil.rmtree(_BUILT, ignore_errors=True)
        _BUILT.mkdir(parents=True)
        _install(target)
    env = {**os.environ, "PYTHONPATH": str(target), "PYTHONSAFEPATH": "1"}
    looked = subprocess.run(
        [sys.executable, "-c", _LOOK], env=env, cwd="/", capture_output=True, text=True, timeout=60, check=False
    )
    if looked.returncode:
        raise BenchError(f"the blocker as built cannot be loaded: {looked.stderr[-800:]}")
    files: dict[str, str] = json.loads(looked.stdout)
    if not all(Path(file).is_relative_to(target) for file in files.values()):
        raise BenchError(f"another blocker would be measured: {files}")
    return Built(target, all(file.endswith(".so") for file in files.values()))


def _install(target: Path) -> None:
    source, draft = _BUILT / "source", _BUILT / "draft"
    source.mkdir()
    for part in _PARTS:
        path = ROOT / part
        if path.is_dir():
            shutil.copytree(path, source / part, ignore=shutil.ignore_patterns(*_OURS))
        else:
            shutil.copy(path, source / part)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-deps", "--no-build-isolation", "--target", str(draft), str(source)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise BenchError(f"the blocker cannot be built: {done.stderr[-2000:]}")
    shutil.rmtree(source)
    draft.rename(target)


def _digest() -> str:
    """Return a name for the source as it stands and the Python that compiles it."""
    digest = hashlib.blake2b(sys.version.encode(), digest_size=8)
    files = [ROOT / "setup.py", ROOT / "pyproject.toml"]
    files += [
        path
        for path in sorted([*(ROOT / "blocker").rglob("*"), *(ROOT / "domain_lists").glob("*")])
        if path.suffix in (".py", ".pyx", ".yaml")
    ]
    for path in files:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def configure(
    folder: Path,
    port: int,
    upstream: int,
    *,
    lists: Path | None,
    metrics: int | None = None,
    attempts: str = "off",
    workers: int | None = 1,
    candidates: bool = False,
) -> Path:
    """Write a configuration into `folder` and return its path; the built-in lists are in force beside `lists`."""
    config: dict[str, Any] = {
        "listen": [f"127.0.0.1:{port}"],
        "upstream": {"servers": [f"{RESPONDER}:{upstream}"]},
        "lists": {"directories": [str(lists)] if lists else [], "watch": False},
        "log": {"attempts": attempts},
        "selftest": {"interval": 0},
        "candidates": {"enabled": candidates},
        "metrics": {"listen": f"127.0.0.1:{metrics}" if metrics else None},
        "process": {"state_dir": str(folder / "state"), **({"workers": workers} if workers else {})},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "blocker.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def write_list(folder: Path, names: Sequence[str]) -> Path:
    """Write a plain list of `names` and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.txt").write_text("".join(f"{name}\n" for name in names), encoding="ascii")
    return folder


def reload(folder: Path, patience: float = 60.0) -> Mapping[str, Any]:
    """Have the blocker with this state folder reload, and return its reply. Raises BenchError.

    What `blocker reload` does, without starting a Python beside the load.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience)
        connection.connect(str(folder / "state" / "control.sock"))
        connection.sendall(b'{"command": "reload"}\n')
        reply: dict[str, Any] = json.loads(connection.makefile("rb").readline())
    if not reply.get("ok"):
        raise BenchError(f"reload refused: {reply}")
    return reply
