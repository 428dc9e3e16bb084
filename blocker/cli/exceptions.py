"""`blocker exceptions`: asked for by one person, approved by another, ended by time; no blocker need run."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.table import Table

from blocker import config, names
from blocker.cli import control, evidence, times
from blocker.cli.granted import granted
from blocker.cli.options import config_option, json_option
from blocker.config import Config
from blocker.config.wording import nearest
from blocker.errors import BlockerError, BundleError, ExceptionsError
from blocker.evidence import files
from blocker.evidence.checkpoint import Checkpoint
from blocker.evidence.verify import NodeChain, Verifier
from blocker.exceptions import audit, entry, store
from blocker.exceptions.differences import differences
from blocker.exceptions.entry import NOBODY, Entry, Grant, Person, State
from blocker.lists import suffixes
from blocker.policy import Scope
from blocker.rpz import unsaid

_PATIENCE: Final = 30.0  # seconds: no list is read
_LOOK: Final = 5.0
_SETTLED: Final = 0.5  # seconds in which a change that is under way is whole
_WIDE: Final = 200  # columns when the output is not a terminal: a script must not get folded lines
_SHOWN: Final = 50  # findings on a page
_TEXT: Final = ("what", "for", "from", "until", "reason", "ticket", "requested", "approved", "closed")

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _as_option(command: _Command) -> _Command:
    return click.option(
        "--as", "name", default="", metavar="NAME", help="Act for NAME; for accounts of exceptions.delegates."
    )(command)


@click.group("exceptions")
def commands() -> None:
    """Exceptions that people ask for and approve; each ends by itself and is never extended."""


@commands.command()
@click.option("--name", "suffix", metavar="NAME", help="This name and all below it.")
@click.option("--exact", metavar="NAME", help="This name alone.")
@click.option("--pattern", metavar="PATTERN", help="Names like this: '**.*tiktokcdn*.com'.")
@click.option("--app", default="", metavar="APP", help="All of an app; with a name: only as far as APP blocks it.")
@click.option("--group", default="", metavar="GROUP", help="For clients of this group; `default`: of none.")
@click.option("--client", default="", metavar="ADDR", help="For this address or prefix. Neither: for everybody.")
@click.option("--for", "lasts", callback=times.option(times.length), metavar="3d", help="How long: 90m, 12h, 3d, 2w.")
@click.option("--until", callback=times.option(times.moment), metavar="TIME", help="Its end: 2026-11-27T17:00.")
@click.option("--from", "begins", callback=times.option(times.moment), metavar="TIME", help="Its start; not said: now.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for who approves and who audits.")
@click.option("--ticket", default="", metavar="ID", help="What it is known by elsewhere.")
@_as_option
@config_option
@json_option
def add(
    suffix: str | None,
    exact: str | None,
    pattern: str | None,
    app: str,
    group: str,
    client: str,
    lasts: int | None,
    until: datetime | None,
    begins: datetime | None,
    reason: str,
    ticket: str,
    name: str,
    path: Path | None,
    as_json: bool,
) -> None:
    """Ask for an exception; it is in force once another person has approved it.

    Exit status 0: requested. 2: it was not, and why.
    """
    said = [(Scope.SUFFIX, suffix), (Scope.EXACT, exact), (Scope.PATTERN, pattern)]
    wanted = [(scope, value) for scope, value in said if value is not None]
    if len(wanted) > 1 or not (wanted or app):
        raise click.UsageError("say for what: one of --name, --exact and --pattern, or --app")
    if (lasts is None) is (until is None):
        raise click.UsageError("say how long: --for or --until")
    found = _taking(config.load(path))
    scope, value = wanted[0] if wanted else ("", "")
    now = time.time()
    starts = int(begins.timestamp()) if begins is not None else 0
    ends = int(until.timestamp()) if until is not None else int(max(now, starts)) + (lasts or 0)
    grant = entry.checked(Grant("", ticket.strip(), scope, value, app, group, client, starts, ends))
    _check(found, grant)
    settings = found.exceptions
    asked = entry.request(
        grant, reason, _person(found, name), int(now), longest=settings.max_duration, requesters=settings.requesters
    )
    with store.opened(found) as kept:
        made = kept.add(asked, now)
    _told(made, found, _apply(found), kept.unsigned, as_json=as_json)


@commands.command()
@click.argument("number")
@_as_option
@config_option
@json_option
def approve(number: str, name: str, path: Path | None, as_json: bool) -> None:
    """Approve exception NUMBER, which another person has asked for.

    It is in force on every worker when this returns. Exit status 0: approved. 1: approved, but the running blocker
    could not take it. 2: it was not.
    """
    found = _taking(config.load(path))
    by, now = _person(found, name), time.time()
    with store.opened(found) as kept:
        _check(found, kept.entry(number).grant)
        made = kept.change(
            number,
            "approved",
            lambda each: entry.approve(each, by, int(now), approvers=found.exceptions.approvers),
            now,
        )
    _told(made, found, _apply(found), kept.unsigned, as_json=as_json)


@commands.command()
@click.argument("number")
@click.option("--reason", default="", metavar="TEXT", help="Why.")
@_as_option
@config_option
@json_option
def revoke(number: str, reason: str, name: str, path: Path | None, as_json: bool) -> None:
    """Take exception NUMBER back, or a request for one.

    It is over on every worker when this returns. Exit status as for `approve`.
    """
    found = config.load(path)
    by, now = _person(found, name), time.time()
    with store.opened(found) as kept:
        made = kept.change(number, "revoked", lambda each: entry.revoke(each, by, reason, int(now)), now)
    _told(made, found, _apply(found), kept.unsigned, as_json=as_json)


@commands.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that are over.")
@config_option
@json_option
def list_(every: bool, path: Path | None, as_json: bool) -> None:
    """List the exceptions that are requested or approved, and those of the installed bundle."""
    found = config.load(path)
    entries: list[Entry] = []
    if store.is_used(found):
        with store.opened(found) as kept:
            entries = kept.entries(every=every)
    entries += _bundled(found)
    now = time.time()
    if as_json:
        click.echo(json.dumps([store.written(each) | {"now": _state(found, each, now)} for each in entries]))
        return
    table = Table("", "state", "what", "for", "until", "ticket", "requested by", "approved by", box=None)
    for each in entries:
        grant = each.grant
        table.add_row(
            grant.id, _state(found, each, now), grant.what(), grant.whose(), times.shown(grant.ends), grant.ticket,
            str(each.requested_by), str(each.approved_by) if each.approved_at else "",
        )  # fmt: skip
    console = Console()
    console.width = console.width if console.is_terminal else _WIDE
    console.print(table) if entries else click.echo("there are none")


@commands.command()
@evidence.key_option
@click.option(
    "--checkpoints", "kept", multiple=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Checkpoints that were sent away: shows a log that was written anew, or cut off at its end. Repeatable.",
)  # fmt: skip
@config_option
@json_option
@click.pass_context
def verify(
    ctx: click.Context, keys: tuple[Path, ...], kept: tuple[Path, ...], path: Path | None, as_json: bool
) -> None:
    """Say whether the audit log is whole, and the store what the log says.

    Exit status 0: both are. 1: something was altered, and where. 2: it cannot be said: something cannot be read, or
    keys were given and no checkpoint is signed by one of them.
    """
    found = config.load(path)
    trusted = evidence.read_keys(keys)
    log = config.exceptions_audit(found)
    verifier = Verifier(evidence.trouble(trusted), _copies(audit.copies_of(log), kept))
    problems: list[str] = []
    if config.exceptions_file(found).exists():
        with store.opened(found) as opened:
            problems += differences(log, opened)
            if problems:  # a change may be on its way from one to the other
                time.sleep(_SETTLED)
                problems = list(differences(log, opened))
    else:
        problems.append(f"{config.exceptions_file(found)}: is gone")
    if log.exists():
        verifier.feed(str(log), files.lines(log))
    verifier.finish()
    problems += [f"{each.file}:{each.line}: {each.kind}: {each.text}" for each in verifier.findings]
    nodes = list(verifier.nodes.values())
    unsure = evidence.unsure_of(nodes, signed=bool(trusted)) if nodes else ""
    if as_json:
        said = {"whole": not problems, "unsure": unsure, "lines": sum(node.lines for node in nodes)}
        covered = {"covered": [node.covered for node in nodes], "signatures_checked": bool(trusted)}
        click.echo(json.dumps({**said, **covered, "problems": problems}))
    else:
        for line in _judgement(problems, nodes, unsure, signed=bool(trusted)):
            click.echo(line)
    ctx.exit(1 if problems else 2 if unsure else 0)


def _copies(own: Path, kept: Sequence[Path]) -> Iterator[Checkpoint]:
    """Yield the checkpoints that were copied: on this machine, which who rewrites the log may forget, and elsewhere."""
    for each in (*([own] if own.exists() else []), *kept):
        yield from files.copies(each)


def _judgement(problems: Sequence[str], nodes: Sequence[NodeChain], unsure: str, *, signed: bool) -> Iterator[str]:
    yield from problems[:_SHOWN]
    for node in nodes:
        yield f"{node.name}: lines {node.first} to {node.next - 1}: {evidence.cover(node, signed=signed)}"
    if problems:
        yield f"NOT WHOLE: {len(problems)} found"
    elif unsure:
        yield f"cannot say: {unsure}"
    else:
        yield "whole, and the store agrees" + ("" if signed else "; who signed its checkpoints was not checked (--key)")


def _taking(found: Config) -> Config:
    """Return a configuration under which exceptions of this node count. Raises ExceptionsError."""
    if not found.takes_local_exceptions:
        raise ExceptionsError(
            "here only those in signed bundles count, since bundles.keys is set. Ask where the bundles are made; or, if"
            " this node's own people may make exceptions too, set exceptions.local: true."
        )
    return found


def _person(found: Config, name: str) -> Person:
    return entry.acting(config.account(), name, found.exceptions.delegates)


def _check(found: Config, grant: Grant) -> None:
    """Refuse an exception that could do nothing, or far too much. Raises ExceptionsError."""
    groups = [config.UNLISTED, *(group.name for group in found.groups)]
    if grant.group and grant.group not in groups:
        raise ExceptionsError(f"there is no group {grant.group!r}{nearest(grant.group, groups)}.")
    if grant.scope in (Scope.SUFFIX, Scope.EXACT) and suffixes.load().is_refused(names.from_text(grant.value)):
        raise ExceptionsError(f"{grant.value} is a public suffix: that would be an exception for everybody's names.")
    try:
        reply = control.ask(config.control_socket(found), "status", _LOOK)
    except BlockerError:
        return  # nobody is there who knows the apps; one that there is not lifts nothing
    apps = [each["app"] for each in reply.get("lists", ())]
    if grant.app and apps and grant.app not in apps:
        raise ExceptionsError(f"there is no app {grant.app!r}{nearest(grant.app, apps)}.")


def _apply(found: Config) -> dict[str, Any] | None:
    """Have the running blocker take the change, and return its reply; None: none runs."""
    try:
        return control.ask(config.control_socket(found), "exceptions", _PATIENCE)
    except control.NotRunningError:
        return None
    except BlockerError as error:
        return {"ok": False, "problems": [str(error)]}


def _told(made: Entry, found: Config, reply: dict[str, Any] | None, unsigned: str, *, as_json: bool) -> None:
    """Print what became of an exception, and end the command; `unsigned` says why no checkpoint covers it yet."""
    if unsigned:
        click.echo(f"warning: its line in the audit log is not signed: {unsigned}", err=True)
    problems = [] if reply is None or reply["ok"] else reply.get("problems") or ["the blocker does not say why"]
    if as_json:
        running = None if reply is None else {"in_force": not problems, "seconds": reply.get("seconds")}
        click.echo(json.dumps(store.written(made) | {"running": running, "problems": problems}))
    else:
        click.echo(f"exception {made.grant.id}: {_state(found, made, time.time())}")
        for label, text in zip(_TEXT, _page(made), strict=True):
            if text:
                click.echo(f"  {label:10} {text}")
        if made.state is State.REQUESTED:
            click.echo(f"  next       another person: blocker exceptions approve {made.grant.id}")
        elif reply is None:
            click.echo("  running    no blocker runs; it holds from the start on")
        elif not problems:
            click.echo(f"  running    on every worker after {reply['seconds']:.2f} s")
        if made.is_open and (zones := _zones(found, made.grant)):
            click.echo(f"  zones      {zones} cannot say it: resolvers that follow them go on blocking (docs/rpz.md)")
    for problem in problems:
        click.echo(f"written, but the running blocker goes on as before: {problem}", err=True)
    click.get_current_context().exit(1 if problems else 0)


def _zones(found: Config, grant: Grant) -> str:
    """Return the policy zones that would have to say an exception and cannot; whatever the time."""
    unsayable = [each.name for each in found.rpz.zones if unsaid.unsaid(found, [grant], each.group, grant.starts)]
    return ", ".join(unsayable)


def _page(made: Entry) -> Iterator[str]:
    grant = made.grant
    yield grant.what()
    yield grant.whose()
    yield times.shown(grant.starts) if grant.starts else ""
    yield f"{times.shown(grant.ends)}, {entry.lasting(grant.ends - max(grant.starts, made.requested_at))}"
    yield made.reason
    yield grant.ticket
    yield f"by {made.requested_by}, {times.shown(made.requested_at)}"
    yield f"by {made.approved_by}, {times.shown(made.approved_at)}" if made.approved_at else ""
    closed = f", {made.why_closed}" if made.why_closed else ""
    yield (
        f"by {made.closed_by if made.closed_by.account else 'time'}, {times.shown(made.closed_at)}{closed}"
        if (made.closed_at)
        else ""
    )


def _bundled(found: Config) -> list[Entry]:
    """Return what the installed bundle brings and is not over; what is wrong with it or the store is only told."""
    try:
        grants = granted(found)
    except (BundleError, ExceptionsError) as error:
        click.echo(f"warning: {error}", err=True)
        return []
    return [
        Entry(each, State.APPROVED, "", NOBODY, 0, Person(each.approved_by), each.starts)
        for each in grants
        if each.is_bundled
    ]


def _state(found: Config, each: Entry, now: float) -> str:
    """Say where an exception stands, as far as the store knows."""
    if each.is_open and now >= each.grant.ends:
        return "ended"
    if each.state is not State.APPROVED:
        return each.state.value
    if not each.grant.is_bundled and not found.takes_local_exceptions:
        return "approved, but only signed ones count here"
    if each.grant.group not in ("", config.UNLISTED, *(group.name for group in found.groups)):
        return f"approved, but there is no group {each.grant.group}"
    return "active" if each.grant.holds(now) else f"approved, from {times.shown(each.grant.starts)}"
