"""`blocker config`: the configuration as it is in force, its JSON schema, its reference page."""

import json
from pathlib import Path

import click
import yaml

from blocker import config
from blocker.cli.options import config_option
from blocker.config import reference


@click.group("config")
def commands() -> None:
    """Show the configuration, its schema and its reference."""


@commands.command()
def schema() -> None:
    """Print the JSON schema of the configuration file, for editors and checkers."""
    click.echo(json.dumps(reference.schema(), indent=2, ensure_ascii=False))


@commands.command("reference")
def reference_page() -> None:
    """Print the reference page, in Markdown."""
    click.echo(reference.page(), nl=False)


@commands.command()
@config_option
def show(path: Path | None) -> None:
    """Print the configuration with every default filled in, as YAML."""
    found = config.load(path)
    click.echo(f"# {path or 'no file: the defaults'}")
    click.echo(f"# state folder: {config.state_dir(found)}")
    click.echo(f"# control socket: {config.control_socket(found)}")
    click.echo(yaml.safe_dump(found.model_dump(mode="json"), sort_keys=False, width=120), nl=False)
