"""One exception among 1,000,000 names, under load: from the command until every worker answers so, and past its end."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import yaml

from tests.bench import million, ours
from tests.bench.errors import BenchError
from tests.bench.figures import Row, Series
from tests.bench.lab import BLOCKED, Lab, say
from tests.bench.load import write_names
from tests.bench.peers import ADDRESS, SINKHOLE
from tests.bench.process import ask, free_port

_TIMES: Final = 10
_RATE: Final = 10_000  # queries/s offered meanwhile
_OUTSTANDING: Final = 20_000
_LONGEST: Final = 120.0  # seconds: the end of a load that nobody ends
_SOCKETS: Final = 12  # new sockets that are asked from: they reach every worker
_LASTS: Final = 10  # seconds of an exception that ends by itself
_IN_FORCE: Final = 2.0  # seconds: the goal
_PATIENCE: Final = 30.0  # seconds


def bench(lab: Lab) -> list[Row]:
    """Return rows for approval, revocation, the end by time, and what clients lost."""
    say("exception: one among 1,000,000 names, at 10,000 queries/s")
    folder = lab.new_folder("exception")
    names = list(million.names())
    lists = ours.write_list(folder / "lists", [*names, *BLOCKED])
    port = free_port()
    path = ours.configure(folder, port, lab.responder, lists=lists, metrics=free_port(), workers=2)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(config | {"exceptions": {"delegates": [_account()]}}), encoding="utf-8")
    server = lab.run_ours("ours", path, port)
    server.wait_ready(names[0], SINKHOLE, patience=120.0)
    file = write_names(folder / "names", [name for at in range(1000) for name in (BLOCKED[at], f"www.name{at}.com")])
    lab.load(server, file, once=True, seconds=10.0).result()  # fills the cache
    index = list((folder / "state").glob("lists-*.index"))
    load = lab.load(server, file, seconds=_LONGEST, rate=_RATE, outstanding=_OUTSTANDING, clients=16)
    approved, revoked = [], []
    for number in range(3 if lab.quick else _TIMES):
        asked = _run(lab, path, "ines", "add", "--exact", names[number], "--for", "1h", "--reason", "bench")
        approved.append(_until(lab, path, port, names[number], ADDRESS, "omar", "approve", asked["grant"]["id"]))
        revoked.append(_until(lab, path, port, names[number], SINKHOLE, "ines", "revoke", asked["grant"]["id"]))
    late = _end(lab, path, port, names[-1])
    load.interrupt()
    result = load.result()
    if list((folder / "state").glob("lists-*.index")) != index:
        raise BenchError("an exception has compiled lists")
    server.stop()
    failed = result.completed - result.rcodes.get("NOERROR", 0)
    goal = f"≤ {_IN_FORCE:.2f} s"
    return [
        Row("exception", "approved: from the command to the answer of every worker", Series.of(approved).text("s"),
            f"{max(approved):.2f} s at most", goal, max(approved) <= _IN_FORCE),
        Row("exception", "revoked: the same", Series.of(revoked).text("s"), f"{max(revoked):.2f} s at most", goal,
            max(revoked) <= _IN_FORCE),
        Row("exception", "blocked again after its end", f"{late:.2f} s", "", "≤ 1.00 s", late <= 1),
        Row("exception", "queries lost or failed meanwhile", f"{result.lost} and {failed} of {result.sent}", "", "0",
            result.lost + failed == 0),
    ]  # fmt: skip


def _account() -> str:
    from blocker.config import account  # the very name that the command takes for who acts

    return account()


def _run(lab: Lab, path: Path, who: str, *arguments: str) -> dict[str, Any]:
    """Do what an operator does, and return what is said. Raises BenchError."""
    argv = lab.built.command("exceptions", *arguments, "--as", who, "--config", str(path), "--json")
    done = subprocess.run(
        argv, env={**os.environ, **lab.built.env}, cwd="/", capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise BenchError(f"blocker exceptions {arguments[0]}: {done.stderr[-400:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _until(lab: Lab, path: Path, port: int, name: str, address: str, who: str, *arguments: str) -> float:
    """Run a command; return the seconds from its start until every worker gives `address` for `name`."""
    began = time.monotonic()
    _run(lab, path, who, *arguments)
    _wait(port, name, address)
    return time.monotonic() - began


def _wait(port: int, name: str, address: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while any(ask(name, port) != address for _ in range(_SOCKETS)):
        if time.monotonic() >= deadline:
            raise BenchError(f"{name} is not {address} after {_PATIENCE:g} s")


def _end(lab: Lab, path: Path, port: int, name: str) -> float:
    """Let an exception end by itself; return the seconds past its end until every worker blocks again."""
    asked = _run(lab, path, "ines", "add", "--exact", name, "--for", f"{_LASTS}s", "--reason", "bench")
    _run(lab, path, "omar", "approve", asked["grant"]["id"])
    _wait(port, name, ADDRESS)
    _wait(port, name, SINKHOLE)
    return time.time() - float(asked["grant"]["ends"])
