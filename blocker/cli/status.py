"""`blocker status`: how the running blocker does."""

from pathlib import Path
from typing import Final

import click

from blocker import config
from blocker.cli import control
from blocker.cli.options import config_option, json_option

_PATIENCE: Final = 5.0  # seconds


@click.command("status")
@config_option
@json_option
def commands(path: Path | None, as_json: bool) -> None:
    """Show how the running blocker does. Exit status 1: it says that it is not well."""
    reply = control.ask(config.control_socket(config.load(path)), "status", _PATIENCE)
    control.finish(reply, "not well", as_json=as_json)
