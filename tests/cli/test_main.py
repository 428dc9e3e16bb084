"""The command line as a whole: start, errors, exit statuses."""

import json
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from blocker import __version__
from blocker.cli import SUMMARIES, Commands, blocker
from blocker.errors import BlockerError, ConfigError

COMMAND = [sys.executable, "-m", "blocker.cli"]


def run(*arguments):
    return CliRunner().invoke(blocker, arguments, prog_name="blocker")


def raising(error):
    """Return a `blocker` whose only command raises `error`."""

    @click.command()
    def fail():
        raise error

    class Failing(Commands):
        def get_command(self, ctx, cmd_name):
            return fail

    return Failing("blocker")


@pytest.mark.parametrize(
    ("arguments", "status", "output"),
    [
        (["--version"], 0, f"blocker {__version__}\n"),
        (["-V"], 0, f"blocker {__version__}\n"),
        (["-h"], 0, "explain"),
        (["explian"], 2, "No such command 'explian'"),
        (["config", "show", "--config", "/nowhere.yaml"], 2, "blocker: error: /nowhere.yaml: cannot be read"),
        (["explain", "a.example", "--client", "nobody"], 2, "'nobody' is not an IP address"),
        (["explain", "a.example", "--type", "AAAAA"], 2, "'AAAAA' is not a DNS type"),
    ],
)
def test_exit_status(arguments, status, output):
    result = run(*arguments)
    assert (result.exit_code, output in result.output) == (status, True), result.output


@pytest.mark.parametrize(
    ("error", "status", "stderr"),
    [
        (BlockerError("so it is"), 2, "blocker: error: so it is\n"),
        (ConfigError(["a:1: x", "a:2: y"]), 2, "blocker: error: a:1: x\nblocker: error: a:2: y\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_a_command_raises(error, status, stderr):
    result = CliRunner().invoke(raising(error), ["fail"])
    assert (result.exit_code, result.stderr) == (status, stderr)


@pytest.mark.parametrize("name", SUMMARIES)
def test_every_command_is_there_and_has_help(name):
    result = run(name, "--help")
    assert (result.exit_code, f"Usage: blocker {name}" in result.output) == (0, True)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from blocker.cli import blocker\n"
        "blocker(['--help'], standalone_mode=False)\n"
        "heavy = {'pydantic', 'yaml', 'rich', 'asyncio', 'dnslib', 'structlog'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_program_itself():
    done = subprocess.run([*COMMAND, "config", "show", "-c", "/nowhere.yaml"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("blocker: error: /nowhere.yaml")


def test_a_reader_that_goes_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, "config", "schema"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.stderr == b""


def test_the_shell_completes():
    words = {"_BLOCKER_COMPLETE": "bash_complete", "COMP_WORDS": "blocker con", "COMP_CWORD": "1"}
    done = subprocess.run(COMMAND, env=os.environ | words, capture_output=True, text=True)
    assert done.stdout == "plain,config\n"


def test_config_schema():
    assert json.loads(run("config", "schema").output)["properties"]["listen"]


def test_config_show(tmp_path):
    path = tmp_path / "b.yaml"
    path.write_text("cache: {size: 7}\nprocess: {state_dir: state}")
    output = run("config", "show", "--config", str(path)).output
    assert f"# state folder: {tmp_path}/state\n" in output
    assert "  size: 7\n" in output


@pytest.mark.parametrize(
    ("command", "gives_way"), [("run", False), ("exceptions", False), ("lists", True), ("simulate", True)]
)
def test_who_reads_much_stands_back_behind_who_serves(command, gives_way):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    code = f"""import os, sys
from blocker.cli import main
sys.argv = ["blocker", {command!r}, "--help"]
try:
    main()
except SystemExit:
    print("nice:", os.getpriority(os.PRIO_PROCESS, 0))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith(f"nice: {max(own, 10) if gives_way else own}\n")
