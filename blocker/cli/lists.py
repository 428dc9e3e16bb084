"""`blocker lists`: what is in the lists, is it in order, and compile them by hand. Works without a running blocker."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from blocker import config
from blocker.bundle import current as bundles
from blocker.cli import feeds
from blocker.cli.lists_diff import diff
from blocker.cli.lists_update import update
from blocker.cli.options import config_option, json_option, lists_option, overrides
from blocker.cli.wording import counted
from blocker.config import Config
from blocker.errors import ArtifactError, ConfigError, ListError, ProblemsError
from blocker.lists import check, feed, gather
from blocker.lists import compile as compiling
from blocker.lists.feed import FeedFile, Rejected
from blocker.lists.gather import App, Sources
from blocker.lists.source import AppList, Category

_WIDE: Final = 200  # columns when the output is not a terminal: a script must not get folded lines
_GROUNDS: Final = {Category.PROTOCOL.value: "standards", Category.CONTENT.value: "no decision: a category"}
_STEPS: Final = {  # as compile.build names them; reading comes before
    "read": "Reading",
    "check": "Checking",
    "index": "Building the index",
    "order": "Ordering entries",
    "write": "Writing",
}


@click.group("lists")
def commands() -> None:
    """Show, check, compile, update and compare lists."""


commands.add_command(update)
commands.add_command(diff)


@commands.command("show")
@click.argument("app", required=False)
@config_option
@lists_option
def show(app: str | None, path: Path | None, lists: tuple[Path, ...]) -> None:
    """Show all apps, or the entries of APP."""
    sources = _sources(config.load(path, overrides(lists=lists)))
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    if app is None:
        console.print(_overview(sources))
        return
    if app not in sources.apps:
        raise ListError([f"there is no app {app!r}. Known are {', '.join(sorted(sources.apps))}."])
    _print_app(console, sources, sources.apps[app])


@commands.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="[PATH]...")
@config_option
@lists_option
@click.pass_context
def check_lists(ctx: click.Context, paths: tuple[Path, ...], path: Path | None, lists: tuple[Path, ...]) -> None:
    """Check the lists, and those at PATH (files or folders) beside them.

    Problems, which refuse a list, go to standard error; warnings, what is left out of feeds, and what
    lists.overrides allows go to standard output. Exit status 0: no problems, 1: problems.
    """
    found = config.load(path, overrides(lists=lists))
    try:
        sources = gather.gather(bundles.in_force(found).lists, paths, feeds.in_force(found))
        problems = [*check.problems(sources), *config.check_apps(found, sources.apps)]
        problems += config.check_files(found, sources.origins)
    except ProblemsError as error:
        sources, problems = None, list(error.problems)
    warnings = check.warnings(sources, _today()) if sources else []
    for override in found.lists.overrides:
        click.echo(f"override: {override.name} may be blocked: {override.reason} ({override.by})")
    for feed_name, rejected in sources.rejected.items() if sources else ():
        click.echo("\n".join(_rejected(f"feed {feed_name}", rejected)))
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    for warning in warnings:
        click.echo(f"warning: {warning}")
    entries = [counted(_count(sources), "entry", "entries")] if sources else []
    if shadowed := _shadowed(sources) if sources else 0:
        entries.append(f"{shadowed} of them in shadow")
    click.echo(", ".join((*entries, counted(len(problems), "problem"), counted(len(warnings), "warning"))))
    ctx.exit(1 if problems else 0)


@commands.command("try")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--format", "known", type=click.Choice(feed.FORMATS), default=feed.AUTO, show_default=True)
@config_option
@json_option
@click.pass_context
def try_list(ctx: click.Context, file: Path, known: str, path: Path | None, *, as_json: bool) -> None:
    """Read FILE, somebody else's list, as a feed is read, and say what could be used of it.

    Nothing comes into force. Exit status 0: it can be used. 1: it is no list at all.
    """
    must = gather.required(bundles.in_force(config.load(path)).lists)
    try:
        read, rejected = feed.read(FeedFile(file.stem, file.stem, file, known), must)
    except ListError as error:
        click.echo("\n".join(error.problems), err=True)
        ctx.exit(1)
    if as_json:
        said = {"format": read.format, "names": len(read.keys), "ranges": len(read.ranges), **asdict(rejected)}
        click.echo(json.dumps(said))
        return
    ranges = f", {counted(len(read.ranges), 'address range')}" if read.ranges else ""
    click.echo(f"{file}: read as {read.format}: {counted(len(read.keys), 'name')}{ranges}")
    click.echo("\n".join(_rejected("it", rejected)))
    for warning in check.shared_zones(read):
        click.echo(f"warning: {warning}")


def _rejected(what: str, rejected: Rejected) -> Iterator[str]:
    """Yield what people are told of a feed's lines that are no use."""
    if not rejected.total:
        yield f"{what}: every line could be used"
        return
    counts = f"{rejected.bad} malformed, {rejected.unsupported} unsupported, {rejected.refused} refused"
    yield f"{what}: {counted(rejected.total, 'line')} left out: {counts}"
    yield from (f"  {sample}" for sample in rejected.samples)
    if (more := rejected.total - len(rejected.samples)) > 0:
        yield f"  and {more} more"


@commands.command("compile")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@lists_option
def compile_lists(out: Path, path: Path | None, lists: tuple[Path, ...]) -> None:
    """Compile the lists into the index file OUT, as `blocker run` does by itself."""
    found = config.load(path, overrides(lists=lists))
    try:
        with _progress() as step:
            step("read")
            sources = _sources(found)
            summary = compiling.build(sources, out, progress=step)
    except OSError as error:
        raise ArtifactError(f"{out}: cannot be written: {error.strerror}. Choose another place.") from error
    click.echo(
        f"{out}: {counted(summary.apps, 'app')}, {counted(summary.entries, 'entry', 'entries')} in force,"
        f" {counted(summary.names, 'name')}, {summary.octets} octets, digest {summary.digest}"
    )


def _sources(found: Config) -> Sources:
    """Return the lists that `found` names, if it names only apps and switches that there are."""
    sources = gather.gather(bundles.in_force(found).lists, feeds=feeds.in_force(found))
    if problems := config.check_apps(found, sources.apps):
        raise ConfigError(problems)
    return sources


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Give a function that is told each step; it draws a bar on a terminal, and nothing elsewhere."""
    columns = (TextColumn("{task.description:20}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(_STEPS))
        begun = iter(range(len(_STEPS)))
        yield lambda step: progress.update(task, description=_STEPS[step], completed=next(begun))


def _count(sources: Sources, app: str | None = None) -> int:
    """Return the number of entries in force, of one app or of all."""
    ours = (each for each in sources.lists if app in (None, each.app))
    in_force = sum(sources.on(each.app, entry.switch) for each in ours for entry in each.entries)
    return in_force + sum(len(file.keys) for file in sources.files if app in (None, file.app))


def _shadowed(sources: Sources, app: str | None = None) -> int:
    """Return the number of entries that their lists only try out, of one app or of all."""
    ours = (each for each in sources.lists if app in (None, each.app))
    return sum(entry.shadow and sources.on(each.app, entry.switch) for each in ours for entry in each.entries)


def _entries(sources: Sources, app: str) -> str:
    shadowed = _shadowed(sources, app)
    return f"{_count(sources, app)}" + (f"\n({shadowed} in shadow)" if shadowed else "")


def _overview(sources: Sources) -> Table:
    table = Table("App", "Title", "Entries", "Switches", "Rests on", "Reviewed", "Review by", show_lines=True)
    for name, app in sorted(sources.apps.items()):
        first = app.first
        table.add_row(
            name if app.loaded else f"{name}\n(disabled)",
            escape(first.title) if first else name,
            _entries(sources, name),
            "\n".join(f"{switch}: {_state(sources, app, switch)}" for switch in app.switches),
            _ground(app),
            str(first.reviewed or "") if first else "",
            _due(first),
        )
    return table


def _state(sources: Sources, app: App, switch: str) -> str:
    return "[bold]on[/bold]" if sources.on(app.name, switch) else "off"


def _ground(app: App) -> str:
    """Return the decisions that an app rests on."""
    if app.first and app.first.legal:
        return "\n".join(escape(each.id) for each in app.first.legal)
    if app.category in _GROUNDS:
        return _GROUNDS[app.category]
    return "operator's list" if app.first else "operator's file"


def _due(first: AppList | None) -> str:
    if first is None or first.review_by is None:
        return ""
    return f"[red]{first.review_by}[/red]" if first.review_by < _today() else str(first.review_by)


def _today() -> date:
    return datetime.now(UTC).date()


def _print_app(console: Console, sources: Sources, app: App) -> None:
    first = app.first
    console.print(f"[bold]{escape(first.title if first else app.name)}[/bold]", escape(first.vendor if first else ""))
    if first:
        console.print(escape(first.reason))
    for legal in first.legal if first else ():
        console.print(escape(f"  {legal.id} ({legal.jurisdiction}, {legal.date}): {legal.text}"))
    for name, switch in app.switches.items():
        console.print(f"  {app.name}.{name}: {_state(sources, app, name)}.", escape(switch.about))
    table = Table("Entry", "Kind", "Action", "Role", "Sure", "Switch", "Line", "Note")
    for each in sources.lists:
        for entry in each.entries if each.app == app.name else ():
            on = sources.on(app.name, entry.switch)
            table.add_row(
                escape(entry.value),
                entry.scope,
                ("allow" if entry.allow else entry.answer or "block") + (" (shadow)" if entry.shadow else ""),
                escape(entry.role),
                str(entry.confidence or ""),
                f"{entry.switch} ({'on' if on else 'off'})" if entry.switch else "",
                f"{each.file}:{entry.line}",
                escape(entry.note),
                style=None if on else "dim",
            )
    console.print(table)
    for file in sources.files:
        if file.app == app.name:
            console.print(escape(f"{file.file}: {counted(len(file.keys), 'name')}, kind {file.scope}"))
