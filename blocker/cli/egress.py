"""`blocker egress`: the rules against apps that do not ask our DNS, and what the kernel holds of them."""

import difflib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from blocker import config
from blocker.bundle import current as bundles
from blocker.cli import feeds
from blocker.cli.egress_learned import learned
from blocker.cli.egress_watch import watch
from blocker.cli.granted import granted
from blocker.cli.options import config_option, json_option
from blocker.clients import Clients
from blocker.config import Config
from blocker.egress import apply, sets, status
from blocker.egress.planned import planned
from blocker.egress.ruleset import Ruleset, parts
from blocker.errors import BlockerError, ConfigError
from blocker.lists.opened import opened
from blocker.rollout import state as rollouts

DIFFERENT: Final = 1  # exit status, as diff(1) has it
_ELSEWHERE: Final = ("unshare", "--net")  # a network of its own, where the rules can be tried


@click.group("egress")
def commands() -> None:
    """Rules in the kernel (nftables, table `inet blocker`) against apps that do not ask our DNS."""


commands.add_command(watch)
commands.add_command(learned)


@commands.command("render")
@config_option
def render(path: Path | None) -> None:
    """Print the rules, as `nft -f` reads them. Needs no privilege and changes nothing.

    What nft makes of them is what the blocker wants, so that they can be loaded when the machine starts.
    """
    with _wanted(path) as (_, rules):
        click.echo(apply.whole(rules), nl=False)


@commands.command("apply")
@config_option
def apply_now(path: Path | None) -> None:
    """Put the rules into the kernel, all or none. The running blocker does this by itself."""
    with _wanted(path) as (_, rules):
        apply.apply(rules)
        size = sum(len(elements) for _, elements in rules.static.values())
        click.echo(f"applied: {len(rules.rules)} rules, {size} addresses and ranges ({rules.digest})")


@commands.command("status")
@config_option
@json_option
def show(path: Path | None, as_json: bool) -> None:
    """Show what the kernel holds. Exit status 0: the rules that are wanted. 1: others, or none."""
    with _wanted(path) as (found, rules):
        held = apply.table()
        said = status.read(config.state_dir(found))
        same = held is not None and held.digest == rules.digest
        if as_json:
            packets = dict(sorted(held.counters.items())) if held else {}
            click.echo(json.dumps(asdict(said) | {"in_force": same, "wanted": rules.digest, "packets": packets}))
        else:
            state = "not there" if held is None else "in force" if same else "not those of this configuration"
            click.echo(f"table inet {sets.TABLE}: {state}")
            if said.applied:
                click.echo(f"applied: {datetime.fromtimestamp(said.applied, UTC):%Y-%m-%dT%H:%M:%SZ} by the blocker")
            if said.problem:
                click.echo(f"problem: {said.problem}")
            for name in apply.flowtables():
                click.echo(f"flowtable {name}: connections in it pass by the rules")
            for name, count in sorted(held.counters.items()) if held else ():
                if count and (told := parts(name)) is not None:
                    what, group, trigger, app = told
                    click.echo(f"{count:>10} packets  {what:<8} {app:<16} {trigger:<12} group {group}")
    raise SystemExit(0 if same else DIFFERENT)


@commands.command("remove")
def remove() -> None:
    """Remove our table and everything in it; other tables stay. A running blocker puts it back at its next reload."""
    click.echo("removed" if apply.remove() else f"there is no table inet {sets.TABLE}")


@commands.command("diff")
@config_option
def difference(path: Path | None) -> None:
    """Show how the kernel's rules differ from those that are wanted; what was learned is left out.

    The wanted ones are tried in a network of their own. Exit status 0: they do not differ. 1: they do.
    """
    with _wanted(path) as (_, rules):
        held = [] if apply.table() is None else apply.listing()
        with TemporaryDirectory(prefix="blocker-") as scratch:
            file = Path(scratch) / "rules"
            file.write_text(rules.text(), encoding="ascii")
            shell = (*_ELSEWHERE, "sh", "-c", 'nft -f "$0" && exec "$@"', str(file))
            wanted = apply.listing(prefix=shell)
    lines = list(difflib.unified_diff(held, wanted, "kernel", "wanted", lineterm=""))
    for line in lines:
        click.echo(line)
    raise SystemExit(DIFFERENT if lines else 0)


@contextmanager
def _wanted(path: Path | None) -> Iterator[tuple[Config, Ruleset]]:
    """Give the configuration and the rules that it asks for."""
    found = config.load(path)
    if not found.egress.enabled:
        raise BlockerError("egress.enabled is false: no rules are wanted. Set it, or `blocker egress remove`.")
    with TemporaryDirectory(prefix="blocker-") as scratch:
        index = opened(bundles.in_force(found).lists, config.state_dir(found), Path(scratch), feeds.in_force(found))
        if problems := config.check_apps(found, index.apps):
            raise ConfigError(problems)
        found = rollouts.in_force(found, config.state_dir(found))
        clients = Clients(found, index, time.time(), granted(found))
        yield found, planned(found, clients, index, config.servers(found))
