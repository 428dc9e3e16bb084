"""`blocker check`: would this configuration start? Reads everything, binds nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from blocker import config
from blocker.config import Config
from blocker.errors import ConfigError, ListError
from blocker.lists.compile import gather


@click.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def commands(ctx: click.Context, file: Path) -> None:
    """Validate the configuration FILE and the lists it names, without binding anything.

    Prints what was found, or every problem. Exit status 0: it would start. 1: it would not.
    """
    try:
        found = config.load(file)
    except ConfigError as error:
        _refuse(ctx, error.problems)
    counts, problems = _examine(found)
    if problems:
        _refuse(ctx, problems)
    click.echo(f"{file}: ok: {', '.join(counts)}")


def _examine(found: Config) -> tuple[list[str], list[str]]:
    """Return what there is, counted, and what is wrong beyond the file itself."""
    counts = [_count(len(found.listen), "listener"), _count(len(found.groups), "group")]
    problems: list[str] = []
    try:
        counts.append(_count(len(config.servers(found)), "upstream"))
    except ConfigError as error:
        problems += error.problems
    try:
        sources = gather(found.lists)
    except ListError as error:
        problems += error.problems
    else:
        problems += config.check_apps(found, {app: info.switches for app, info in sources.apps.items()})
        counts.append(_count(len(sources.apps), "app"))
        counts.append(_count(sum(info.entries for info in sources.apps.values()), "entry", "entries"))
    return counts, problems


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _refuse(ctx: click.Context, problems: Sequence[str]) -> NoReturn:
    for problem in problems:
        click.echo(problem, err=True)
    ctx.exit(1)
