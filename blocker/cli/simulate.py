"""`blocker simulate`: what would a change of lists or configuration have done to the queries in these logs?"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from blocker import config
from blocker.cli import feeds, replaying
from blocker.cli.granted import granted
from blocker.cli.options import config_option, json_option, overrides
from blocker.errors import LogError
from blocker.lists.guard import guard
from blocker.simulate import page
from blocker.simulate.changes import Change, Report
from blocker.simulate.logs.detect import Format
from blocker.simulate.replay import replay
from blocker.simulate.sides import Side
from blocker.simulate.sources import source


@click.command("simulate")
@config_option
@click.option(
    "--lists",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="NEW",
    help="New folder of your own lists, instead of the configuration's. Repeatable.",
)
@click.option(
    "--new-config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="New configuration; not said: the one in force.",
)
@click.option(
    "--exceptions/--no-exceptions",
    default=True,
    help="People's exceptions in force count; without them: what the lists will do when those are over.",
)
@replaying.log_options
@json_option
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a page to FILE.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    metavar="N",
    help="Names told one by one, the most asked first; all are counted. 0: all of them.",
)
@click.pass_context
def commands(
    ctx: click.Context,
    path: Path | None,
    lists: tuple[Path, ...],
    new_config: Path | None,
    exceptions: bool,
    against: tuple[Path, ...],
    more: tuple[Path, ...],
    stated: str | None,
    since: str,
    until: str,
    memory: int,
    as_json: bool,
    html: Path | None,
    limit: int,
) -> None:
    """Say what new lists would change for the queries in the logs, compared with the configuration in force.

    Works without a running blocker, from the same decisions as the server. Exit status 0: nothing would change.
    1: something would. 2: it cannot be said. 3: names that must resolve would be blocked.
    """
    if not lists and new_config is None:
        raise click.UsageError("Say what is new: --lists NEW, --new-config FILE, or both.")
    before = config.load(path)
    after = config.load(new_config if new_config is not None else path, overrides(lists=lists))
    with replaying.engine(memory) as engine:
        engine.progress("Compiling the lists", 0.0)
        old, new = (
            Side.open(each, engine.scratch, feeds.in_force(each), granted(each) if exceptions else ())
            for each in (before, after)
        )
        found = source(engine, against + more, Format(stated) if stated else None, since=since, until=until)
        report = replay(engine, found, old, new, guard(after.lists), limit=limit or None)
    if html is not None:
        _write(html, page.page(report))
    if as_json:
        click.echo(json.dumps(report.as_data()))
    else:
        _print(replaying.console(), report)
    ctx.exit(int(report.status))


def _write(target: Path, text: str) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise LogError(f"{target}: cannot be written: {error.strerror}. Choose another place for --html.") from error


def _print(console: Console, report: Report) -> None:
    console.print(f"{report.queries:,} queries for {report.names:,} names by {report.clients:,} clients", markup=False)
    for tally in report.logs:
        if tally.bad:
            console.print(f"{tally.file}: {tally.bad:,} bad lines were left out; the first of them:", markup=False)
            for example in tally.examples:
                console.print(f"  {example}", markup=False)
    console.print(page.SAID[report.status])
    if report.violations:
        console.print(_table("Names that must resolve, and would be blocked", report.violations, why=True))
    if report.totals:
        table = Table("What", "App", "Group", "Names", "Queries", "Clients", title="By app and group")
        for each in report.totals:
            numbers = (f"{number:,}" for number in (each.names, each.queries, each.clients))
            table.add_row(each.kind, escape(each.app), escape(each.group), *numbers)
        console.print(table)
    if report.changes:
        console.print(_table("Names, the most asked first", report.changes))
    if report.more:
        console.print(f"{report.more:,} more are not shown; --limit 0 shows all")


def _table(title: str, changes: Iterable[Change], *, why: bool = False) -> Table:
    table = Table("What", "Name", "Group", "Before", "After", "Queries", "Clients", title=title)
    if why:
        table.add_column("Must resolve because")
    for each in changes:
        cells = (each.kind, page.shown_name(each), each.group, each.before, each.after)
        numbers = (f"{each.queries:,}", f"{each.clients:,}")
        table.add_row(*map(escape, cells), *numbers, *([escape(each.must_resolve)] if why else ()))
    return table
