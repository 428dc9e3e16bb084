"""Where a rollout stands: the newer decision counts, but a return by itself waits for a person."""

from dataclasses import replace

import pytest

from blocker.config import Config, Plan, Stage
from blocker.rollout import plan as plans
from blocker.rollout.plan import Position, applied, at, following, position

TRIAL = Plan.model_validate({"name": "trial", "app": "tiktok", "groups": ["pilot"], "percent": 25})


def plan(**changed):
    return TRIAL.model_copy(update=changed)


ALL = at(TRIAL, Stage.ALL, by="ada", why="it is fine", since=100.0)
BACK = at(TRIAL, Stage.SHADOW, by=plans.ITSELF, why="hits", since=200.0, returned=True)


@pytest.mark.parametrize(
    ("settings", "moved", "stage"),
    [
        (TRIAL, None, "shadow"),  # as configured
        (plan(stage=Stage.PERCENT), None, "percent 25 and groups pilot"),
        (plan(stage=Stage.GROUPS), None, "groups pilot"),
        (TRIAL, ALL, "all"),  # moved, and nobody has said otherwise since
        (plan(stage=Stage.PERCENT, groups=()), ALL, "percent 25"),  # the configuration was changed after the move
        (plan(percent=30), ALL, "all"),  # which this does not: its stage is the same
        (plan(app="wechat"), ALL, "shadow"),  # another rollout under the same name
        (TRIAL, BACK, "shadow"),
        (plan(stage=Stage.ALL), BACK, "shadow"),  # no edit lifts a return by itself
        (plan(app="wechat", stage=Stage.ALL), BACK, "all"),
    ],
)
def test_position(settings, moved, stage):
    found = position(settings, moved)
    assert str(found) == stage
    assert found.returned is (moved is BACK and settings.app == "tiktok")


@pytest.mark.parametrize(
    ("settings", "stage", "next_one"),
    [
        (TRIAL, Stage.SHADOW, Stage.GROUPS),
        (plan(groups=()), Stage.SHADOW, Stage.PERCENT),  # no groups are named
        (TRIAL, Stage.GROUPS, Stage.PERCENT),
        (TRIAL, Stage.PERCENT, Stage.ALL),
        (TRIAL, Stage.ALL, Stage.ALL),
    ],
)
def test_following(settings, stage, next_one):
    assert following(settings, Position(stage)) is next_one


@pytest.mark.parametrize(
    ("stage", "more", "words"),
    [
        (Stage.PERCENT, {}, "percent 25 and groups pilot"),
        (Stage.PERCENT, {"percent": 50, "groups": ("a",)}, "percent 50 and groups a"),
        (Stage.GROUPS, {}, "groups pilot"),
        (Stage.GROUPS, {"groups": ("a", "b")}, "groups a, b"),
        (Stage.ALL, {"percent": 50}, "all"),
    ],
)
def test_at(stage, more, words):
    assert str(at(TRIAL, stage, by="ada", why="why", **more)) == words


@pytest.mark.parametrize(
    ("moved", "held"),
    [
        (BACK, "app tiktok"),  # to take it out of the configuration would enforce it at once
        (replace(BACK, about="feed theirs.example"), "feed theirs.example"),
        (replace(BACK, returned=False), None),  # a person put it there, and a person took it out
        (ALL, None),
        (replace(BACK, about="nonsense"), None),
        (replace(BACK, about="app No App"), None),
        (replace(BACK, about="stage all"), None),
    ],
)
def test_one_that_went_back_stays_back_when_it_is_configured_no_more(moved, held):
    found = applied(Config(), {"trial": moved}).rollout.plans
    assert [(each.about, each.stage) for each in found] == ([(held, Stage.SHADOW)] if held else [])
    assert [each.name for each in plans.held(Config(), {"trial": moved})] == (["trial"] if held else [])


def test_a_configuration_with_its_rollouts_where_they_stand():
    said = {"plans": [TRIAL.model_dump(), {"name": "other", "file": "a.txt", "stage": "all"}]}
    config = Config.model_validate({"groups": [{"name": "pilot", "clients": ["10.0.0.0/8"]}], "rollout": said})
    moved = replace(at(TRIAL, Stage.PERCENT, by="ada", why="why"), percent=60)
    first, second = applied(config, {"trial": moved}).rollout.plans
    assert (first.stage, first.percent, first.groups) == (Stage.PERCENT, 60, ("pilot",))
    assert second == config.rollout.plans[1]
    assert applied(Config(), {}) == Config()
