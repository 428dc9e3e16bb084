"""`blocker lists diff`: files, indexes and editions of feeds, compared."""

import json

import pytest
from click.testing import CliRunner

from blocker.cli import blocker
from blocker.feeds.store import Store
from tests.feeds.test_store import hold, publish


@pytest.fixture
def run(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "blocker.yaml").write_text(
        "lists: {built_in: false}\nprocess: {state_dir: state}\n"
        f"feeds: [{{name: threats, app: games, url: 'file://{tmp_path}/source'}}]\n"
    )
    (tmp_path / "old.txt").write_text("one.example\ntwo.example\n")
    (tmp_path / "new.txt").write_text("two.example\nthree.example\nfour.example\n")

    def run(*arguments):
        at = [str(tmp_path / each) if "." in each else each for each in arguments]
        return CliRunner().invoke(blocker, ["lists", "diff", *at, "--config", str(tmp_path / "blocker.yaml")])

    return run


def test_files(run):
    done = run("old.txt", "new.txt")
    assert (done.exit_code, done.output) == (1, (
        "new: 2 added, 1 removed (2 before, 3 entries after)\n- one.example\n+ three.example\n+ four.example\n"
    ))  # fmt: skip


def test_the_same(run):
    done = run("old.txt", "old.txt")
    assert (done.exit_code, done.output) == (0, "no difference\n")


def test_limit(run):
    assert run("old.txt", "new.txt", "--limit", "1").output.splitlines()[1:] == [
        "- one.example",
        "+ three.example",
        "+ ... and 1 more (--limit)",
    ]


def test_json(run):
    (change,) = json.loads(run("old.txt", "new.txt", "--json", "--limit", "1").output)["changes"]
    assert change == {
        "app": "new", "before": 2, "after": 3, "added": 2, "removed": 1,
        "added_entries": ["three.example"], "removed_entries": ["one.example"],
    }  # fmt: skip


def test_editions_of_a_feed(run, tmp_path):
    store = Store(tmp_path / "state", "threats")
    with store.lock():
        publish(store, b"one.example\n")
        publish(store, b"one.example\ntwo.example\n", 2.0)
        hold(store, b"two.example\n", 3.0)
    assert (
        run("threats", "threats:held").output == "games: 0 added, 1 removed (2 before, 1 entry after)\n- one.example\n"
    )
    assert run("threats:former", "threats").output.splitlines()[1:] == ["+ two.example"]
    assert run("threats", "old.txt").exit_code == 0


@pytest.mark.parametrize(("asked", "said"), [
    ("nothing", "there is neither such a file nor such a feed"),
    ("threats", "feed threats has not an edition in force"),
    ("threats:held", "feed threats has not a held update"),
    ("threats:newest", "there is neither"),
])  # fmt: skip
def test_what_is_not_there(run, asked, said):
    done = run(asked, "new.txt")
    assert (done.exit_code, said in done.output) == (2, True), done.output
