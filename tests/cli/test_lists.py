"""`blocker lists`: what it shows, and the exit status scripts rely on."""

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
    for part in ("games.chat: off. talk", "game.example", "chat (off)", "games.txt: 1 names, kind suffix"):
        assert part in done.output


def test_show_none_such(folder):
    done = run(folder, "show", "game")
    assert (done.exit_code, "there is no app 'game'" in done.output) == (2, True)


def test_check(folder):
    assert (run(folder, "check").exit_code, run(folder, "check").output) == (0, "2 entries, 0 problems, 0 warnings\n")


def test_check_a_file_beside_them(folder):
    (folder / "new.txt").write_text("a.example\nb c\n")
    done = run(folder, "check", folder / "new.txt")
    assert done.exit_code == 1
    assert f"error: {folder}/new.txt:2: 'b c' is not a domain name" in done.stderr
    (folder / "new.txt").write_text("a.example\na.example\n")
    done = run(folder, "check", folder / "new.txt")
    assert done.exit_code == 0
    assert f"warning: {folder}/new.txt:1: 1 names are listed more than once" in done.stdout


def test_compile(folder):
    done = run(folder, "compile", folder / "out.index")
    assert done.exit_code == 0
    assert done.output.startswith(f"{folder}/out.index: 1 apps, 2 entries in force, 3 names")
    assert Index.open(folder / "out.index").apps["games"].entries == 2


def test_compile_where_nothing_can_be_written(folder):
    done = run(folder, "compile", folder / "none" / "out.index")
    assert (done.exit_code, "cannot be written" in done.output) == (2, True)
