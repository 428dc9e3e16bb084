"""Options that several commands share, and what they put over the configuration file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path)

config_option = click.option("-c", "--config", "path", type=_FILE, metavar="FILE", help="Configuration file.")
"""Gives the argument `path: Path | None`."""

lists_option = click.option(
    "--lists",
    multiple=True,
    type=_FILE,
    metavar="DIR",
    help="Folder of your own lists, instead of the file's. Repeatable.",
)
"""Gives the argument `lists: tuple[Path, ...]`."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""Gives the argument `as_json: bool`."""


def serving_options(command: _Command) -> _Command:
    """Add the options of `blocker run`: `path`, and the arguments of `overrides`."""
    options = (
        config_option,
        click.option("--listen", multiple=True, metavar="ADDR:PORT", help="Serve DNS here. Repeatable."),
        click.option("--upstream", multiple=True, metavar="ADDR[:PORT]", help="Resolver to ask. Repeatable."),
        click.option("--metrics", metavar="ADDR:PORT", help="Serve /metrics here."),
        lists_option,
        click.option("--workers", type=int, metavar="N", help="Serving processes."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def overrides(
    *,
    listen: Sequence[str] = (),
    upstream: Sequence[str] = (),
    metrics: str | None = None,
    lists: Sequence[Path] = (),
    workers: int | None = None,
) -> dict[str, object]:
    """Return what these options put over the file, for `config.load`; options not given put nothing."""
    given: dict[str, object] = {
        "listen": list(listen) or None,
        "upstream.servers": list(upstream) or None,
        "metrics.listen": metrics,
        "lists.directories": list(lists) or None,
        "process.workers": workers,
    }
    return {key: value for key, value in given.items() if value is not None}
