"""Talks to the running blocker through its control socket: one line of JSON there, one line back."""

import json
import socket
from pathlib import Path
from typing import Any, Final

import click

from blocker.errors import BlockerError

_LONGEST: Final = 1 << 20  # octets of a reply: far more than any status is long


class NotRunningError(BlockerError):
    """Nobody listens at the control socket."""


def ask(control: Path, command: str, timeout: float) -> dict[str, Any]:
    """Return what the blocker listening at `control` replies to `command` within `timeout` seconds.

    Raises NotRunningError when nobody listens there, BlockerError when the reply is none.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(control))
            connection.sendall(json.dumps({"command": command}).encode() + b"\n")
            line = connection.makefile("rb").readline(_LONGEST)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotRunningError(
            f"{control}: no blocker listens there. Start it (`blocker run`) or name its configuration (--config)."
        ) from error
    except PermissionError as error:
        raise BlockerError(f"{control}: not allowed to connect. Run this as the blocker's user, or as root.") from error
    except TimeoutError as error:
        raise BlockerError(f"{control}: no reply within {timeout:g} seconds; see the blocker's log.") from error
    except OSError as error:
        raise BlockerError(f"{control}: cannot talk to the blocker: {error}") from error
    try:
        reply = json.loads(line)
    except ValueError as error:
        raise BlockerError(f"{control}: the reply is not JSON; is the running blocker of another version?") from error
    if not isinstance(reply, dict) or not isinstance(reply.get("ok"), bool):
        raise BlockerError(f"{control}: the reply makes no sense; is the running blocker of another version?")
    return reply


def finish(reply: dict[str, Any], refusal: str, *, as_json: bool) -> None:
    """Print `reply` and end the command: if it is not ok, with `refusal` before each problem and status 1."""
    problems = [] if reply["ok"] else reply.get("problems") or ["the blocker does not say why"]
    if as_json:
        click.echo(json.dumps(reply))
    else:
        for problem in problems:
            click.echo(f"{refusal}: {problem}", err=True)
        if lines := _lines({key: value for key, value in reply.items() if key not in ("ok", "problems")}):
            click.echo("\n".join(lines))
        elif not problems:
            click.echo("ok")
    click.get_current_context().exit(0 if reply["ok"] else 1)


def _lines(section: dict[str, Any], indent: str = "") -> list[str]:
    """Return `section` for people: `key  value` lines, sections and lists indented below their key."""
    width = max((len(key) for key in section), default=0)
    found: list[str] = []
    for key, value in section.items():
        words = key.replace("_", " ")
        if isinstance(value, dict) and value:
            found += [f"{indent}{words}", *_lines(value, f"{indent}  ")]
        elif isinstance(value, list) and value:
            found.append(f"{indent}{words}")
            found += [f"{indent}  {_flat(item)}" for item in value]
        else:
            found.append(f"{indent}{words:{width}}  {_flat(value)}")
    return found


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(item)}" for key, item in value.items())
    if value is None or value == [] or value == {}:
        return "-"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
