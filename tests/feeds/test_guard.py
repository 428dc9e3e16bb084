"""What may come into force by itself, what waits for a person, what is refused."""

import pytest

from blocker.feeds.guard import Course, Limits, Update, judge

USUAL = Limits(shrink=0.2, growth=5.0)


@pytest.mark.parametrize(("in_force", "update", "limits", "course", "why"), [
    (None, Update(1000, 0, 0), USUAL, Course.PUBLISH, ""),  # the first one: there is nothing to compare it with
    (0, Update(10**6, 0, 0), USUAL, Course.PUBLISH, ""),  # nothing in force, nothing to lose
    (1000, Update(1000, 0, 0), USUAL, Course.PUBLISH, ""),
    (1000, Update(900, 0, 200), USUAL, Course.PUBLISH, ""),  # just as much as may be lost
    (1000, Update(799, 0, 201), USUAL, Course.HOLD, "201 of 1000 names in force (20%) would be lost"),
    (1000, Update(1000, 0, 1000), USUAL, Course.HOLD, "1000 of 1000"),  # as many names, but all of them others
    (1000, Update(999, 0, 1), Limits(0.0, 5.0), Course.HOLD, "shrink allows 0%"),
    (1000, Update(1, 0, 999), Limits(1.0, 5.0), Course.PUBLISH, ""),  # whoever switches it off has it off
    (1000, Update(5000, 0, 0), USUAL, Course.PUBLISH, ""),
    (1000, Update(5001, 0, 0), USUAL, Course.HOLD, "5001 names instead of 1000, 5.0 times as many"),
    (3, Update(500, 0, 0), USUAL, Course.PUBLISH, ""),  # a small list may grow up
    (3, Update(501, 0, 0), USUAL, Course.HOLD, "growth allows 5"),
    (3, Update(2, 0, 1), USUAL, Course.HOLD, "1 of 3"),  # but not shrink
    (None, Update(0, 0, 0), USUAL, Course.REFUSE, "no names"),
    (1000, Update(0, 30, 1000), USUAL, Course.REFUSE, "no names"),
    (None, Update(10, 11, 0), USUAL, Course.REFUSE, "11 lines are no names against 10"),
    (None, Update(10, 10, 0), USUAL, Course.PUBLISH, ""),  # strangers' typos do not stop it
])  # fmt: skip
def test_judge(in_force, update, limits, course, why):
    ruling = judge(in_force, update, limits)
    assert (ruling.course, why in ruling.why, bool(ruling.why)) == (course, True, bool(why))
