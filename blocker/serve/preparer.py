"""The process that reads configuration and lists anew: started, awaited, heard. Lives for seconds.

What it finds, good or bad, comes back over a pipe as one JSON object; that it died is an answer too.
"""

import contextlib
import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import setproctitle

from blocker.errors import BlockerError, ProblemsError
from blocker.serve import excepted, generation, priority

_LAST_WORDS: Final = 5.0  # seconds between a preparer's first octet and its last
DIED = "the process that reads the lists died: see the log above, and the machine's memory"


Prepare = Callable[[], dict[str, object]]
Instead = Callable[[], dict[str, object] | None]


def everything(
    path: Path | None, overrides: Mapping[str, object], number: int, current: Mapping[str, Any]
) -> tuple[Prepare, Instead]:
    """Return the work of preparing generation `number`.

    If it is refused, what comes into force all the same is the `current` one with rollouts as they stand.
    """

    def prepare() -> dict[str, object]:
        if current:  # else nobody is served yet, who could notice
            priority.stand_back()
        return generation.prepare(path, overrides, number, first=not current)

    return prepare, lambda: generation.restaged(current, number) if current else None


def exceptions(number: int, current: Mapping[str, Any]) -> tuple[Prepare, Instead]:
    """Return the work of reading the exceptions of the `current` generation anew."""
    return lambda: excepted.amend(current, number), lambda: None


def main(pipe: socket.socket, prepare: Prepare, instead: Instead) -> int:
    """Be a preparer: the body of a forked process. Returns its exit status.

    If what it prepares is refused, `instead` may say what comes into force all the same.
    """
    setproctitle.setproctitle("blocker: preparer")
    said: dict[str, object]
    try:
        said = prepare()
    except ProblemsError as error:
        said = {"problems": list(error.problems)}
    except (BlockerError, OSError, MemoryError) as error:
        said = {"problems": [str(error) or type(error).__name__]}
    if "problems" in said:
        with contextlib.suppress(BlockerError, OSError):
            if (other := instead()) is not None:
                said["instead"] = other
    with contextlib.suppress(BrokenPipeError):  # who asked has been told to stop meanwhile
        pipe.sendall(json.dumps(said).encode())
    return 0


def result(pipe: socket.socket, *, started: bool = True) -> dict[str, Any]:
    """Return what a preparer said: a generation as `generation.prepare` describes it, or `problems` and `instead`.

    Waits for as long as it takes unless the preparer has `started` to speak, which it does in one go.
    """
    pipe.settimeout(_LAST_WORDS if started else None)
    parts = []
    try:
        while part := pipe.recv(65536):
            parts.append(part)
        said: dict[str, Any] = json.loads(b"".join(parts))
    except (OSError, ValueError):
        return {"problems": [DIED]}
    finally:
        pipe.close()
    return said
