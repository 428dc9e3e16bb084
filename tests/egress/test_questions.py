"""What is asked in the background, and how often."""

import pytest

from blocker import names
from blocker.egress.questions import Question, Questions

NAMES = [names.from_text(f"n{number}.example") for number in range(100)]
A, AAAA = 1, 28


def test_each_name_for_both_ip_versions():
    asked = Questions(rate=100, most=10)
    asked.add(NAMES[0], 0.0)
    asked.add(NAMES[0], 0.0)
    assert set(asked.take(1.0)) == {Question(NAMES[0], A), Question(NAMES[0], AAAA)}
    assert asked.take(2.0) == []


def test_no_more_than_a_few_a_second():
    asked = Questions(rate=5, most=100)
    for name in NAMES:
        asked.add(name, 0.0)
    assert len(asked.take(1000.0)) == 10  # after a pause, no more than two seconds' worth
    assert len(asked.take(1000.1)) == 0
    assert len(asked.take(1001.0)) == 5


@pytest.mark.parametrize(
    ("ttl", "again"),
    [(1, 60), (300, 300), (86400, 3600)],  # not too often, and not too rarely
)
def test_it_is_asked_again_as_its_ttl_says(ttl, again):
    asked = Questions(rate=100, most=10)
    asked.add(NAMES[0], 0.0)
    for question in asked.take(1.0):
        asked.answered(question, ttl, 1.0)
    assert asked.take(again + 0.5) == []
    assert len(asked.take(again + 1.0)) == 2


def test_no_more_at_once_than_a_worker_takes_unread():
    asked = Questions(rate=1000, most=1000)
    for number in range(1000):
        asked.add(names.from_text(f"m{number}.example"), 0.0)
    assert len(asked.take(1000.0)) == 200


def test_what_could_not_be_asked_is_due_again_soon():
    asked = Questions(rate=100, most=100)
    for name in NAMES[:3]:
        asked.add(name, 0.0)
    taken = asked.take(1.0)
    asked.drop(taken[-1])
    asked.defer(taken[2:], 2.0)
    assert asked.take(1.9) == []
    assert asked.take(2.0) == taken[2:-1]


def test_a_question_that_nobody_answers_comes_again():
    asked = Questions(rate=100, most=10)
    asked.add(NAMES[0], 0.0)
    assert len(asked.take(1.0)) == 2
    assert asked.take(600.0) == []
    assert len(asked.take(601.0)) == 2


def test_there_are_only_so_many():
    asked = Questions(rate=1000, most=10)
    for name in NAMES:
        asked.add(name, 0.0)
    assert len(asked) == len(asked.take(1.0)) == 20


def test_one_question_less():
    asked = Questions(rate=1000, most=100)
    asked.add(NAMES[0], 0.0)
    asked.drop(Question(NAMES[0], A))
    asked.drop(Question(NAMES[1], A))
    assert asked.take(1.0) == [Question(NAMES[0], AAAA)]
    asked.add(NAMES[0], 1.0)  # somebody asked for it again
    assert asked.take(2.0) == [Question(NAMES[0], A)]


def test_what_nobody_wants_any_more():
    asked = Questions(rate=1000, most=100)
    for name in NAMES:
        asked.add(name, 0.0)
    asked.keep(NAMES[:3])
    assert asked.names() == set(NAMES[:3])
    assert {question.name for question in asked.take(1.0)} == set(NAMES[:3])
    asked.answered(Question(NAMES[50], A), 60, 1.0)
    assert len(asked) == 6


def test_what_was_moved_on_from_takes_no_room():
    asked = Questions(rate=1000, most=10)
    asked.add(NAMES[0], 0.0)
    for second in range(1000):
        for question in (Question(NAMES[0], A), Question(NAMES[0], AAAA)):
            asked.answered(question, 60, float(second))
    assert len(asked._heap) < 200
