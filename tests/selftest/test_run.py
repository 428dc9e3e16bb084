"""What is found of names that must resolve, together with a round."""

import pytest

from blocker import names
from blocker.selftest.run import Report, Result

A, B = names.from_text("a.example"), names.from_text("b.example")


@pytest.mark.parametrize(("found", "name", "asked", "failures"), [
    ({}, "a.example", 2, []),
    ({A: "it is blocked"}, "a.example", 2, []),  # the round has said what there is to say of it
    ({B: ""}, "a.example", 3, []),
    ({A: "", B: "b is blocked"}, "b.example", 3, ["b is blocked"]),
])  # fmt: skip
def test_others_stand_beside_the_one_of_the_round(found, name, asked, failures):
    report = Report({}, Result("a.example", 2)).besides(found)
    assert report.resolution == Result(name, asked, failures)
    assert report.ok is not bool(failures)


def test_the_failure_of_the_round_comes_first():
    resolution = Report({}, Result("a.example", 2, ["a fails"])).besides({B: "b is blocked"}).resolution
    assert resolution == Result("a.example", 3, ["a fails", "b is blocked"])


def test_where_nothing_may_be_asked_nothing_is_said():
    assert Report({}, None).besides({B: "b is blocked"}).resolution is None
