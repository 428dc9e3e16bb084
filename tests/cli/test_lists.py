"""`blocker lists`: what it shows, and the exit status scripts rely on."""

import json

import pytest
from click.testing import CliRunner

from blocker.cli import blocker
from blocker.lists.index import Index

GAMES = (
    "app: games\ntitle: Games [all]\nswitches:\n  chat: {default: false, about: talk}\nentries:\n"
    "  - {value: game.example, kind: suffix, note: why}\n  - {value: chat.example, kind: suffix, switch: chat}\n"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "games.yaml").write_text(GAMES)
    (tmp_path / "lists" / "games.txt").write_text("plain.example\n")
    (tmp_path / "blocker.yaml").write_text("lists: {built_in: false, directories: [lists]}\n")
    return tmp_path


def run(folder, *arguments):
    return CliRunner().invoke(blocker, ["lists", *map(str, arguments), "--config", str(folder / "blocker.yaml")])


def test_show_all(folder):
    done = run(folder, "show")
    assert done.exit_code == 0
    assert "Games [all]" in done.output
    assert "chat: off" in done.output


def test_show_one(folder):
    done = run(folder, "show", "games")
    assert done.exit_code == 0
    for part in ("games.chat: off. talk", "game.example", "chat (off)", "games.txt: 1 name, kind suffix"):
        assert part in done.output


def test_show_none_such(folder):
    done = run(folder, "show", "game")
    assert (done.exit_code, "there is no app 'game'" in done.output) == (2, True)


def test_check(folder):
    assert (run(folder, "check").exit_code, run(folder, "check").output) == (0, "2 entries, 0 problems, 0 warnings\n")


def test_what_is_in_shadow_is_said(folder):
    text = GAMES.replace("note: why}", "note: why, shadow: true}")
    (folder / "lists" / "games.yaml").write_text(text)
    assert run(folder, "check").output == "2 entries, 1 of them in shadow, 0 problems, 0 warnings\n"
    assert "(1 in shadow)" in run(folder, "show").output
    assert "block (shadow)" in run(folder, "show", "games").output


def test_check_a_file_beside_them(folder):
    (folder / "new.txt").write_text("a.example\nb c\n")
    done = run(folder, "check", folder / "new.txt")
    assert done.exit_code == 1
    assert f"error: {folder}/new.txt:2: 'b c' is not a domain name" in done.stderr
    (folder / "new.txt").write_text("a.example\na.example\n")
    done = run(folder, "check", folder / "new.txt")
    assert done.exit_code == 0
    assert f"warning: {folder}/new.txt:1: 1 name is listed more than once" in done.stdout


def test_compile(folder):
    done = run(folder, "compile", folder / "out.index")
    assert done.exit_code == 0
    assert done.output.startswith(f"{folder}/out.index: 1 app, 2 entries in force, 3 names")
    assert Index.open(folder / "out.index").apps["games"].entries == 2


def test_compile_where_nothing_can_be_written(folder):
    done = run(folder, "compile", folder / "none" / "out.index")
    assert (done.exit_code, "cannot be written" in done.output) == (2, True)


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        ("a b\n", "1 problem, 0 warnings"),
        ("a b\nc d\n", "2 problems, 0 warnings"),
        ("a.example\n", "3 entries, 0 problems"),
    ],
)
def test_counts_are_worded_right(folder, lines, counts):
    (folder / "new.txt").write_text(lines)
    assert counts in run(folder, "check", folder / "new.txt").stdout


def test_overrides_are_shown(folder):
    override = "{name: canada.ca, reason: a drill, by: the minister}"
    (folder / "blocker.yaml").write_text(f"lists: {{built_in: false, directories: [lists], overrides: [{override}]}}\n")
    (folder / "lists" / "games.txt").write_text("canada.ca\n")
    done = run(folder, "check")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (
        0, "override: canada.ca may be blocked: a drill (the minister)",
    )  # fmt: skip


def test_a_list_of_somebody_elses_can_be_tried(folder):
    (folder / "theirs").write_text("||a.example^\n||canada.ca^\n##.banner\nx.example##.banner\n||b..example^\n")
    done = run(folder, "try", folder / "theirs")
    lines = done.stdout.splitlines()
    assert (done.exit_code, lines[0]) == (0, f"{folder}/theirs: read as adblock: 1 name")
    assert lines[1] == "it: 3 lines left out: 1 malformed, 1 unsupported, 1 refused"
    assert lines[2].startswith(f"  {folder}/theirs:2: 'canada.ca' would block canada.ca, which must resolve: ")
    said = json.loads(run(folder, "try", folder / "theirs", "--json").stdout)
    assert (said["format"], said["names"], said["bad"], said["unsupported"], said["refused"]) == ("adblock", 1, 1, 1, 1)


def test_a_list_that_blocks_a_whole_hoster_is_told_of(folder):
    (folder / "theirs").write_text("a.example\ngithub.io\n@@web.app\nx.pages.dev\n")
    done = run(folder, "try", folder / "theirs")
    assert done.stdout.splitlines()[-1].startswith(
        "warning: feed theirs: strangers have names below github.io (line 2)."
    )


def test_what_is_no_list_cannot_be_tried(folder):
    (folder / "theirs").write_text("<!doctype html><html>")
    done = run(folder, "try", folder / "theirs")
    assert (done.exit_code, "this is a web page, not a list" in done.stderr) == (1, True)
