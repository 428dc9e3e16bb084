"""Feeds for commands: the files that the server compiles, and those that an operator names."""

from collections.abc import Sequence

import click

from blocker import config
from blocker.config import Config, Feed
from blocker.config.wording import nearest
from blocker.errors import ConfigError
from blocker.feeds import files
from blocker.lists.feed import FeedFile


def in_force(found: Config) -> tuple[FeedFile, ...]:
    """Return the feeds' files that are in force; what is wrong with the others goes to standard error."""
    if not found.feeds and not found.rpz.imports:
        return ()
    there, warnings = files.in_force(found, config.state_dir(found))
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    return there


def named(found: Config, names: Sequence[str]) -> tuple[Feed, ...]:
    """Return the feeds called `names`, all of them if none is. Raises ConfigError."""
    known = {feed.name: feed for feed in found.feeds}
    if not known:
        raise ConfigError(["there are no feeds in the configuration. Write some below feeds:, or name the file (-c)."])
    if problems := [f"there is no feed {name!r}{nearest(name, list(known))}" for name in names if name not in known]:
        raise ConfigError(problems)
    return tuple(known[name] for name in dict.fromkeys(names)) if names else found.feeds
