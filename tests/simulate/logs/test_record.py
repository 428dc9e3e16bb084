"""Bad lines are counted all, and shown a few."""

from blocker.simulate.logs.record import EXAMPLES, Tally, quoted


def test_a_few_bad_lines_are_shown():
    tally = Tally("q.log")
    for number in range(1, 10):
        tally.refuse(number, "why")
    assert (tally.bad, tally.examples) == (9, [f"q.log:{number}: why" for number in range(1, EXAMPLES + 1)])


def test_what_strangers_wrote_is_safe_to_print():
    assert quoted("a\x1b[2Jé") == "'a\\x1b[2J\\xe9'"
    assert len(quoted("x" * 10_000)) < 100
