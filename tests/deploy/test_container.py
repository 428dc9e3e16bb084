"""The Containerfile names only what exists: files to copy, commands to run. No engine is needed to see that."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from blocker.cli import SUMMARIES, blocker

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "deploy" / "container" / "Containerfile").read_text()
INSTRUCTIONS = [
    line.split(None, 1) for line in re.sub(r"\\\n\s*", " ", FILE).splitlines() if line and not line.startswith("#")
]


def arguments(keyword: str) -> list[str]:
    return [rest for word, rest in INSTRUCTIONS if word == keyword]


@pytest.mark.parametrize("rest", [rest for rest in arguments("COPY") if not rest.startswith("--from")])
def test_what_is_copied_exists(rest: str) -> None:
    *sources, _ = rest.split()
    for source in sources:
        assert (ROOT / source).exists(), source


def test_what_the_build_needs_is_copied() -> None:
    """pyproject.toml names files; setup.py reads the packages."""
    copied = {source for rest in arguments("COPY") for source in rest.split()[:-1]}
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", "blocker", "domain_lists"} <= copied


@pytest.mark.parametrize("keyword", ["CMD", "HEALTHCHECK"])
def test_commands_exist(keyword: str) -> None:
    (rest,) = arguments(keyword)
    words = yaml.safe_load(rest[rest.index("[") :])
    command, *options = words[1:] if words[0].endswith("/blocker") else words
    assert command in SUMMARIES
    offered = CliRunner().invoke(blocker, [command, "--help"]).output
    assert all(option in offered for option in options if option.startswith("--"))
    assert options[-1] == "/etc/blocker/blocker.yaml"


def test_its_configuration_would_start() -> None:
    said = CliRunner().invoke(blocker, ["check", str(ROOT / "deploy" / "container" / "blocker.yaml")])
    assert said.exit_code == 0, said.output


def test_published_ports_are_served() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "container" / "blocker.yaml").read_text())
    served = {end.rpartition(":")[2] for end in [*config["listen"], config["metrics"]["listen"]]}
    (exposed,) = arguments("EXPOSE")
    assert {port.partition("/")[0] for port in shlex.split(exposed)} == served


def test_it_does_not_run_as_root() -> None:
    assert arguments("USER") == ["blocker"]
