"""The process that reads configuration and lists anew: started, awaited, heard. Lives for seconds.

What it finds, good or bad, comes back over a pipe as one JSON object; that it died is an answer too.
"""

import contextlib
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import setproctitle

from blocker.errors import BlockerError, ProblemsError
from blocker.serve import generation, priority

_LAST_WORDS: Final = 5.0  # seconds between a preparer's first octet and its last
DIED = "the process that reads the lists died: see the log above, and the machine's memory"


def main(
    pipe: socket.socket,
    path: Path | None,
    overrides: Mapping[str, object],
    number: int,
    current: Mapping[str, object],
) -> int:
    """Be the preparer of generation `number`: the body of a forked process. Returns its exit status.

    If it is refused, `instead` is the `current` one with rollouts as they stand, should one have been moved.
    """
    setproctitle.setproctitle("blocker: preparer")
    priority.give_way()
    said: dict[str, object]
    try:
        with priority.interrupted():
            said = generation.prepare(path, overrides, number)
    except ProblemsError as error:
        said = {"problems": list(error.problems)}
    except (BlockerError, OSError, MemoryError) as error:
        said = {"problems": [str(error) or type(error).__name__]}
    if "problems" in said and current:
        with contextlib.suppress(BlockerError, OSError):
            if (instead := generation.restaged(current, number)) is not None:
                said["instead"] = instead
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
