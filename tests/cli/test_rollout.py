"""`blocker rollout`: what it shows, and what it moves. The commands against a running blocker are in tests/e2e."""

import json

import pytest
from click.testing import CliRunner

from blocker.cli import blocker
from blocker.config import account

CONFIG = """\
lists: {built_in: false, directories: [lists]}
process: {state_dir: state}
groups: [{name: pilot, clients: [192.0.2.0/28]}]
rollout:
  plans:
    - {name: trial, file: trial.txt, groups: [pilot], percent: 20}
    - {name: games, app: trial, stage: all, return_after: 0}
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "lists" / "trial.txt").write_text("new.example\n")
    (tmp_path / "blocker.yaml").write_text(CONFIG)

    def run(*arguments):
        return CliRunner().invoke(blocker, [*arguments, "--config", str(tmp_path / "blocker.yaml")])

    return run


def test_list(run):
    done = run("rollout", "list")
    assert done.exit_code == 0, done.output
    for part in ("trial", "file trial.txt", "shadow", "games", "app trial", "all", "configuration"):
        assert part in done.output
    first, second = json.loads(run("rollout", "list", "--json").output)
    assert (first["stage"], first["since"], second["stage"], second["percent"]) == ("shadow", None, "all", None)


def test_where_there_are_none(run, tmp_path):
    (tmp_path / "blocker.yaml").write_text(CONFIG.partition("rollout:")[0])
    assert run("rollout", "list").output == "there are no rollouts: none is written below rollout.plans\n"
    assert json.loads(run("rollout", "list", "--json").output) == []


@pytest.mark.parametrize(
    ("options", "stage"),
    [
        ([], "groups pilot"),
        (["--to", "percent"], "percent 20 and groups pilot"),
        (["--percent", "50", "--group", "default"], "percent 50 and groups default"),
        (["--group", "default", "--group", "pilot"], "groups default, pilot"),
        (["--to", "all"], "all"),
    ],
)
def test_advance(run, options, stage):
    done = run("rollout", "advance", "trial", "--reason", "so far so good", "--by", "ada", *options)
    assert (done.exit_code, done.output) == (
        0, f"rollout trial: {stage}, from the next start on: no blocker is running\n",
    )  # fmt: skip
    shown = run("rollout", "show", "trial").output
    assert f"stage      {stage}\n" in shown
    assert f"{stage}, ada ({account()}): so far so good" in shown
    assert "no blocker is running that knows it" in shown


def test_step_by_step_and_back(run):
    for stage in ("groups pilot", "percent 20 and groups pilot", "all", "all"):
        assert f"trial: {stage}," in run("rollout", "advance", "trial", "--reason", "next").output
    assert "take it out of rollout.plans" in run("rollout", "show", "trial").output
    assert "trial: shadow," in run("rollout", "return", "trial", "--reason", "complaints").output
    said = json.loads(run("rollout", "show", "trial", "--json").output)
    assert (said["stage"], said["returned"], said["by"], said["why"]) == ("shadow", False, account(), "complaints")
    assert [move["stage"] for move in said["moves"]] == [
        "groups pilot",
        "percent 20 and groups pilot",
        "all",
        "all",
        "shadow",
    ]
    assert said["counted"] is None


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["advance", "trail", "--reason", "x"], "there is no rollout 'trail'; did you mean 'trial'?"),
        (["advance", "trial"], "Missing option '--reason'"),
        (["advance", "trial", "--reason", "x", "--to", "all", "--percent", "5"], "speak of different stages"),
        (["advance", "trial", "--reason", "x", "--group", "pilto"], "there is no group 'pilto'"),
        (["advance", "trial", "--reason", "x", "--percent", "100"], "not in the range"),
        (["advance", "games", "--reason", "x", "--to", "groups"], "names no groups"),
        (["show", "nothing"], "there is no rollout 'nothing'"),
    ],
)
def test_refused(run, arguments, problem):
    done = run("rollout", *arguments)
    assert done.exit_code == 2
    assert problem in done.output + done.stderr


def test_explain_says_where_the_rollout_stands_and_whether_it_has_reached_the_client(run):
    run("rollout", "advance", "games", "--reason", "x", "--to", "all")
    run("rollout", "advance", "trial", "--reason", "x", "--to", "groups")
    said = run("explain", "new.example", "--client", "192.0.2.1")
    assert said.exit_code == 1
    assert "rollout trial is at stage groups pilot and has reached this client" in said.output
    said = run("explain", "new.example", "--client", "198.51.100.1")
    assert (said.exit_code, "new.example: shadow" in said.output) == (0, True)
    assert "rollout trial is at stage groups pilot and has not reached this client" in said.output
    run("rollout", "advance", "trial", "--reason", "x", "--percent", "99")
    said = run("explain", "new.example", "--client", "198.51.100.1")
    assert "stage percent 99 and groups pilot and has reached this client, number " in said.output
    assert "has not reached this client\n" in run("explain", "new.example").output  # of no client in particular


def test_the_zone_for_other_resolvers_holds_what_has_reached_all(run):
    def zone():
        return run("rpz", "export", "--group", "pilot").output

    assert "new.example" not in zone()
    run("rollout", "advance", "trial", "--reason", "x", "--percent", "99", "--group", "default")
    assert "new.example" not in zone()
    assert "1 entries are left out: they are in shadow, or a rollout has not reached the whole group" in zone()
    run("rollout", "advance", "trial", "--reason", "x", "--group", "pilot")
    assert "new.example A 0.0.0.0" in zone()


def test_a_rollout_of_a_file_that_there_is_not_is_a_mistake(run, tmp_path):
    (tmp_path / "lists" / "trial.txt").rename(tmp_path / "lists" / "trail.txt")
    for command in (("lists", "check"), ("check", str(tmp_path / "blocker.yaml"))):
        done = CliRunner().invoke(
            blocker, [*command, *(() if command[0] == "check" else ("--config", str(tmp_path / "blocker.yaml")))]
        )
        assert done.exit_code == 1
        why = "blocker.yaml:6: rollout.plans.0.file: there is no list file 'trial.txt'; did you mean 'trail.txt'?"
        assert why in done.stderr
