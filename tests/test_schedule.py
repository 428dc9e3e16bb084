"""When a window is open, over both changes of clocks and across midnight, and when that changes next."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import schedule
from blocker.config import Schedule

TORONTO = "America/Toronto"  # 2026: forward on 8 March at 02:00, back on 1 November at 02:00
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def at(text, zone=TORONTO, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def made(hours, days="mon-sun", zone=TORONTO, **more):
    return Schedule.model_validate({"apps": ["tiktok"], "days": days, "hours": hours, "zone": zone, **more})


@pytest.mark.parametrize(
    ("days", "hours", "moment", "is_open"),
    [
        ("mon-fri", "08:00-17:00", "2026-11-24 07:59:59", False),  # a Tuesday
        ("mon-fri", "08:00-17:00", "2026-11-24 08:00", True),
        ("mon-fri", "08:00-17:00", "2026-11-24 16:59:59", True),
        ("mon-fri", "08:00-17:00", "2026-11-24 17:00", False),
        ("mon-fri", "08:00-17:00", "2026-11-28 12:00", False),  # a Saturday
        ("sat", "22:00-06:00", "2026-11-29 05:59", True),  # past midnight, on the day after
        ("sat", "22:00-06:00", "2026-11-29 06:00", False),
        ("sat", "22:00-06:00", "2026-11-28 05:00", False),  # Friday's night is not Saturday's
        ("fri-mon", "00:00-24:00", "2026-11-30 23:59", True),  # a week goes round
        ("fri-mon", "00:00-24:00", "2026-12-01 00:00", False),
        ("mon-fri", ["08:00-12:00", "13:00-17:00"], "2026-11-24 12:30", False),  # the lunch hour
        ("mon-fri", ["08:00-12:00", "13:00-17:00"], "2026-11-24 13:00", True),
    ],
)
def test_is_within(days, hours, moment, is_open):
    assert schedule.is_within(made(hours, days), at(moment)) is is_open


SPRING, AUTUMN = "2026-03-08", "2026-11-01"


@pytest.mark.parametrize(
    ("hours", "inside", "opens", "closes"),
    [
        # Clocks go from 01:59 to 03:00: an edge that they skip is that very moment.
        ("02:30-05:00", "block", (SPRING, "03:00", 0), (SPRING, "05:00", 0)),
        ("00:00-02:30", "block", (SPRING, "00:00", 0), (SPRING, "03:00", 0)),
        ("01:00-04:00", "block", (SPRING, "01:00", 0), (SPRING, "04:00", 0)),  # two hours long
        # Clocks show 01:00 to 01:59 twice: a block begins at the first, and ends at the second.
        ("01:30-03:00", "block", (AUTUMN, "01:30", 0), (AUTUMN, "03:00", 0)),
        ("00:00-01:30", "block", (AUTUMN, "00:00", 0), (AUTUMN, "01:30", 1)),
        ("01:15-01:45", "block", (AUTUMN, "01:15", 0), (AUTUMN, "01:45", 1)),
        ("22:00-06:00", "block", (AUTUMN, "22:00", 0), ("2026-11-02", "06:00", 0)),
        # An hour in which the app is allowed is the other way round.
        ("01:30-03:00", "allow", (AUTUMN, "01:30", 1), (AUTUMN, "03:00", 0)),
        ("00:00-01:30", "allow", (AUTUMN, "00:00", 0), (AUTUMN, "01:30", 0)),
    ],
)
def test_changes_of_clocks(hours, inside, opens, closes):
    made_so = made(hours, "sun", inside=inside, outside="allow" if inside == "block" else "block")
    begin, end = (at(f"{day} {time}", fold=fold) for day, time, fold in (opens, closes))
    assert [schedule.is_within(made_so, moment) for moment in (begin - 1, begin, end - 1, end)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert schedule.next_change([made_so], begin - 1) == begin
    assert schedule.next_change([made_so], begin) == end


@pytest.mark.parametrize(
    ("hours", "day", "inside"),
    [
        ("02:10-02:40", SPRING, "block"),  # skipped by the clocks
        ("01:15-01:45", AUTUMN, "allow"),  # shown twice: the ban wins
    ],
)
def test_a_window_that_does_not_come(hours, day, inside):
    made_so = made(hours, "sun", inside=inside, outside="allow" if inside == "block" else "block")
    assert not any(schedule.is_within(made_so, at(f"{day} 00:00") + minute * 60) for minute in range(300))
    assert schedule.next_change([made_so], at(f"{day} 00:00")) == at(f"{day} {hours[:5]}") + (
        7 * 86400 - (3600 if day == SPRING else 0) + (3600 if day == AUTUMN else 0)
    )


def test_windows_that_touch_are_one():
    made_so = made(["08:00-12:00", "12:00-17:00"])
    assert schedule.next_change([made_so], at("2026-11-24 09:00")) == at("2026-11-24 17:00")


def test_what_is_always_open_is_looked_at_again():
    moment = at("2026-11-24 09:00")
    assert schedule.next_change([made("00:00-24:00")], moment) == moment + 14 * 86400
    assert schedule.next_change([], moment) is None


def test_several_schedules_of_an_app_add_up():
    weekdays, saturday = made("08:00-17:00", "mon-fri"), made("09:00-12:00", "sat")
    found = [schedule.doing([weekdays, saturday], at(f"2026-11-{day} 10:00")) for day in (27, 28, 29)]
    assert found == ["block", "block", "monitor"]


_EDGES = st.integers(0, 1439)
_HOURS = st.tuples(_EDGES, _EDGES).filter(lambda pair: pair[0] != pair[1]).map(
    lambda pair: "-".join(f"{each // 60:02}:{each % 60:02}" for each in pair)
)  # fmt: skip
_SCHEDULES = st.builds(
    made,
    st.lists(_HOURS, min_size=1, max_size=3),
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=7),
    st.sampled_from([TORONTO, "Europe/Berlin", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]),  # half hours too
    inside=st.sampled_from(["block", "allow"]),
    outside=st.just("monitor"),
)


@given(_SCHEDULES, st.integers(1_767_225_600, 1_830_297_600))  # two years
def test_nothing_changes_before_the_next_change_and_something_does_then(each, moment):
    turn = schedule.next_change([each], moment)
    assert turn > moment
    now = schedule.is_within(each, moment)
    steps = [moment + (turn - moment) * share / 50 for share in range(50)]
    assert all(schedule.is_within(each, step) is now for step in (*steps, turn - 0.001))
    assert schedule.is_within(each, turn) is not now or turn == moment + 14 * 86400
