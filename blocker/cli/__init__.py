"""The command line: parse, call, print. One file per command, each with a click command named `commands`.

This file imports nothing but click, and a command's file only once it is asked for: scripts start us often.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import IO, Final

import click

from blocker import __version__
from blocker.errors import BlockerError, ProblemsError

SUMMARIES: Final[Mapping[str, str]] = {  # in the order of `blocker --help`
    "run": "Serve DNS, block what is listed, count and log every attempt.",
    "check": "Validate a configuration and its lists.",
    "explain": "Say whether a name or address is blocked, and why.",
    "coverage": "Say what the lists match of a corpus, and what in them does nothing.",
    "simulate": "Say what new lists would have done to the queries in logs.",
    "lists": "Show, check, compile, update and compare lists.",
    "rollout": "Show and move staged rollouts: in shadow, for some clients, for all.",
    "bundle": "Make, sign, verify and install signed bundles of lists.",
    "egress": "Rules against apps that do not ask our DNS, and what devices do on the wire.",
    "rpz": "Policy zones: export ours for other resolvers, see how all of them do.",
    "candidates": "Names that look like a banned app's and are in no list yet: show, accept, dismiss.",
    "selftest": "Ask the running blocker for a name of each app: is it blocked?",
    "evidence": "Check the attempt log: was anything removed or altered?",
    "exceptions": "Ask for exceptions with an end, approve them, list and revoke them.",
    "config": "Show the configuration, its schema and its reference.",
    "reload": "Have the running blocker read its configuration and lists anew.",
    "status": "Show how the running blocker does.",
}

_READING: Final = ("bundle", "candidates", "check", "coverage", "evidence", "lists", "rpz", "simulate")
"""Commands that may read millions of names or lines beside a server."""
REFUSED: Final = 2  # exit status: the command could not do its work
INTERRUPTED: Final = 130  # exit status: 128 and SIGINT's number, as shells have it


class Refused(click.ClickException):
    """An error of ours on its way to the terminal, one line for each problem."""

    exit_code = REFUSED

    def __init__(self, error: BlockerError) -> None:
        """Take the problems of `error`."""
        super().__init__(str(error))
        self.problems = error.problems if isinstance(error, ProblemsError) else (str(error),)

    def show(self, file: IO[str] | None = None) -> None:
        """Print the problems, on standard error if nothing else is said."""
        for problem in self.problems:
            click.echo(f"blocker: error: {problem}", file=file, err=file is None)


class Commands(click.Group):
    """The commands, each imported when it is first used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the names of all commands."""
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's)
        """Return the command `cmd_name`, None if there is none."""
        if cmd_name not in SUMMARIES:
            return None
        command: click.Command = import_module(f"blocker.cli.{cmd_name}").commands
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands in `--help`, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what goes wrong becomes a message and an exit status."""
        try:
            return super().invoke(ctx)
        except BlockerError as error:
            raise Refused(error) from error
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="blocker", message="%(prog)s %(version)s")
def blocker() -> None:
    """A DNS proxy that enforces a ban on applications and shows every blocked attempt."""


def main() -> None:
    """Run the command line; the entry point of `blocker`."""
    if sys.argv[1:] and sys.argv[1] in _READING:
        from blocker.serve import priority

        priority.stand_back()  # behind workers, whose clients wait
    blocker(prog_name="blocker")
