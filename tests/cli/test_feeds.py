"""Commands that read lists see what feeds have in force."""

import pytest
from click.testing import CliRunner

from blocker.cli import blocker
from blocker.feeds.store import Store
from tests.feeds.test_store import publish


@pytest.fixture
def run(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "blocker.yaml").write_text(
        "lists: {built_in: false}\nprocess: {state_dir: state}\nupstream: {servers: [192.0.2.53]}\n"
        "groups: [{name: staff, clients: [10.0.0.0/8], block: [games]}]\n"
        "feeds: [{name: threats, app: games, url: 'file:///srv/threats'}]\n"
    )

    def run(*arguments):
        file = str(tmp_path / "blocker.yaml")
        return CliRunner().invoke(blocker, [*arguments, *([file] if arguments[0] == "check" else ["--config", file])])

    return run


@pytest.fixture
def fetched(tmp_path):
    store = Store(tmp_path / "state", "threats")
    with store.lock():
        publish(store, b"one.example\ntwo.example\n")
    return store


@pytest.mark.parametrize(("arguments", "said"), [
    (["lists", "show"], "games"),
    (["lists", "check"], "2 entries, 0 problems"),
    (["lists", "compile", "OUT"], "1 app, 2 entries in force"),
    (["explain", "www.one.example"], "www.one.example: blocked"),
    (["check"], "1 feed, 2 entries"),
])  # fmt: skip
def test_feeds_are_seen(run, fetched, tmp_path, arguments, said):
    done = run(*[str(tmp_path / "out.index") if each == "OUT" else each for each in arguments])
    assert said in done.output
    assert "warning" not in done.stderr


def test_a_category_is_blocked_like_an_app_but_passes_for_none(run, fetched, tmp_path):
    path = tmp_path / "blocker.yaml"
    path.write_text(path.read_text().replace("app: games", "category: games"))
    done = run("explain", "www.one.example", "--client", "10.0.0.1")
    assert "  app     games (games, a category: no decision bans it)\n" in done.output
    assert "  reason  Names of this category are blocked by the policy of this network.\n" in done.output
    assert "legal" not in done.output
    assert "no decision: a category" in run("lists", "show").output


@pytest.mark.parametrize(("arguments", "status", "said"), [
    (["lists", "check"], 0, "0 entries, 0 problems"),
    (["explain", "www.one.example"], 0, "www.one.example: allowed"),
    (["check"], 0, "1 feed, 0 entries"),
])  # fmt: skip
def test_a_feed_that_was_never_fetched_is_told_and_stops_nothing(run, arguments, status, said):
    done = run(*arguments)
    assert (done.exit_code, said in done.output) == (status, True), done.output
    assert "warning: feed threats was never fetched" in done.stderr
