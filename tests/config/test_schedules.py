"""How schedules are written, and what is wrong with them when something is."""

from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from blocker import config
from blocker.config import Schedule
from blocker.errors import ConfigError

APPS = {"apps": ["tiktok"]}


@pytest.mark.parametrize(
    ("written", "days", "hours"),
    [
        ({}, ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ("00:00-24:00",)),
        ({"days": "mon-wed"}, ("mon", "tue", "wed"), ("00:00-24:00",)),
        ({"days": ["sat-mon", "Wed"]}, ("mon", "wed", "sat", "sun"), ("00:00-24:00",)),
        ({"days": ["fri"], "hours": "08:00-17:00"}, ("fri",), ("08:00-17:00",)),
        ({"days": ["fri"], "hours": ["22:00 - 06:00", "12:00-13:00"]}, ("fri",), ("22:00-06:00", "12:00-13:00")),
    ],
)
def test_written(written, days, hours):
    made = Schedule.model_validate(APPS | written)
    assert (made.days, made.hours) == (days, hours)
    assert Schedule.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"days": "monday"}, "'monday' is not a weekday"),
        ({"days": []}, "no day is written"),
        ({"hours": "8-17"}, "'8-17' is not a stretch of hours"),
        ({"hours": "08:00-25:00"}, "not a stretch of hours"),
        ({"hours": 480}, "not a stretch of hours"),
        ({"hours": []}, "no hours are written"),
        ({"hours": "08:00-08:00"}, "for the whole day write '00:00-24:00'"),
        ({"zone": "Canada/Ottawa"}, "is not a time zone"),
        ({"apps": []}, "at least 1 item"),
        ({"outside": "block"}, "inconsistent"),
        ({"apps": ["tiktok", "tiktok"]}, "inconsistent"),
    ],
)
def test_what_is_wrong(written, why):
    with pytest.raises(ValidationError, match=why):
        Schedule.model_validate(APPS | written)


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        ("block: [wechat], schedules: [{apps: [tiktok]}]", "the group does not block 'tiktok'; put it into `block`"),
        ("monitor: [tiktok], schedules: [{apps: [tiktok]}]", "the group does not block 'tiktok'"),
        ("schedules: [{apps: [special]}]", "'special' names never belong outside"),
        ("schedules: [{apps: [tiktok], days: fri}, {apps: [tiktok], days: sat, outside: allow}]",
         "another schedule of 'tiktok' says otherwise"),
        ("schedules: [{apps: [tiktok], outside: block}]", "is 'block' as inside: the schedule changes nothing"),
    ],
)  # fmt: skip
def test_what_a_group_and_its_schedules_disagree_about(tmp_path, group, problem):
    path = tmp_path / "b.yaml"
    path.write_text(f"groups:\n  - {{name: staff, clients: [192.0.2.0/24], {group}}}\n")
    with pytest.raises(ConfigError, match=r"b\.yaml:2: ") as found:
        config.load(path)
    assert problem in str(found.value)


def test_an_app_that_no_list_has_is_named(tmp_path):
    path = tmp_path / "b.yaml"
    path.write_text("groups:\n  - {name: staff, clients: [192.0.2.0/24], schedules: [{apps: [tictoc]}]}\n")
    (problem,) = config.check_apps(config.load(path), {"tiktok": SimpleNamespace(switches=(), category="ban")})
    assert "there is no app 'tictoc'; did you mean 'tiktok'?" in problem
