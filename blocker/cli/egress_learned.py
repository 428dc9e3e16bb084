"""`blocker egress learned`: which addresses of banned names are refused, and which are left alone, and why."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from blocker import config
from blocker.cli.options import config_option, json_option
from blocker.egress.learned import Learned, read

_STATES: Final = ("refused", "watched", "left alone")
_WIDE: Final = 250  # columns when the output is not a terminal: a script must not get folded lines


@click.command("learned")
@config_option
@click.option("--app", "apps", multiple=True, help="Only addresses of this app; may be given again.")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Only these; may be given again.")
@json_option
def learned(path: Path | None, apps: tuple[str, ...], states: tuple[str, ...], as_json: bool) -> None:
    """Show the addresses of banned names: refused, still watched, or left alone, and for whom.

    As the running blocker wrote them down, which it does every few seconds.
    """
    said = read(config.state_dir(config.load(path)))
    wanted = [
        each
        for each in sorted(said.addresses, key=lambda each: (each.app, _STATES.index(each.state), each.address))
        if (not apps or each.app in apps) and (not states or each.state in states)
    ]
    if as_json:
        click.echo(json.dumps(asdict(said) | {"addresses": [asdict(each) for each in wanted]}))
        return
    if not said.at:
        click.echo("nothing was learned yet: egress.learned is off, or the blocker has not begun")
        return
    table = Table("App", "Address", "Name", "State", "Why", "For")
    for each in wanted:
        table.add_row(each.app, each.address, escape(each.name), each.state, each.reason, escape(each.by))
    Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(table)
    click.echo(_summary(said))


def _summary(said: Learned) -> str:
    when = datetime.fromtimestamp(said.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    alone = sum(each.state == "left alone" for each in said.addresses)
    watched = sum(each.state == "watched" for each in said.addresses)
    refused = sum(said.refused.values())
    return f"{when}: {refused} refused, {watched} watched, {alone} left alone; {said.asked} questions asked in turn"
