"""The exceptions beside a generation: read anew without the lists, and what serves them knows no store."""

from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from blocker import names
from blocker.config import Config
from blocker.errors import ArtifactError, ExceptionsError
from blocker.exceptions import entry, store
from blocker.exceptions.entry import Grant, Person
from blocker.policy import Action, decide
from blocker.serve import excepted, generation
from blocker.serve.excepted import Standing
from blocker.serve.generation import Generation

NOW = 1_795_608_000
NAME = names.from_text("www.banned.example")


@pytest.fixture(autouse=True)
def no_log_setting_is_left():
    yield
    structlog.reset_defaults()


@pytest.fixture
def overrides(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "own.txt").write_text("banned.example\n")
    (tmp_path / "state").mkdir()
    return {
        "lists.built_in": False,
        "lists.directories": [tmp_path / "lists"],
        "process.state_dir": tmp_path / "state",
        "upstream.servers": ["192.0.2.53"],
    }


@pytest.fixture
def found(tmp_path):
    return Config.model_validate({"process": {"state_dir": tmp_path / "state"}})


def approve(found, ends=NOW + 100, starts=0):
    """Have somebody ask for an exception, and somebody else approve it."""
    with store.opened(found) as kept:
        grant = Grant("", "INC-1", "suffix", "banned.example", "", "", "", starts, ends)
        made = kept.add(entry.request(grant, "a drill", Person("ines"), NOW, longest=10**9), NOW)
        number = made.grant.id
        return kept.change(number, "approved", lambda each: entry.approve(each, Person("omar"), NOW), NOW)


def verdict(standing, before=None):
    opened = Generation.open(standing, before)
    return decide(opened.clients.unlisted, opened.index, NAME)


@pytest.mark.parametrize(
    ("moment", "ends", "action", "turns"),
    [
        (NOW, {}, Action.PASSTHRU, NOW + 100),
        (NOW + 99.9, {}, Action.PASSTHRU, NOW + 100),
        (NOW + 100, {}, Action.SINKHOLE, None),
        (NOW, {"1": NOW + 50.5}, Action.PASSTHRU, NOW + 50),  # cut short: the clock was set back
        (NOW + 60, {"1": NOW + 50.5}, Action.SINKHOLE, None),
        (NOW, {"1": 0.0}, Action.SINKHOLE, None),
        (NOW, {"1": NOW + 500.0}, Action.PASSTHRU, NOW + 100),  # never longer
        (NOW, {"2": 0.0}, Action.PASSTHRU, NOW + 100),
    ],
)
def test_what_holds_at_a_moment(overrides, found, moment, ends, action, turns):
    approve(found)
    said = generation.prepare(None, overrides, 1)
    standing = Standing(said["path"], said["exceptions"]["path"], moment, ends)
    assert Standing.of(standing.said()) == standing
    assert verdict(standing).action is action
    assert Generation.open(standing).clients.turns == turns


def test_they_are_read_anew_without_the_lists(overrides, found, tmp_path):
    said = generation.prepare(None, overrides, 1)
    before = Generation.open(Standing(said["path"], said["exceptions"]["path"], NOW, {}))
    approve(found)
    (tmp_path / "lists" / "own.txt").write_text("not a name\n")  # somebody is at it
    amended = excepted.amend(said, 2)
    assert (amended["seq"], amended["counts"], amended["granted"]) == (2, {"approved": 1}, {"1": [NOW, NOW + 100]})
    standing = Standing(said["path"], amended["path"], NOW, {})
    assert verdict(standing).waiver is None or verdict(standing).waiver.id == "1"
    after = Generation.open(standing, before)
    assert decide(after.clients.unlisted, after.index, NAME).waiver.id == "1"
    assert (after.index, after.number) == (before.index, before.number)  # a million rules are not looked at


def test_what_cannot_be_read_refuses_a_reload_but_no_start(overrides, found, tmp_path):
    approve(found)
    said = generation.prepare(None, overrides, 1)
    (tmp_path / "state" / "exceptions.db").write_bytes(b"not a database" * 100)
    for refused in (lambda: generation.prepare(None, overrides, 2), lambda: excepted.amend(said, 3)):
        with pytest.raises(ExceptionsError, match=r"exceptions\.db: cannot be used"):
            refused()
    assert verdict(Standing(said["path"], said["exceptions"]["path"], NOW, {})).action is Action.PASSTHRU
    with capture_logs() as told:
        first = generation.prepare(None, overrides, 4, first=True)
    assert [line["event"] for line in told] == ["exceptions cannot be read; none is in force"]
    assert (first["exceptions"]["counts"], first["exceptions"]["granted"]) == (None, {})
    assert verdict(Standing(first["path"], first["exceptions"]["path"], NOW, {})).action is Action.SINKHOLE


def test_without_its_store_a_start_does_not_know_which_of_a_bundle_have_ended(found, tmp_path):
    brought = Grant("bundle:7", "", "suffix", "banned.example", "", "", "", NOW - 50, NOW + 100, "omar")
    folder = tmp_path / "state"
    folder.mkdir()
    assert list(excepted.prepare(found, folder, 1, [brought])["granted"]) == ["bundle:7"]
    (folder / "exceptions.db").write_bytes(b"not a database" * 100)
    with pytest.raises(ExceptionsError, match="cannot be used"):
        excepted.prepare(found, folder, 2, [brought])
    with capture_logs():
        assert excepted.prepare(found, folder, 3, [brought], first=True)["granted"] == {}


def test_one_for_a_group_that_is_gone_is_told(found, tmp_path):
    brought = Grant("bundle:7", "", "suffix", "banned.example", "", "press", "", NOW - 50, NOW + 100, "omar")
    (tmp_path / "state").mkdir(exist_ok=True)
    with capture_logs() as told:
        excepted.prepare(found, tmp_path / "state", 1, [brought, replace(brought, id="bundle:8", group="default")])
    assert [(line["event"], line["exception"], line["no_such_group"]) for line in told] == [
        ("an exception lifts nothing", "bundle:7", "press")
    ]


def test_a_damaged_file_is_refused_by_who_opens_it(overrides):
    said = generation.prepare(None, overrides, 1)
    with pytest.raises(ArtifactError, match="not a file of exceptions"):
        Generation.open(Standing(said["path"], said["path"] + "x", NOW, {}))
    with pytest.raises(ArtifactError, match="not a generation"):
        excepted.amend({"path": said["path"] + "x"}, 2)


def test_a_turn_needs_no_file(overrides, found, tmp_path):
    approve(found)
    said = generation.prepare(None, overrides, 1)
    standing = Standing(said["path"], said["exceptions"]["path"], NOW, {})
    before = Generation.open(standing)
    for file in (tmp_path / "state").glob("*.json"):
        file.unlink()
    during = Generation.open(standing._replace(moment=NOW + 99.0), before)
    after = Generation.open(standing._replace(moment=NOW + 100.0), during)
    actions = [decide(each.clients.unlisted, each.index, NAME).action for each in (before, during, after)]
    assert actions == [Action.PASSTHRU, Action.PASSTHRU, Action.SINKHOLE]
