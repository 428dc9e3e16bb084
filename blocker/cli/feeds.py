"""The feeds' files for commands that compile or show lists: the same ones that the server compiles."""

import click

from blocker import config
from blocker.config import Config
from blocker.feeds import files
from blocker.lists.feed import FeedFile


def in_force(found: Config) -> tuple[FeedFile, ...]:
    """Return the feeds' files that are in force; what is wrong with the others goes to standard error."""
    if not found.feeds:
        return ()
    there, warnings = files.in_force(found.feeds, config.state_dir(found))
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    return there
