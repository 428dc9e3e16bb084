"""`blocker lists`: what is in the lists, is it in order, and compile them by hand. Works without a running blocker."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from blocker import config
from blocker.cli.options import config_option, lists_option, overrides
from blocker.config import Config
from blocker.errors import ArtifactError, ConfigError, ListError
from blocker.lists import check, gather
from blocker.lists import compile as compiling
from blocker.lists.gather import App, Sources
from blocker.lists.source import AppList, Category

_WIDE: Final = 200  # columns when the output is not a terminal: a script must not get folded lines
_STEPS: Final = {  # as compile.build names them; reading comes before
    "read": "Reading",
    "check": "Checking",
    "index": "Building the index",
    "order": "Ordering entries",
    "write": "Writing",
}


@click.group("lists")
def commands() -> None:
    """Show, check and compile lists."""


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

    Problems, which refuse a list, go to standard error, warnings to standard output. Exit status 0: no problems,
    1: problems.
    """
    found = config.load(path, overrides(lists=lists))
    try:
        sources = gather.gather(found.lists, paths)
        problems = [*check.problems(sources), *config.check_apps(found, _switches(sources))]
    except ListError as error:
        sources, problems = None, list(error.problems)
    warnings = check.warnings(sources, _today()) if sources else []
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    for warning in warnings:
        click.echo(f"warning: {warning}")
    entries = f"{_count(sources)} entries, " if sources else ""
    click.echo(f"{entries}{len(problems)} problems, {len(warnings)} warnings")
    ctx.exit(1 if problems else 0)


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
        f"{out}: {summary.apps} apps, {summary.entries} entries in force, {summary.names} names,"
        f" {summary.octets} octets, digest {summary.digest}"
    )


def _sources(found: Config) -> Sources:
    """Return the lists that `found` names, if it names only apps and switches that there are."""
    sources = gather.gather(found.lists)
    if problems := config.check_apps(found, _switches(sources)):
        raise ConfigError(problems)
    return sources


def _switches(sources: Sources) -> dict[str, tuple[str, ...]]:
    return {name: tuple(app.switches) for name, app in sources.apps.items()}


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


def _overview(sources: Sources) -> Table:
    table = Table("App", "Title", "Entries", "Switches", "Rests on", "Reviewed", "Review by", show_lines=True)
    for name, app in sorted(sources.apps.items()):
        first = app.first
        table.add_row(
            name if app.loaded else f"{name}\n(disabled)",
            escape(first.title) if first else name,
            str(_count(sources, name)),
            "\n".join(f"{switch}: {_state(sources, app, switch)}" for switch in app.switches),
            _ground(first),
            str(first.reviewed or "") if first else "",
            _due(first),
        )
    return table


def _state(sources: Sources, app: App, switch: str) -> str:
    return "[bold]on[/bold]" if sources.on(app.name, switch) else "off"


def _ground(first: AppList | None) -> str:
    """Return the decisions that an app rests on."""
    if first is None:
        return "operator's file"
    if first.legal:
        return "\n".join(escape(each.id) for each in first.legal)
    return "standards" if first.category is Category.PROTOCOL else "operator's list"


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
                "allow" if entry.allow else entry.answer or "block",
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
            console.print(escape(f"{file.file}: {len(file.keys)} names, kind {file.scope}"))
