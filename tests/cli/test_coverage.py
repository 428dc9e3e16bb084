"""`blocker coverage`: what it prints, and when it cannot."""

import json

import pytest
from click.testing import CliRunner

from blocker.cli import blocker
from tests.simulate.estates import OLD, estate, line


@pytest.fixture
def folder(tmp_path):
    estate(tmp_path / "now", OLD)
    (tmp_path / "names.txt").write_text("www.game.example\nplain.example\nbad/name\nchat.example\n")
    (tmp_path / "q.jsonl").write_text(line("a.far.example") * 3)
    return tmp_path


def run(folder, *arguments):
    return CliRunner().invoke(
        blocker, ["coverage", "--config", str(folder / "now" / "blocker.yaml"), *map(str, arguments)]
    )


def test_tables(folder):
    done = run(folder, folder / "names.txt", folder / "q.jsonl")
    assert done.exit_code == 0
    assert "4 names, 6 queries; 1 bad lines were left out; 3 names are matched" in done.stdout
    assert "games: entries that are hit (2)" in done.stdout


def test_json_of_one_app(folder):
    said = json.loads(run(folder, folder / "names.txt", "--app", "chat", "--json").stdout)
    assert [(each["app"], each["names"], each["hits"][0]["entry"]) for each in said["apps"]] == [
        ("chat", 1, "chat.example")
    ]


def test_limit(folder):
    said = json.loads(run(folder, folder / "names.txt", folder / "q.jsonl", "--limit", 1, "--json").stdout)
    assert [(each["hit"], len(each["hits"])) for each in said["apps"] if each["app"] == "games"] == [(2, 1)]


@pytest.mark.parametrize(("arguments", "why"), [
    (("--app", "nothere"), "there is no app 'nothere'"),
    (("--format", "dnstap"), "no name could be read"),
])  # fmt: skip
def test_it_cannot_be_said(folder, arguments, why):
    done = run(folder, folder / "names.txt", *arguments)
    assert (done.exit_code, why in done.stderr) == (2, True)
