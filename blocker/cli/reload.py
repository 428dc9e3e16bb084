"""`blocker reload`: new lists and policy come into force, or nothing changes and the reason is told."""

from pathlib import Path
from typing import Final

import click

from blocker import config
from blocker.cli import control
from blocker.cli.options import config_option, json_option

_PATIENCE: Final = 120.0  # seconds: compiling millions of names takes its time


@click.command("reload")
@config_option
@json_option
def commands(path: Path | None, as_json: bool) -> None:
    """Have the running blocker read its configuration and lists anew.

    Exit status 0: they are in force. 1: they were refused, and the old ones stay.
    """
    reply = control.ask(config.control_socket(config.load(path)), "reload", _PATIENCE)
    if not reply["ok"] and not as_json:  # what stays in force is nothing that this reload has brought
        reply = {"ok": False, "problems": reply.get("problems", [])}
    control.finish(reply, "reload refused", as_json=as_json)
