"""`blocker candidates`: names that look like a banned app's and are in no list; people accept or dismiss them."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from blocker import config
from blocker.bundle import current as bundles
from blocker.candidates import accept as accepting
from blocker.candidates.accept import Decision
from blocker.candidates.finding import Finding
from blocker.candidates.search import Search
from blocker.candidates.store import Candidate, State, Store
from blocker.cli import control, feeds
from blocker.cli.options import config_option, json_option
from blocker.config import Config
from blocker.errors import BlockerError, CandidateError
from blocker.lists import gather
from blocker.policy import Scope
from blocker.simulate import relatives
from blocker.simulate.logs.detect import Format
from blocker.simulate.logs.record import Tally
from blocker.simulate.sides import Side

_PATIENCE: Final = 130.0  # seconds: the supervisor gives a reload 120
_WIDE: Final = 250  # columns when the output is not a terminal: a script must not get folded lines
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
_SETTLE_EVERY: Final = 60.0  # seconds of a log's time between two looks for sittings that are over


@click.group("candidates", invoke_without_command=True)
@config_option
@click.option(
    "--from", "logs", multiple=True, type=_FILE, metavar="LOG", help="Search this query log instead. Repeatable."
)
@click.option(
    "--format",
    "stated",
    type=click.Choice([each.value for each in Format if each != Format.NAMES]),
    help="What the logs are; not said: seen by their content.",
)
@click.option("--keep", is_flag=True, help="Keep what is found in the logs, to be accepted or dismissed.")
@click.option("--all", "every", is_flag=True, help="Show those too that were accepted or dismissed.")
@json_option
@click.pass_context
def commands(
    ctx: click.Context,
    path: Path | None,
    logs: tuple[Path, ...],
    stated: str | None,
    keep: bool,
    every: bool,
    as_json: bool,
) -> None:
    """Show names that clients ask for, that look like a banned app's, and that no list has yet.

    The running blocker finds them where `candidates.enabled` is set; with --from they are searched in query logs.
    """  # fmt: skip
    ctx.obj = path
    if ctx.invoked_subcommand is not None:
        return
    found = config.load(path)
    if not logs:
        _list(found, every=every, as_json=as_json)
        return
    now = time.time()
    findings = _search(found, logs, Format(stated) if stated else None)
    if keep:
        _store(found).put(findings, now)
    _tell([Candidate(each, State.OPEN, now, now) for each in findings], "no candidates", as_json=as_json)


@commands.command("list")
@config_option
@click.option("--all", "every", is_flag=True, help="Show those too that were accepted or dismissed.")
@json_option
def list_(path: Path | None, every: bool, as_json: bool) -> None:
    """Show what was found, as `blocker candidates` alone does."""
    _list(_config(path), every=every, as_json=as_json)


@commands.command()
@click.argument("name")
@config_option
@json_option
def show(name: str, path: Path | None, as_json: bool) -> None:
    """Show NAME with its evidence, and what was decided on it."""
    found = [each for each in _store(_config(path)).all() if each.finding.name == name]
    if not found:
        raise CandidateError(f"{name!r} is no candidate. `blocker candidates --all` shows them.")
    click.echo(json.dumps([_data(each) for each in found]) if as_json else "\n".join(_lines(found)))


_by = click.option("--by", required=True, metavar="WHO", help="Who decides.")
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why.")


@commands.command()
@click.argument("name")
@click.option(
    "--app", metavar="APP", help="The app that it belongs to; needed where NAME is a candidate of several, or of none."
)
@_by
@_reason
@click.option("--exact", is_flag=True, help="This name alone; else also everything below it.")
@click.option(
    "--to", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Another list, for the next bundle."
)
@config_option
def accept(name: str, app: str | None, by: str, reason: str, exact: bool, to: Path | None, path: Path | None) -> None:
    """Put NAME into a list of your own, with who, why and its evidence, and into force.

    The list is candidates-APP.yaml in `candidates.folder`, or else in the first of `lists.directories`.
    """
    found = _config(path)
    store = _store(found)
    must = gather.required(bundles.in_force(found).lists)
    candidate = _candidate(store, accepting.refuse(name, must), app)
    finding = candidate.finding
    target = to or accepting.file_in(_folder(found), finding.app)
    decision = Decision(by, reason, time.time())
    with accepting.alone(target.parent):
        scope = Scope.EXACT if exact else Scope.SUFFIX
        before = accepting.add(target, finding.app, finding.name, scope, decision, finding)
        reply = None if to is not None else _reload(found, target, before, "accepted")
    store.decide(finding.name, finding.app, State.ACCEPTED, by, reason, decision.when)
    force = (
        "in force" if reply is not None else "in force when it is loaded" if to else "in force when the blocker runs"
    )
    click.echo(f"{finding.name}: accepted for {finding.app}; {target}; {force}")


@commands.command()
@click.argument("name")
@click.option(
    "--app", metavar="APP", help="The app that it does not belong to; not said: each that it is a candidate of."
)
@_by
@_reason
@config_option
def dismiss(name: str, app: str | None, by: str, reason: str, path: Path | None) -> None:
    """Say that NAME is no relative: it comes back only for evidence of another kind.

    One that was accepted is taken out of the list that `accept` put it into, and out of force.
    """
    decision = Decision(by, reason, time.time())
    config_ = _config(path)
    store = _store(config_)
    found = [each for each in store.all() if each.finding.name == name and app in (None, each.finding.app)]
    if not found:
        raise CandidateError(f"{name!r} is no candidate{f' of {app}' if app else ''}. `blocker candidates` shows them.")
    for each in found:
        undone = _undo(config_, each.finding) if each.state is State.ACCEPTED else ""
        store.decide(name, each.finding.app, State.DISMISSED, by, reason, decision.when)
        click.echo(f"{name}: dismissed for {each.finding.app}{undone}")


def _config(path: Path | None) -> Config:
    return config.load(path or click.get_current_context().obj)  # which may stand before the command's name too


def _store(found: Config) -> Store:
    return Store(config.state_dir(found))


def _folder(found: Config) -> Path:
    folder = found.candidates.folder or next(iter(found.lists.directories), None)
    if folder is None:
        raise CandidateError(
            "lists.directories names no folder that could take the name. Name one, or a file with --to."
        )
    return folder


def _undo(found: Config, finding: Finding) -> str:
    """Take an accepted name out of its list and out of force; say what was done."""
    target = accepting.file_in(_folder(found), finding.app)
    with accepting.alone(target.parent):
        before = accepting.remove(target, finding.name)
        if before is None:
            return f"; {target} does not hold it: if it was accepted into another list, take it out there"
        reply = _reload(found, target, before, "dismissed")
    return f"; taken out of {target}{'' if reply is not None else ', which counts when the blocker runs'}"


def _candidate(store: Store, name: str, app: str | None) -> Candidate:
    """Return the candidate `name` of `app`; one that nobody has found yet, if the app is said."""
    there = {each.finding.app: each for each in store.all() if each.finding.name == name}
    if app is None:
        if len(there) != 1:
            why = f"is a candidate of {', '.join(sorted(there))}" if there else "is no candidate"
            raise CandidateError(f"{name!r} {why}. Say whose it is with --app.")
        app = next(iter(there))
    now = time.time()
    return there.get(app) or Candidate(Finding(name, app, ()), State.OPEN, now, now)


def _search(found: Config, logs: Iterable[Path], stated: Format | None) -> list[Finding]:
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="blocker-")))
        side = Side.open(found, scratch, feeds.in_force(found))
        search = Search(side.index, gather.required(bundles.in_force(found).lists), found.candidates)
        settled = 0.0
        for path in logs:
            tally = Tally(str(path))
            for seen in relatives.read(path, stated, side, tally):
                search.memory.see(seen)
                if seen.when - settled > _SETTLE_EVERY:
                    settled = seen.when
                    search.memory.settle(settled)
            click.echo(
                f"{path}: {tally.queries:,} queries read as {tally.format}, {tally.bad:,} bad lines left out", err=True
            )
        search.memory.settle(float("inf"))
        return sorted(search.findings(), key=lambda each: -each.score)


def _reload(found: Config, target: Path, before: bytes | None, done: str) -> dict[str, Any] | None:
    """Have the running blocker take up the list at `target`; None: none runs, and it will when it starts.

    If it does not, what stood there `before` comes back, since what it refuses would refuse every later reload too,
    and the command ends: the name was not `done`.
    """
    try:
        reply = control.ask(config.control_socket(found), "reload", _PATIENCE)
    except control.NotRunningError:
        return None
    except BlockerError:
        accepting.write(target, before)
        raise
    if not reply["ok"]:
        accepting.write(target, before)
        control.finish(reply, f"not {done}: the running blocker refuses it", as_json=False)
    return reply


def _data(each: Candidate) -> dict[str, object]:
    finding = each.finding
    return {
        "name": finding.name, "app": finding.app, "weight": finding.score, "state": each.state,
        "evidence": [{"kind": one.kind, "weight": one.weight, "says": one.says} for one in finding.evidence],
        "names": finding.names, "clients": finding.clients, "first": _time(each.first), "last": _time(each.last),
        "by": each.by, "reason": each.reason, "decided": _time(each.decided) if each.decided else None,
    }  # fmt: skip


def _list(found: Config, *, every: bool, as_json: bool) -> None:
    shown = [each for each in _store(found).all() if every or each.state is State.OPEN]
    _tell(
        shown,
        "no candidates" if found.candidates.enabled else "no candidates; candidates.enabled is not set",
        as_json=as_json,
    )


def _tell(shown: Sequence[Candidate], nothing: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_data(each) for each in shown]))
    elif shown:
        _print(shown)
    else:
        click.echo(nothing)


def _print(shown: Iterable[Candidate]) -> None:
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    table = Table("Name", "App", "Weight", "State", "Clients", "Why")
    for each in shown:
        finding = each.finding
        why = "\n".join(f"{one.kind} {one.weight:.2f}: {one.says}" for one in finding.evidence)
        decided = f"{each.state}\n{each.by}: {each.reason}" if each.by else each.state
        table.add_row(
            *map(escape, (finding.name, finding.app, f"{finding.score:.2f}", decided, str(finding.clients), why))
        )
    console.print(table)


def _lines(found: Iterable[Candidate]) -> Iterator[str]:
    for each in found:
        finding = each.finding
        yield f"{finding.name}: {each.state}"
        yield f"  app      {finding.app}"
        yield f"  weight   {finding.score:.2f}"
        for one in finding.evidence:
            yield f"  {one.kind:8} {one.weight:.2f}: {one.says}"
        if finding.names:
            yield f"  asked    {', '.join(finding.names)}"
        yield f"  clients  {finding.clients}"
        yield f"  seen     {_time(each.first)} to {_time(each.last)}"
        if each.by:
            yield f"  decided  {_time(each.decided)} by {each.by}: {each.reason}"


def _time(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%dT%H:%M:%SZ}"
