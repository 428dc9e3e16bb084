"""`blocker coverage`: what do the lists match of a corpus, and what in them does nothing, or rests on one source?"""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from blocker import config
from blocker.bundle import current as bundles
from blocker.cli import feeds, replaying
from blocker.cli.options import config_option, json_option, lists_option, overrides
from blocker.errors import ArtifactError, ConfigError, ListError, LogError
from blocker.lists import compile as compiling
from blocker.lists import gather
from blocker.lists.index import Index
from blocker.simulate.coverage import Coverage, Covered, coverage
from blocker.simulate.logs.detect import Format
from blocker.simulate.sources import source


@click.command("coverage")
@click.argument("corpus", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--app", metavar="APP", help="Only this app.")
@config_option
@lists_option
@replaying.reading_options(tuple(Format))
@json_option
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    metavar="N",
    help="Entries told one by one in each table; all are counted. 0: all of them.",
)
def commands(
    corpus: tuple[Path, ...],
    app: str | None,
    path: Path | None,
    lists: tuple[Path, ...],
    stated: str | None,
    since: str,
    until: str,
    memory: int,
    as_json: bool,
    limit: int,
) -> None:
    """Say what the lists match of CORPUS: query logs, or files of names, one a line.

    Per app: names matched and by which entries, entries that nothing matches, entries that only one source has; and
    which lists overlap. Exit status 0. 2: it cannot be said.
    """
    found = config.load(path, overrides(lists=lists))
    listed = gather.gather(bundles.in_force(found).lists, feeds=feeds.in_force(found))
    if problems := config.check_apps(found, listed.apps):
        raise ConfigError(problems)
    if app is not None and app not in listed.apps:
        raise ListError([f"there is no app {app!r}. Known are {', '.join(sorted(listed.apps))}."])
    with replaying.engine(memory) as engine:
        engine.progress("Compiling the lists", 0.0)
        index = _index(listed, engine.scratch)
        asked = source(engine, corpus, Format(stated) if stated else None, since=since, until=until, plain=True)
        engine.run(
            f"CREATE TEMP TABLE corpus AS SELECT qname, count(*) AS n FROM ({asked.select}) GROUP BY qname",  # noqa: S608
            "Reading the corpus",
        )
        (bad,) = engine.row("SELECT coalesce(sum(n), 0)::BIGINT FROM corpus WHERE qname IS NULL")
        engine.progress("Matching names", 0.0)
        result = coverage(index, listed, engine.rows("SELECT qname, n FROM corpus WHERE qname IS NOT NULL"), app)
    result = replace(result, bad=result.bad + bad + sum(tally.bad for tally in asked.tallies))
    if not result.names:
        raise LogError("no name could be read from the corpus. Check --format, --from and --to.")
    shown = result if not limit else replace(result, apps=[_cut(each, limit) for each in result.apps])
    if as_json:
        click.echo(json.dumps(shown.as_data()))
    else:
        _print(replaying.console(), shown, result)


def _index(listed: gather.Sources, scratch: Path) -> Index:
    with TemporaryDirectory(dir=scratch) as folder:
        target = Path(folder) / "lists.index"
        try:
            compiling.build(listed, target)
        except OSError as error:
            raise ArtifactError(f"{target}: cannot be written: {error}. Free some space, or set TMPDIR.") from error
        return Index.open(target)


def _cut(each: Covered, limit: int) -> Covered:
    return replace(each, hits=each.hits[:limit], never=each.never[:limit], alone=each.alone[:limit])


def _print(console: Console, shown: Coverage, whole: Coverage) -> None:
    bad = f"; {whole.bad:,} bad lines were left out" if whole.bad else ""
    console.print(f"{whole.names:,} names, {whole.queries:,} queries{bad}; {whole.matched:,} names are matched")
    table = Table("App", "Names", "Queries", "Entries", "Hit", "Never hit", "Of one source", title="By app")
    for each in whole.apps:
        never = len(each.never) + each.never_in_files
        numbers = (each.names, each.queries, each.entries, each.hit, never, len(each.alone))
        table.add_row(escape(each.app), *(f"{number:,}" for number in numbers))
    console.print(table)
    for each, all_of_it in zip(shown.apps, whole.apps, strict=True):
        _print_app(console, each, all_of_it)
    if whole.overlaps:
        table = Table(
            "First", "Second", "In both", "First below second", "Second below first", title="Lists that overlap"
        )
        for overlap in whole.overlaps:
            counts = (overlap.same, overlap.first_within, overlap.second_within)
            table.add_row(escape(overlap.first), escape(overlap.second), *(f"{count:,}" for count in counts))
        console.print(table)


def _print_app(console: Console, each: Covered, whole: Covered) -> None:
    app = escape(each.app)
    if each.hits:
        table = Table("Entry", "Line", "Names", "Queries", title=f"{app}: entries that are hit ({len(whole.hits):,})")
        for hit in each.hits:
            entry = hit.entry + (" (exception)" if hit.allow else "") + (" (shadow)" if hit.shadow else "")
            table.add_row(escape(entry), escape(hit.source), f"{hit.names:,}", f"{hit.queries:,}")
        console.print(table)
    if each.hits and each.never:
        table = Table("Entry", "Line", "Role", title=f"{app}: entries never hit ({len(whole.never):,})")
        for unhit in each.never:
            table.add_row(*map(escape, (unhit.entry, unhit.source, unhit.role)))
        console.print(table)
    if each.hits and each.alone:
        table = Table(
            "Entry", "Line", "Source", "Sure", "Hit", title=f"{app}: entries of one source ({len(whole.alone):,})"
        )
        for alone in each.alone:
            sure = str(alone.confidence or "")
            table.add_row(
                *map(escape, (alone.entry, alone.source, alone.known_from)), sure, "yes" if alone.hit else "no"
            )
        console.print(table)
