"""`blocker rollout`: where staged rollouts stand, what they did so far, and moving them; without a running blocker too.

A move is written first and in force when the command returns, if a blocker runs; else at its start.
"""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from blocker import config
from blocker.cli import control
from blocker.cli.options import config_option, json_option
from blocker.config import Config, Plan, Stage
from blocker.config.wording import nearest
from blocker.errors import BlockerError, RolloutError
from blocker.exceptions.entry import Person
from blocker.rollout import plan, state
from blocker.rollout.plan import Position
from blocker.rollout.state import Kept

_PATIENCE: Final = 120.0  # seconds for a reload
_LOOK: Final = 5.0  # seconds for a word on how rollouts do
_SHOWN: Final = 10  # moves shown
_WIDE: Final = 200  # columns when the output is not a terminal

_by = click.option(
    "--by", default="", callback=lambda _ctx, _option, name: _who(name),
    help="Who moves it, if not you; your account is kept beside it.",
)  # fmt: skip
_reason = click.option("--reason", required=True, help="Why; kept with the move.")


@click.group("rollout")
def commands() -> None:
    """Show and move staged rollouts: in shadow, for some groups, for a share of the clients, for all."""


@commands.command("list")
@config_option
@json_option
def list_rollouts(path: Path | None, as_json: bool) -> None:
    """Show where each rollout stands."""
    found, kept = _loaded(path)
    plans, standing = plan.held(found, kept.positions), state.positions(found, kept)
    if as_json:
        click.echo(json.dumps([_data(each, standing[each.name]) for each in plans]))
        return
    if not plans:
        click.echo("there are no rollouts: none is written below rollout.plans")
        return
    table = Table("Rollout", "About", "Stage", "Since", "By", "Why")
    for each in plans:
        now = standing[each.name]
        table.add_row(each.name, each.about, str(now), _time(now.since), now.by or "configuration", now.why)
    Console(width=None if Console().is_terminal else _WIDE, highlight=False, markup=False).print(table)


@commands.command("show")
@click.argument("name")
@config_option
@json_option
def show(name: str, path: Path | None, as_json: bool) -> None:
    """Show where rollout NAME stands, how it came there, and what the running blocker has counted of it."""
    found, kept = _loaded(path)
    each = _plan(found, kept, name)
    now = state.positions(found, kept)[name]
    moves = [move for move in kept.history if move.get("rollout") == name]
    counted = _counted(found, name)
    if as_json:
        click.echo(json.dumps(_data(each, now) | {"moves": moves, "counted": counted}))
        return
    for label, text in (
        ("about", each.about),
        ("stage", str(now)),
        ("since", _time(now.since)),
        ("by", now.by or "configuration"),
        ("why", now.why),
        ("next", _step(each, now)),
        ("returns", _returning(each)),
        *_words(counted),
        *(("move", f"{_time(move['since'])} {move['stage']}, {move['by']}: {move['why']}") for move in moves[-_SHOWN:]),
    ):
        if text:
            click.echo(f"{label:10} {text}")


@commands.command("advance")
@click.argument("name")
@click.option("--to", type=click.Choice([each.value for each in Stage if each is not Stage.SHADOW]), help="The stage.")
@click.option("--percent", type=click.IntRange(1, 99), help="The share of clients; moves to stage percent.")
@click.option("--group", "groups", multiple=True, help="A group; alone it moves to stage groups. Repeatable.")
@_reason
@_by
@config_option
def advance(
    name: str, to: str | None, percent: int | None, groups: tuple[str, ...], reason: str, by: str, path: Path | None
) -> None:
    """Move rollout NAME to its next stage, or to the one said; also one that went back to shadow by itself.

    Exit status 0: in force, or written where no blocker runs. 2: it is not.
    """
    found, kept = _loaded(path)
    each = _plan(found, kept, name)
    now = state.positions(found, kept)[name]
    if (percent and to not in (None, "percent")) or (groups and to == "all"):
        raise click.UsageError("--to and --percent or --group speak of different stages")
    stage = Stage(to) if to else Stage.PERCENT if percent else Stage.GROUPS if groups else plan.following(each, now)
    known = [config.UNLISTED, *(group.name for group in found.groups)]
    for group in groups:
        if group not in known:
            raise RolloutError(f"there is no group {group!r}{nearest(group, known)}")
    if stage is Stage.GROUPS and not (groups or each.groups):
        raise RolloutError(f"rollout {name} names no groups: say which, --group NAME")
    reached = groups or now.groups  # whom it has reached by name it does not leave because it goes on by share
    moved = plan.at(each, stage, by=by, why=reason, since=time.time(), groups=reached, percent=percent or 0)
    _move(found, name, moved)


@commands.command("return")
@click.argument("name")
@_reason
@_by
@config_option
def take_back(name: str, reason: str, by: str, path: Path | None) -> None:
    """Take rollout NAME back to shadow: everything is answered truthfully again.

    Exit status 0: in force, or written where no blocker runs. 2: it is not.
    """
    found, kept = _loaded(path)
    _move(found, name, plan.at(_plan(found, kept, name), Stage.SHADOW, by=by, why=reason, since=time.time()))


def _who(name: str) -> str:
    """Return whose act it is: a name is a claim, and the account that makes it stands behind it."""
    account = config.account()
    return str(Person(account, "" if name == account else name))


def _loaded(path: Path | None) -> tuple[Config, Kept]:
    """Return the configuration, and where its rollouts were moved to."""
    found = config.load(path)
    return found, state.read(config.state_dir(found))


def _move(found: Config, name: str, to: Position) -> None:
    began = time.monotonic()
    state.move(config.state_dir(found), name, to, keep=frozenset(each.name for each in found.rollout.plans))
    try:
        reply = control.ask(config.control_socket(found), "reload", _PATIENCE)
    except control.NotRunningError:
        click.echo(f"rollout {name}: {to}, from the next start on: no blocker is running")
        return
    serving = _counted(found, name)
    if serving is None or serving["stage"] != str(to):
        problems = "; ".join(reply.get("problems", ()))
        raise RolloutError(f"rollout {name}: {to} is written, but not in force: {problems}")
    click.echo(f"rollout {name}: {to}, in force after {time.monotonic() - began:.2f} s")
    for problem in reply.get("problems", ()):
        click.echo(f"warning: the rest of the configuration and lists is not read anew: {problem}", err=True)


def _plan(found: Config, kept: Kept, name: str) -> Plan:
    known = {each.name: each for each in plan.held(found, kept.positions)}
    if name not in known:
        raise RolloutError(f"there is no rollout {name!r}{nearest(name, sorted(known))}; they stand in rollout.plans")
    return known[name]


def _counted(found: Config, name: str) -> dict[str, Any] | None:
    """Return what the running blocker says of a rollout; None: none runs, or it does not know it."""
    try:
        reply = control.ask(config.control_socket(found), "rollouts", _LOOK)
    except BlockerError:
        return None
    return next((each for each in reply.get("rollouts", ()) if each["rollout"] == name), None)


def _data(each: Plan, now: Position) -> dict[str, Any]:
    return {
        "rollout": each.name,
        "about": each.about,
        "stage": now.stage,
        "groups": now.groups,
        "percent": now.percent or None,
        "since": now.since or None,
        "by": now.by,
        "why": now.why,
        "returned": now.returned,
    }


def _step(each: Plan, now: Position) -> str:
    if now.stage is Stage.ALL:
        return "none: once you are content, take it out of rollout.plans"
    following = plan.at(each, plan.following(each, now), by="", why="")
    return f"{following}: blocker rollout advance {each.name}"


def _returning(each: Plan) -> str:
    if not each.return_after:
        return "never by itself"
    return f"by itself after {each.return_after} hits within {each.within} s on names that must resolve"


def _words(counted: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if counted is None:
        return [("counted", "no blocker is running that knows it")]
    clients = counted["clients"]
    attempts = f"{counted['blocked']} blocked, {counted['noted']} only noted, by {clients} clients"
    hits = counted["must_resolve_hits"]
    examples = ", ".join(f"{hit} ({entry})" for hit, entry in counted["must_resolve_examples"].items())
    return [("attempts", attempts), ("hits", f"{hits} on names that must resolve{': ' if examples else ''}{examples}")]


def _time(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M:%SZ}" if when else ""
