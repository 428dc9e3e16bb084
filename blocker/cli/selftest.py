"""`blocker selftest`: ask the running blocker for banned names now, and say which are not blocked."""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from blocker import config
from blocker.bundle import current as bundles
from blocker.cli import feeds
from blocker.cli.granted import granted
from blocker.cli.options import config_option, json_option
from blocker.errors import BlockerError
from blocker.lists import gather
from blocker.selftest.run import BATCH, UNKNOWN, Force, Report, Result, Round
from blocker.serve.generation import wording
from blocker.simulate.sides import Side

_WIDE: Final = 250  # columns when the output is not a terminal: a script must not get folded lines


@click.command("selftest")
@config_option
@click.option("--all", "everything", is_flag=True, help="Ask for every name that must resolve, not for one.")
@json_option
@click.pass_context
def commands(ctx: click.Context, path: Path | None, everything: bool, as_json: bool) -> None:
    """Ask the blocker that runs with this configuration for a name of each app, over all its addresses, UDP and TCP.

    Exit status 0: everything is blocked that should be, and what must resolve does. 1: not so. 2: it cannot be said.
    """
    found = config.load(path)
    with TemporaryDirectory(prefix="blocker-") as scratch:
        side = Side.open(found, Path(scratch), feeds.in_force(found), granted(found))
        must = gather.required(bundles.in_force(found).lists)
        needed = sorted(each.name for each in must.needed.values())
        force = Force(side.index, side.clients, wording(found), needed, side.index.places())
        listeners = [end for end in found.listen if end.port]
        asker = Round(force, listeners, found.selftest, config.workers(found))
        report = asker.run(int(time.time()))
        for at in range(0, len(needed) if everything else 0, BATCH):
            report = report.besides(asker.blocked(needed[at : at + BATCH]))
    click.echo(json.dumps(_data(report))) if as_json else _print(report)
    if report.ok and report.unknown:
        raise BlockerError(f"{UNKNOWN}. Not asked: {', '.join(report.unknown)}.")
    ctx.exit(0 if report.ok else 1)


def _data(report: Report) -> dict[str, object]:
    def said(result: Result) -> dict[str, object]:
        return {"ok": result.ok, "name": result.name, "asked": result.asked, "failures": result.failures}

    return {
        "ok": report.ok and not report.unknown,
        "unknown": report.unknown,
        "apps": {app: said(result) for app, result in report.apps.items()},
        "resolution": said(report.resolution) if report.resolution is not None else None,
    }


def _print(report: Report) -> None:
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    table = Table("What", "Name", "Asked", "State")
    rows = [*report.apps.items(), *([("must resolve", report.resolution)] if report.resolution is not None else [])]
    for what, result in rows:
        state = "ok" if result.ok else "\n".join(result.failures)
        table.add_row(escape(what), escape(result.name), str(result.asked), escape(state))
    console.print(table)
