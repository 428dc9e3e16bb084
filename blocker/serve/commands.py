"""Answers the control socket: one line of JSON in, one line of JSON out, per connection."""

import contextlib
import json
import platform
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from socketserver import BaseRequestHandler
from typing import Any, Final

import blocker
from blocker.selftest import status as selftest
from blocker.serve.threaded import ThreadedServer, hear
from blocker.sinks import upstreams, workers
from blocker.sinks.facts import Facts
from blocker.sinks.region import Region, UpstreamWord

Answer = Mapping[str, object]
Commands = Mapping[str, Callable[[], Answer]]

RELOAD: Final = 120.0  # seconds to wait for the supervisor
_CONNECTIONS: Final = 16
_READ: Final = 5.0  # seconds a request may take to arrive
_LONGEST: Final = 65536  # octets of a request


def refusal(*problems: str) -> Answer:
    """Return the answer that says what was wrong."""
    return {"ok": False, "problems": list(problems)}


class Console(ThreadedServer):
    """The control socket's server; who may connect is the business of the socket's file mode."""

    def __init__(self, listener: socket.socket, commands: Commands) -> None:
        """Do `commands` for those who connect to `listener`."""
        busy = _line(refusal("too many connections at once; try again"))
        super().__init__(listener, _Handler, limit=_CONNECTIONS, lifetime=RELOAD + 2 * _READ, busy=busy)
        self.commands = commands


class _Handler(BaseRequestHandler):
    server: Console
    request: socket.socket

    def handle(self) -> None:
        """Answer one request."""
        request = hear(self.request, lambda said: b"\n" in said or len(said) > _LONGEST, 2 * _LONGEST, _READ)
        self.server.heard(self.request)
        if not request:
            return
        answer = answered(request, self.server.commands)
        self.request.settimeout(_READ)
        with contextlib.suppress(OSError):
            self.request.sendall(_line(answer))


def answered(request: bytes, commands: Commands) -> Answer:
    """Return the answer to a request: one line, `{"command": ...}`."""
    line, end, _ = request.partition(b"\n")
    if not end or len(line) > _LONGEST:
        return refusal(f"a request is one line of at most {_LONGEST} octets, complete within {_READ:g} s")
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        return refusal("the request is not JSON")
    name = asked.get("command") if isinstance(asked, dict) else None
    command = commands.get(name) if isinstance(name, str) else None
    if command is None:
        return refusal(f'say {{"command": ...}} with one of: {", ".join(commands)}')
    return command()


def status(regions: Sequence[Region], facts: Facts, began: float, now: float, clock: int) -> Answer:
    """Return how everything does: `began` and `now` are unix seconds, `clock` monotonic nanoseconds."""
    seen = workers.look(regions, clock)
    problems = [worker.trouble for worker in seen if not worker.up]
    found: dict[str, Any] = {
        "ok": not problems,
        "version": blocker.__version__,
        "python": platform.python_version(),
        "uptime": int(now - began),
        "generation": facts.generation,
        "workers": [
            {
                "worker": worker.number,
                "pid": worker.pid,
                "up": worker.up,
                "generation": worker.generation,
                "started": _time(worker.started),
                "restarts": worker.restarts,
            }
            for worker in seen
        ],
        "lists": [{"app": app, "entries": said.entries, "title": said.title} for app, said in facts.apps.items()],
        "compiled": _time(facts.compiled),
        "digest": facts.digest,
        "bundle": _bundle(facts, now),
        "policy": facts.policy,
        "rollouts": [
            {"rollout": each.name, "about": each.about, "stage": each.words, "returned": each.returned}
            for each in facts.rollouts
        ],
        "selftest": _selftest(facts),
        "reloads": {
            "succeeded": facts.succeeded,
            "refused": facts.refused,
            "last_success": _time(facts.last_success),
            "last_problems": list(facts.problems),
        },
        "upstreams": [
            {
                "upstream": upstream.name,
                "healthy": upstream.healthy,
                "response_ms": round(upstream.smoothed * 1000, 3),
                "queries": upstream.words[UpstreamWord.QUERIES],
                "timeouts": upstream.words[UpstreamWord.TIMEOUTS],
            }
            for upstream in upstreams.look(regions)
        ],
    }
    return found | ({"problems": problems} if problems else {})


def _bundle(facts: Facts, now: float) -> Answer | None:
    found = facts.bundle
    if found is None:
        return None
    expired = now >= found.expires
    return {
        "serial": found.serial,
        "expires": _time(found.expires),
        "publisher": found.publisher,
        "state": "expired; in force until a newer one is installed" if expired else "good",
        "refused": sum(found.refused.values()),
    }


def _selftest(facts: Facts) -> Answer | None:
    """Return what is seen to be blocked and to resolve; None: nobody looks."""
    if not facts.selftest:
        return None
    said = selftest.read(Path(facts.selftest))
    outcomes = [*said.apps.items(), *([("must resolve", said.resolution)] if said.resolution is not None else [])]
    return {what: f"{'ok' if each.ok else each.why}, {_time(each.checked)}, {each.name}" for what, each in outcomes}


def _time(when: float) -> str | None:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%dT%H:%M:%SZ}" if when else None


def _line(answer: Answer) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode() + b"\n"
