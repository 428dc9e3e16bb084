"""What the commands that read logs share: the options, the progress on a terminal, and the engine."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from blocker.simulate.engine import Engine
from blocker.simulate.logs import times
from blocker.simulate.logs.detect import Format

_Command = TypeVar("_Command", bound=Callable[..., Any])

_WIDE: Final = 250  # columns when the output is not a terminal: a script must not get folded lines
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
_MEMORY: Final = 1024  # MiB


def _time(_ctx: click.Context, _option: click.Parameter, text: str | None) -> str:
    if text is None:
        return ""
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a time. Write 2026-11-23 or 2026-11-23T08:30, in UTC.") from error
    return times.shown(when if when.tzinfo is not None else when.replace(tzinfo=UTC))


def reading_options(formats: Sequence[Format]) -> Callable[[_Command], _Command]:
    """Return what adds the options of reading: `stated` (one of `formats`), `since`, `until` and `memory`."""
    return _adding(
        click.option("--format", "stated", type=click.Choice([each.value for each in formats]),
                     help="What the logs are; not said: seen by their content."),
        click.option("--from", "since", callback=_time, metavar="TIME", help="Only queries from then on, UTC."),
        click.option("--to", "until", callback=_time, metavar="TIME", help="Only queries before then, UTC."),
        click.option("--memory", type=click.IntRange(64), default=_MEMORY, show_default=True, metavar="MIB",
                     help="Memory to work in; more goes to disk (TMPDIR)."),
    )  # fmt: skip


def log_options(command: _Command) -> _Command:
    """Add `against` and `more` (together the logs), and the options of reading."""
    logs = _adding(
        click.argument("more", nargs=-1, type=_FILE, metavar="[LOG]..."),
        click.option("--against", multiple=True, type=_FILE, required=True, metavar="LOG...",
                     help="Query logs; plain, gz or xz."),
    )  # fmt: skip
    return logs(reading_options([each for each in Format if each != Format.NAMES])(command))


def _adding(*options: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@contextmanager
def _ending() -> Iterator[None]:
    """End on SIGTERM as on an interrupt: the scratch folder holds what clients have asked, and must not stay."""

    def end(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def engine(memory: int) -> Iterator[Engine]:
    """Give an engine that shows its progress on a terminal, and nothing elsewhere. Raises EngineError."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:40}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with _ending(), Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        with Engine.opened(
            memory=memory, progress=lambda what, share: progress.update(task, description=what, completed=share)
        ) as found:
            yield found


def console() -> Console:
    """Return where results are printed."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
