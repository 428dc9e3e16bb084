"""`blocker lists update`: fetch feeds now, or decide about what waits for a person."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from blocker import config
from blocker.cli import control, feeds
from blocker.cli.options import config_option, json_option
from blocker.config import Config, Feed
from blocker.errors import ConfigError, FeedError
from blocker.feeds.store import Store

if TYPE_CHECKING:
    from blocker.feeds.update import Result

_PATIENCE: Final = 120.0  # seconds for a reload: compiling millions of names takes its time
_WIDE: Final = 200  # columns when the output is not a terminal
_STYLES: Final = {"published": "green", "unchanged": "", "held": "yellow", "rejected": "yellow", "failed": "red"}


@click.command("update")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--dry-run", is_flag=True, help="Fetch and judge, but change nothing.")
@click.option("--accept", is_flag=True, help="Put the held update of each NAME in force; fetches nothing.")
@click.option("--reject", is_flag=True, help="Leave the held update of each NAME out of force; fetches nothing.")
@config_option
@json_option
@click.pass_context
def update(
    ctx: click.Context,
    names: tuple[str, ...],
    path: Path | None,
    *,
    dry_run: bool,
    accept: bool,
    reject: bool,
    as_json: bool,
) -> None:
    """Fetch all feeds now, or those called NAME, and put in force what passes.

    Works with and without a running blocker; one that runs is told to reload. Exit status 0: all is well. 1: an
    update is held or failed, or the running blocker refused the reload. 2: the command could not do its work.
    """
    found = config.load(path)
    if (accept or reject) and (dry_run or not names or (accept and reject)):
        raise click.UsageError(
            "--accept and --reject want the NAME of each feed, and neither --dry-run nor each other."
        )
    chosen = feeds.named(found, names)
    state = config.state_dir(found) if dry_run else _made(config.state_dir(found))
    problems: list[str] = []
    results: list[Result] = []
    reload = None
    try:
        if accept or reject:
            doing = _decided(chosen, state, problems, accepts=accept)
        else:
            doing = _fetched(chosen, found, state, dry_run=dry_run)
        for result in doing:
            results.append(result)  # noqa: PERF402 (what is there already counts if the next one is interrupted)
    finally:  # also when a person has waited enough: what was published by then would be in force some day only
        if not dry_run and any(each.state == "published" for each in results):
            reload = _reload(found)
    if as_json:
        said = [{**asdict(each), "rejected": asdict(each.rejected)} for each in results]
        click.echo(json.dumps({"feeds": said, "reload": reload}))
    else:
        _print(results, reload, dry_run=dry_run)
    for problem in problems:
        click.echo(f"blocker: error: {problem}", err=True)
    well = all(each.well for each in results) and (reload is None or reload["ok"])
    ctx.exit(2 if problems else 0 if well else 1)


def _made(state: Path) -> Path:
    try:
        state.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError([f"{state}: cannot be made: {error.strerror}. Set process.state_dir."]) from error
    return state


def _decided(chosen: Sequence[Feed], state: Path, problems: list[str], *, accepts: bool) -> "Iterator[Result]":
    """Accept or reject all that can be; of the others say why in `problems`, so that what was accepted is in force."""
    from blocker.feeds.update import accept, reject

    decide = accept if accepts else reject
    for feed in chosen:
        try:
            yield decide(feed, state, time.time())
        except FeedError as error:
            problems.append(str(error))


def _fetched(chosen: Sequence[Feed], found: Config, state: Path, *, dry_run: bool) -> "Iterator[Result]":
    """Fetch and judge; in a dry run what was never fetched is put nowhere near the `state` folder."""
    from blocker.feeds.update import update  # an HTTP client, for this command only

    with _bars() as bar, TemporaryDirectory(prefix="blocker-") as scratch:
        for feed in chosen:
            apart = dry_run and not Store(state, feed.name).folder.exists()
            where = Path(scratch) if apart else state
            yield update(feed, found, where, time.time(), dry_run=dry_run, progress=bar(feed.name))


@contextmanager
def _bars() -> Iterator[Callable[[str], Callable[[int, int | None], None]]]:
    """Give a function that makes a feed's progress bar; it draws on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:32}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def bar(name: str) -> Callable[[int, int | None], None]:
            task = progress.add_task(name, total=None)
            return lambda octets, of: progress.update(task, completed=octets, total=of)

        yield bar


def _reload(found: Config) -> dict[str, Any] | None:
    """Have the running blocker take up what was published; None: none runs, and it will when it starts."""
    try:
        return control.ask(config.control_socket(found), "reload", _PATIENCE)
    except control.NotRunningError:
        return None


def _print(results: "Sequence[Result]", reload: dict[str, Any] | None, *, dry_run: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    table = Table("Feed", "Before", "After", "Rejected", "State")
    for each in results:
        style = _STYLES[each.state]
        state = f"[{style}]{each.state}[/{style}]" if style else each.state
        rejected = str(each.rejected.total) if each.state in ("published", "held") else ""
        table.add_row(each.feed, str(each.before), str(each.after), rejected, state)
    console.print(table)
    for each in results:
        if each.why:
            click.echo(f"{each.feed}: {each.state}: {each.why}")
        for sample in each.rejected.samples:
            click.echo(f"  rejected: {sample}")
    if dry_run:
        click.echo("nothing was changed (--dry-run)")
    if reload is not None:
        click.echo("in force" if reload["ok"] else "NOT in force: the running blocker refused the reload:")
        for problem in reload.get("problems", ()):
            click.echo(f"  {problem}")
