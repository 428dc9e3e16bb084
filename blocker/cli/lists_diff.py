"""`blocker lists diff`: which names one list has and another has not."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from blocker import config
from blocker.bundle import current as bundles
from blocker.cli.options import config_option, json_option
from blocker.cli.wording import counted
from blocker.config import Config
from blocker.errors import ListError
from blocker.feeds.files import file_of
from blocker.feeds.store import Store
from blocker.lists import contents, gather
from blocker.lists.contents import Change, Contents
from blocker.lists.feed import FeedFile
from blocker.lists.must_resolve import MustResolve

_LIMIT: Final = 50  # entries named each way and app


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option(
    "--limit", type=click.IntRange(0), default=_LIMIT, show_default=True, help="Entries named each way and app."
)
@config_option
@json_option
@click.pass_context
def diff(ctx: click.Context, old: str, new: str, limit: int, path: Path | None, *, as_json: bool) -> None:
    """Show what NEW has that OLD has not, and what it lacks.

    Each is a list file of any format, a compiled index (*.index), or a feed of the configuration: NAME for its
    edition in force, NAME:held for the update that waits, NAME:former for the edition before. Printed are names with
    everything below them, =name alone, *.name only what is below, @@name exceptions. Exit status 0: they hold the
    same. 1: they differ. 2: one cannot be read.
    """
    found = config.load(path)
    must = gather.required(bundles.in_force(found).lists)
    sides = [_contents(found, each, must) for each in (old, new)]
    changes = contents.compare(_alike(*sides), sides[1], limit)
    if as_json:
        click.echo(json.dumps({"changes": [asdict(each) for each in changes]}))
    else:
        click.echo("\n".join(_lines(changes)) or "no difference")
    ctx.exit(1 if changes else 0)


def _contents(found: Config, asked: str, must: MustResolve) -> Contents:
    path = Path(asked)
    return contents.read(contents.feed_file(path) if path.exists() else _edition(found, asked), must)


def _edition(found: Config, asked: str) -> FeedFile:
    """Return the file of an edition of a feed, asked for as `NAME`, `NAME:held` or `NAME:former`."""
    name, _, which = asked.partition(":")
    feed = next((feed for feed in found.feeds if feed.name == name), None)
    if feed is None or which not in ("", "held", "former"):
        raise ListError([f"{asked}: there is neither such a file nor such a feed. Name a file, NAME, or NAME:held."])
    store = Store(config.state_dir(found), name)
    facts = store.facts()
    edition = {"": facts.in_force, "held": facts.held, "former": facts.former}[which]
    if edition is None:
        what = {"": "an edition in force", "held": "a held update", "former": "a former edition"}[which]
        raise ListError([f"{asked}: feed {name} has not {what}. See `blocker lists update {name}`."])
    return file_of(feed, store.path(edition, held=which == "held"))


def _alike(old: Contents, new: Contents) -> Contents:
    """Return `old` under the app of `new` where both are files of one app, whatever the files are called."""
    return {next(iter(new)): next(iter(old.values()))} if len(old) == len(new) == 1 else old


def _lines(changes: Sequence[Change]) -> Iterator[str]:
    for each in changes:
        counts = f"{each.added} added, {each.removed} removed"
        yield f"{each.app}: {counts} ({each.before} before, {counted(each.after, 'entry', 'entries')} after)"
        for sign, number, told in (("-", each.removed, each.removed_entries), ("+", each.added, each.added_entries)):
            yield from (f"{sign} {entry}" for entry in told)
            if number > len(told):
                yield f"{sign} ... and {number - len(told)} more (--limit)"
