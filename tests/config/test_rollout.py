"""The section on rollouts: what they may be about, and what refers to what."""

from types import SimpleNamespace

import pytest

from blocker import config
from blocker.config import Stage
from blocker.errors import ConfigError

GOOD = """\
groups: [{name: pilot, clients: [192.0.2.0/24]}]
feeds: [{name: ads, url: "file:///srv/ads", app: ads}]
rpz: {imports: [{zone: theirs.example, primaries: [192.0.2.3], app: theirs}]}
rollout:
  salt: somewhere
  plans:
    - {name: one, app: tiktok, stage: percent, percent: 5, return_after: 0, within: 30}
    - {name: two, feed: ads, stage: groups, groups: [pilot, default]}
    - {name: three, file: tiktok-new.yaml}
    - {name: four, feed: theirs.example}
"""


def parsed(tmp_path, text):
    return config.parse(text, "b.yaml", tmp_path)


def test_good(tmp_path):
    one, two, three, four = parsed(tmp_path, GOOD).rollout.plans
    assert (one.stage, one.percent, one.about) == (Stage.PERCENT, 5, "app tiktok")
    assert (two.groups, two.about) == (("pilot", "default"), "feed ads")
    assert (three.stage, three.percent, three.return_after, three.within, three.about) == (
        Stage.SHADOW, 10, 20, 600, "file tiktok-new.yaml",
    )  # fmt: skip
    assert four.about == "feed theirs.example"


@pytest.mark.parametrize(("old", "new", "problem"), [
    ("app: tiktok,", "app: tiktok, file: a.txt,", "7: rollout.plans.0.name: there are app and file; keep one"),
    ("app: tiktok,", "", "7: rollout.plans.0.name: say what it is about: app, feed or file"),
    ("percent: 5", "percent: 100", "7: rollout.plans.0.percent: must be at most 99 (got 100)"),
    ("stage: percent", "stage: half", "7: rollout.plans.0.stage: "),
    (", groups: [pilot, default]", "", "8: rollout.plans.1.stage: 'groups' needs groups: the names of those"),
    ("[pilot, default]", "[pilto]", "8: rollout.plans.1.groups.0: there is no group 'pilto'; did you mean 'pilot'?"),
    ("feed: ads,", "feed: adz,", "8: rollout.plans.1.feed: there is no feed 'adz'; did you mean 'ads'?"),
    ("name: three", "name: one", "9: rollout.plans.2.name: there are two rollouts 'one'; choose another name"),
    ("file: tiktok-new.yaml", "file: lists/tiktok-new.yaml", "9: rollout.plans.2.file: "),
])  # fmt: skip
def test_refused(tmp_path, old, new, problem):
    with pytest.raises(ConfigError) as caught:
        parsed(tmp_path, GOOD.replace(old, new, 1))
    assert any(each.startswith(f"b.yaml:{problem}") for each in caught.value.problems), caught.value.problems


def test_an_app_that_there_is_not_is_named(tmp_path):
    found = parsed(tmp_path, GOOD)
    why = "b.yaml:7: rollout.plans.0.app: there is no app 'tiktok'"
    (problem,) = config.check_apps(found, {"other": SimpleNamespace(switches=(), category="ban")})
    assert problem.startswith(why)


def test_a_file_that_no_list_came_from_is_named(tmp_path):
    found = parsed(tmp_path, GOOD)
    assert config.check_files(found, ["tiktok-new.yaml"]) == []
    assert config.check_files(found, ["tiktok.yaml"]) == [
        "b.yaml:9: rollout.plans.2.file: there is no list file 'tiktok-new.yaml'; did you mean 'tiktok.yaml'?"
    ]
