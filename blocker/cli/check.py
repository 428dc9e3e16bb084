"""`blocker check`: would this configuration start? Reads everything, binds nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from blocker import config
from blocker.bundle import current as bundles
from blocker.cli import feeds
from blocker.cli.wording import counted
from blocker.config import Config
from blocker.errors import ConfigError, ProblemsError
from blocker.lists import check
from blocker.lists.gather import Sources, gather
from blocker.sinks import privacy


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
    if found.bundles.keys:
        count = "count beside" if found.takes_local_exceptions else "do not count, only"
        click.echo(f"exceptions that are approved on this node {count} those of signed bundles (exceptions.local)")


def _examine(found: Config) -> tuple[list[str], list[str]]:
    """Return what there is, counted, and what is wrong beyond the file itself."""
    counts = [counted(len(found.listen), "listener"), counted(len(found.groups), "group")]
    problems: list[str] = []
    try:
        counts.append(counted(len(config.servers(found)), "upstream"))
    except ConfigError as error:
        problems += error.problems
    try:
        privacy.shown(found.log)
    except ConfigError as error:
        problems += error.problems
    try:
        sources = gather(bundles.in_force(found).lists, feeds=feeds.in_force(found))
    except ProblemsError as error:
        return counts, [*problems, *error.problems]
    problems += check.problems(sources)
    problems += config.check_apps(found, sources.apps)
    problems += config.check_files(found, sources.origins)
    counts.append(counted(sum(app.loaded for app in sources.apps.values()), "app"))
    if found.feeds:
        counts.append(counted(len(found.feeds), "feed"))
    counts.append(counted(_in_force(sources), "entry", "entries"))
    return counts, problems


def _in_force(sources: Sources) -> int:
    ours = sum(sources.on(each.app, entry.switch) for each in sources.lists for entry in each.entries)
    return ours + sum(len(file.keys) for file in sources.files)


def _refuse(ctx: click.Context, problems: Sequence[str]) -> NoReturn:
    for problem in problems:
        click.echo(problem, err=True)
    ctx.exit(1)
