"""A configuration and its lists, prepared by one process and opened by others."""

import json
import os
import time
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from blocker import config as configuration
from blocker import names
from blocker.config import Config, Stage
from blocker.errors import ArtifactError, ConfigError, ListError
from blocker.feeds.store import Store
from blocker.policy import Action, decide
from blocker.rollout import plan, state
from blocker.serve import generation
from blocker.serve.excepted import Standing
from blocker.serve.generation import Generation
from tests.feeds.test_store import publish

LIST = "banned.example\n@@help.banned.example\n"


@pytest.fixture(autouse=True)
def no_log_setting_is_left():
    """`capture_logs` leaves structlog configured as if the product had done so; other tests' logs would go astray."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def overrides(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "own.txt").write_text(LIST)
    (tmp_path / "state").mkdir()
    return {
        "lists.built_in": False,
        "lists.directories": [tmp_path / "lists"],
        "process.state_dir": tmp_path / "state",
        "upstream.servers": ["192.0.2.53"],
    }


def opened_at(path, moment=0.0, exceptions="", ends=None):
    return Generation.open(Standing(str(path), exceptions, moment, ends or {}))


def said_of(opened, name):
    return decide(opened.clients.unlisted, opened.index, names.from_text(name)).action


def test_a_copy_of_a_feed_that_is_no_list_any_more_stops_no_start(tmp_path, overrides):
    """As when its `format` was changed, or a newer version reads more strictly; a reload is refused, and says why."""
    store = Store(tmp_path / "state", "ads")
    with store.lock():
        publish(store, b"0.0.0.0 ads.example\n")
    overrides["feeds"] = [{"name": "ads", "app": "ads", "url": "file:///srv/ads", "format": "dnsmasq"}]
    with capture_logs() as logs:
        said = generation.prepare(None, overrides, 1, first=True)
    assert said_of(opened_at(said["path"]), "banned.example") is Action.SINKHOLE
    (told,) = [each["why"] for each in logs if each["log_level"] == "error"]
    assert told.startswith("feed ads: ")
    assert "not one line is a rule, read as dnsmasq" in told
    with pytest.raises(ListError, match="not one line is a rule, read as dnsmasq"):
        generation.prepare(None, overrides, 2)
    (tmp_path / "lists/own.txt").write_text("not a name\n")
    with pytest.raises(ListError, match="not a name"):
        generation.prepare(None, overrides, 3, first=True)


def test_what_is_prepared_can_be_opened(overrides):
    said = generation.prepare(None, overrides, 7)
    assert (said["number"], said["apps"]["own"]["entries"]) == (7, 2)
    opened = opened_at(said["path"])
    assert opened.number == 7
    assert [str(server) for server in opened.servers] == ["192.0.2.53:53"]
    assert said_of(opened, "www.banned.example") is Action.SINKHOLE
    assert said_of(opened, "help.banned.example") is Action.PASSTHRU
    assert said_of(opened, "www.example") is Action.PASSTHRU
    assert opened.cache_limits(4).size == opened.cache_limits(1).size // 4


def test_overrides_are_in_the_operators_log_at_each_load(overrides, tmp_path):
    config = tmp_path / "blocker.yaml"
    config.write_text("lists: {overrides: [{name: canada.ca, reason: a drill, by: the minister}]}\n")
    for number in (1, 2):
        with capture_logs() as told:
            generation.prepare(config, overrides, number)
        (said,) = told
        assert (said["log_level"], said["name"], said["reason"], said["by"]) == (
            "warning", "canada.ca", "a drill", "the minister",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "keys"),
    [
        ({}, []),
        ({"answers.ttl": 5, "upstream.timeout": 0.5, "lists.disable": ["tiktok"]}, []),
        ({"listen": ["127.0.0.1:0"], "log.queries": "stdout"}, ["listen", "log"]),
        ({"process.workers": 7, "lists.watch": False, "metrics.listen": None}, ["lists.watch", "metrics", "process"]),
    ],
)
def test_what_only_a_start_puts_in_force(overrides, changed, keys):
    before = generation.at_start(configuration.load(None, overrides))
    after = generation.at_start(configuration.load(None, overrides | changed))
    assert sorted(key for key in before if before[key] != after[key]) == keys


def test_what_is_to_be_watched(overrides, tmp_path):
    config = tmp_path / "blocker.yaml"
    config.write_text("answers: {ttl: 5}\n")
    watched = generation.prepare(config, overrides, 1)["watch"]
    assert str(tmp_path / "lists") in watched
    assert str(config) in watched
    assert not any("resolv.conf" in path for path in watched)


def test_name_servers_that_change_are_noticed_where_they_are_asked(overrides, tmp_path):
    file = tmp_path / "resolv.conf"
    overrides = {key: value for key, value in overrides.items() if key != "upstream.servers"}
    looks = []
    for number, server in enumerate(("192.0.2.1", "192.0.2.22"), 1):
        file.write_text(f"nameserver {server}\n")
        said = generation.prepare(None, overrides | {"upstream.resolv_conf": file}, number)
        assert str(file) in said["watch"]
        looks.append(said["looked"])
    assert looks[0] != looks[1]


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"process.workers": 7}, True),  # how we run is no policy
        ({"listen": ["127.0.0.1:0"]}, True),
        ({"answers.ttl": 5}, False),
        ({"protection.rebinding": False}, False),
        ({"groups": [{"name": "staff", "clients": ["192.0.2.0/24"]}]}, False),
    ],
)
def test_a_policy_has_one_version_wherever_it_is_in_force(overrides, changed, same):
    first = generation.prepare(None, overrides, 1)
    second = generation.prepare(None, overrides | changed, 2)
    assert (second["policy"] == first["policy"]) is same
    basis = opened_at(second["path"]).basis
    assert (basis.policy, basis.lists) == (second["policy"][:16], second["digest"][:16])


def test_lists_that_did_not_change_are_not_compiled_again(overrides, tmp_path):
    first = generation.prepare(None, overrides, 1)
    (index,) = (tmp_path / "state").glob("lists-*.index")
    before = index.stat().st_mtime_ns
    assert generation.prepare(None, overrides, 2)["digest"] == first["digest"]
    assert index.stat().st_mtime_ns == before
    (tmp_path / "lists" / "own.txt").write_text("other.example\n")
    assert generation.prepare(None, overrides, 3)["digest"] != first["digest"]
    assert len(list((tmp_path / "state").glob("lists-*.index"))) == 2


def test_only_some_old_files_stay(overrides, tmp_path):
    for number in range(1, 9):
        (tmp_path / "lists" / "own.txt").write_text(f"name{number}.example\n")
        generation.prepare(None, overrides, number)
        now = time.time() + number  # files of one moment have no order
        for file in (tmp_path / "state").glob(f"generation-{number}.json"):
            os.utime(file, (now, now))
    state = tmp_path / "state"
    assert (state / "generation-8.json").exists()
    assert 1 <= len(list(state.glob("generation-*.json"))) <= 3
    assert 1 <= len(list(state.glob("lists-*.index"))) <= 3
    assert not list(state.glob("*.draft"))
    opened_at(state / "generation-8.json")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"unlisted.actions": {"nothing": "nxdomain"}}, ConfigError),
        ({"cache.size": -1}, ConfigError),
        ({"upstream.servers": ["nonsense"]}, ConfigError),
    ],
)
def test_a_bad_configuration_leaves_nothing_to_serve_from(overrides, tmp_path, change, error):
    with pytest.raises(error):
        generation.prepare(None, overrides | change, 1)
    assert not list((tmp_path / "state").glob("generation-*"))


def test_a_bad_list_leaves_nothing_to_serve_from(overrides, tmp_path):
    (tmp_path / "lists" / "bad.yaml").write_text("app: bad\nentries:\n  - {value: not a name, kind: suffix}\n")
    with pytest.raises(ListError, match=r"bad\.yaml:3: "):
        generation.prepare(None, overrides, 1)
    assert not list((tmp_path / "state").iterdir())


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, None])
def test_a_damaged_index_is_refused_by_who_opens_it_and_compiled_anew_by_who_prepares(overrides, tmp_path, damage):
    path = generation.prepare(None, overrides, 1)["path"]
    (index,) = (tmp_path / "state").glob("lists-*.index")
    whole = index.read_bytes()
    index.unlink()
    if damage is not None:
        index.write_bytes(damage or whole[: len(whole) // 2])
    with pytest.raises(ArtifactError):
        opened_at(path)
    assert said_of(opened_at(generation.prepare(None, overrides, 2)["path"]), "banned.example") is Action.SINKHOLE


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'"text"', b'{"config": {}, "number": 1}', b"\xff\xfe"])
def test_what_is_no_generation_is_refused(tmp_path, content):
    path = tmp_path / "generation-1.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="not a generation"):
        opened_at(path)


def test_a_generation_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="not a generation"):
        opened_at(tmp_path / "generation-1.json")


def test_a_folder_that_cannot_be_made_is_named(overrides, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=r"cannot be written.*process\.state_dir"):
        generation.prepare(None, overrides | {"process.state_dir": tmp_path / "file" / "nowhere"}, 1)


def test_a_folder_that_is_gone_is_made_again(overrides, tmp_path):
    said = generation.prepare(None, overrides | {"process.state_dir": tmp_path / "a" / "b"}, 1)
    assert Path(said["path"]).parent == tmp_path / "a" / "b"


def test_the_file_holds_what_was_configured(overrides):
    said = json.loads(Path(generation.prepare(None, overrides | {"answers.ttl": 5}, 1)["path"]).read_bytes())
    assert said["config"]["answers"]["ttl"] == 5


PLAN = {"name": "trial", "file": "own.txt"}


def moved(folder, overrides, stage):
    """Move the rollout."""
    (trial,) = Config.model_validate({"rollout": {"plans": [PLAN]}}).rollout.plans
    state.move(folder, "trial", plan.at(trial, stage, by="ada", why="why", since=5.0), keep=frozenset({"trial"}))


def test_a_rollout_stands_where_it_was_moved_to_and_nothing_is_compiled_for_that(overrides, tmp_path):
    overrides = overrides | {"rollout.plans": [PLAN]}
    first = generation.prepare(None, overrides, 1)
    assert said_of(opened_at(first["path"]), "banned.example") is Action.PASSTHRU
    assert [each["words"] for each in first["rollouts"]] == ["shadow"]
    (index,) = (tmp_path / "state").glob("lists-*.index")
    before = index.stat().st_mtime_ns
    moved(tmp_path / "state", overrides, Stage.ALL)
    second = generation.prepare(None, overrides, 2)
    assert said_of(opened_at(second["path"]), "banned.example") is Action.SINKHOLE
    assert [(each["words"], each["by"]) for each in second["rollouts"]] == [("all", "ada")]
    assert (index.stat().st_mtime_ns, second["digest"]) == (before, first["digest"])
    assert second["policy"] != first["policy"]  # what records say was in force
    assert opened_at(second["path"]).basis.policy == second["policy"][:16]


def test_what_was_moved_comes_into_force_even_if_the_rest_is_refused(overrides, tmp_path):
    overrides = overrides | {"rollout.plans": [PLAN | {"stage": "all"}]}
    first = generation.prepare(None, overrides, 1)
    assert generation.restaged(first, 2) is None  # nothing was
    moved(tmp_path / "state", overrides, Stage.SHADOW)
    overrides_then = tmp_path / "state" / state.FILE
    overrides_then.write_text(overrides_then.read_text().replace('"configured": "shadow"', '"configured": "all"'))
    (tmp_path / "lists" / "own.txt").write_text("not a name\n")
    second = generation.restaged(first, 2)
    assert (second["number"], second["digest"], second["rollouts"][0]["words"]) == (2, first["digest"], "shadow")
    opened = opened_at(second["path"])
    assert said_of(opened, "banned.example") is Action.PASSTHRU
    assert opened.basis.policy == second["policy"][:16]
    with pytest.raises(ArtifactError, match="not a generation"):
        generation.restaged({"path": str(tmp_path / "nothing")}, 3)


def test_a_rollout_of_a_file_that_there_is_not_is_refused(overrides):
    with pytest.raises(ConfigError, match=r"there is no list file 'other\.txt'"):
        generation.prepare(None, overrides | {"rollout.plans": [PLAN | {"file": "other.txt"}]}, 1)
