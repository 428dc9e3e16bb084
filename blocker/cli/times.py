"""Times and lengths of time as people write them on the command line."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

_LENGTH: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def length(text: str) -> int:
    """Return the seconds of `90m`, `12h`, `3d` or `2w`. Raises ValueError."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a length of time; write 90m, 12h, 3d or 2w")
    return int(match[1]) * _SECONDS[match[2]]


def moment(text: str) -> datetime:
    """Return the time `2026-11-27T17:00`, by the machine's own zone unless it says `Z`, `-05:00` or a zone's name.

    A name follows in brackets, `2026-11-27T17:00[America/Toronto]`. Raises ValueError.
    """
    stamp, bracket, zone = text.partition("[")
    try:
        found = datetime.fromisoformat(stamp)
        if bracket:
            if not zone.endswith("]") or found.tzinfo is not None:
                raise ValueError(text)
            found = found.replace(tzinfo=ZoneInfo(zone.removesuffix("]")))
        return found.astimezone()
    except (ValueError, KeyError, OSError, OverflowError) as error:
        how = "write 2026-11-27T17:00, 2026-11-27T17:00Z or 2026-11-27T17:00[America/Toronto]"
        raise ValueError(f"{text!r} is not a time; {how}") from error


def option(read: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """Return what reads an option with `length` or `moment`; one that is not given stays None."""

    def callback(_ctx: click.Context, _option: click.Parameter, text: str | None) -> Any:  # noqa: ANN401 (as `read` says)
        try:
            return None if text is None else read(text)
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from error

    return callback


def shown(when: float, zone: Any = None) -> str:  # noqa: ANN401 (a tzinfo, or None for the machine's own)
    """Return unix time `when` for people, with its zone."""
    return f"{datetime.fromtimestamp(when, zone).astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
