"""`blocker rpz`: the policy as a zone for other resolvers, and how the zones that are served and taken over do."""

import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from blocker import config, names
from blocker.bundle import current as bundles
from blocker.cli import feeds
from blocker.cli.granted import granted
from blocker.cli.options import config_option, json_option, lists_option, overrides
from blocker.cli.wording import counted
from blocker.clients import Clients
from blocker.config import Config
from blocker.errors import BlockerError, ConfigError
from blocker.lists.opened import opened
from blocker.rollout import state as rollouts
from blocker.rpz import export, status, unsaid, zone
from blocker.rpz.zone import Report
from blocker.serve.generation import wording

_ZONE: Final = "rpz.blocker"  # a name for those who do not care
_WIDE: Final = 200  # columns when the output is not a terminal: a script must not get folded lines


@click.group("rpz")
def commands() -> None:
    """Response policy zones: export ours, see how those served and taken over do."""


@commands.command("export")
@click.option("--group", default=config.UNLISTED, metavar="GROUP", help="Whose policy; not said: clients in no group.")
@click.option(
    "--zone", "zone_name", metavar="NAME", help="The zone's name; not said: as under rpz.zones, or rpz.blocker."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, whole or not at all.")
@click.option("--report", "reporting", is_flag=True, help="Say on standard error what was and what cannot be said.")
@config_option
@lists_option
@json_option
def export_zone(
    group: str,
    zone_name: str | None,
    out: Path | None,
    reporting: bool,
    path: Path | None,
    lists: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write a group's policy as a zone that BIND, Unbound, PowerDNS Recursor and Knot load.

    Works without a running blocker. With --json the report is JSON. Exit status 0: written. 2: it could not be.
    """
    found = config.load(path, overrides(lists=lists))
    origin = names.from_text(zone_name or _configured(found, group) or _ZONE)
    report = Report()
    with TemporaryDirectory(prefix="blocker-") as scratch:
        index = opened(bundles.in_force(found).lists, config.state_dir(found), Path(scratch), feeds.in_force(found))
        if problems := config.check_apps(found, index.apps):
            raise ConfigError(problems)  # the server would not serve this either
        found = rollouts.in_force(found, config.state_dir(found))
        now, exceptions = time.time(), granted(found)
        policies = Clients(found, index, now, exceptions).policies
        if group not in policies:
            raise BlockerError(f"there is no group {group!r}. Known are {', '.join(sorted(policies))}.")
        report.unsaid += unsaid.told(unsaid.unsaid(found, exceptions, group, now))
        words = wording(found)
        lines = export.records(index, policies[group], words, origin, report)
        _write(export.header(origin, int(time.time()), words.ttl), lines, report, out)
    if as_json:
        click.echo(json.dumps(asdict(report)), err=True)
        return
    for line in (*zone.told(report), *(f"  pattern {each}" for each in report.shown)) if reporting else report.unsaid:
        click.echo(line, err=True)


@commands.command("status")
@config_option
@json_option
def show_status(path: Path | None, as_json: bool) -> None:
    """Show the zones of the running blocker. Exit status 0, also when there are none."""
    said = status.read(config.state_dir(config.load(path)))
    if as_json:
        click.echo(json.dumps(asdict(said)))
        return
    table = Table("zone", "", "serial", "records", "left out", "confirmed", box=None, header_style="bold")
    for name, ours in sorted(said.zones.items()):
        left_out = counted(ours.unsaid, "exception") if ours.unsaid else ""
        table.add_row(name, "served", str(ours.serial), str(ours.records), left_out, "")
    for name, theirs in sorted(said.imports.items()):
        state = "taken over, EXPIRED" if time.time() >= theirs.expires else "taken over"
        when = datetime.fromtimestamp(theirs.confirmed, UTC).isoformat(" ", "seconds") if theirs.confirmed else "never"
        table.add_row(name, state, str(theirs.serial), str(theirs.records), "", when)
    Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(table)


def _configured(found: Config, group: str) -> str | None:
    return next((each.name for each in found.rpz.zones if each.group == group), None)


def _write(header: str, lines: Iterable[str], report: Report, out: Path | None) -> None:
    """Write the zone to `out`, or to standard output; what cannot be said stands as comments at its end."""
    if out is None:
        sys.stdout.write(header)
        sys.stdout.writelines(lines)
        sys.stdout.writelines(f"; {line}\n" for line in zone.told(report))
        return
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    with ExitStack() as stack:
        stack.callback(draft.unlink, missing_ok=True)
        try:
            with draft.open("w", encoding="ascii") as file:
                file.write(header)
                file.writelines(lines)
                file.writelines(f"; {line}\n" for line in zone.told(report))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(out)
        except OSError as error:
            raise BlockerError(
                f"{out}: cannot be written: {error.strerror}. Check the folder and its space."
            ) from error
