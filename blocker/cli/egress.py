"""`blocker egress`: what devices do that did not ask our DNS."""

import click

from blocker.cli.egress_watch import watch


@click.group("egress")
def commands() -> None:
    """See what devices do that did not ask our DNS."""


commands.add_command(watch)
