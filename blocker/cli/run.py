"""`blocker run`: serve."""

import os
import sys
from pathlib import Path

import click

from blocker import config
from blocker.cli.options import overrides, serving_options


@click.command("run")
@serving_options
def commands(
    path: Path | None,
    listen: tuple[str, ...],
    upstream: tuple[str, ...],
    metrics: str | None,
    lists: tuple[Path, ...],
    workers: int | None,
) -> None:
    """Serve DNS, block what is listed, count and log every attempt.

    No file is needed; options go before the file's own words. SIGHUP reads configuration and lists anew,
    SIGTERM answers what is under way and ends, SIGUSR1 opens the log files anew.
    """
    _take_standard_descriptors()
    from blocker.serve.supervisor import Supervisor  # the servers' modules, for this command only
    from blocker.sinks import oplog

    over = overrides(listen=listen, upstream=upstream, metrics=metrics, lists=lists, workers=workers)
    path = path.absolute() if path is not None else None
    found = config.load(path, over)
    oplog.configure(found.log)
    sys.exit(Supervisor(path, over, found).run())


def _take_standard_descriptors() -> None:
    """Open 0, 1 and 2 if whoever started us has closed them: the next socket would get the number, and our log lines.

    Standard output takes nothing then, so that attempts which are to go there are counted as lost.
    """
    for descriptor, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # the lowest number that is free: this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 for good
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
