"""When hits on names that must resolve are too many."""

import pytest

from blocker.rollout.hits import Hits


@pytest.mark.parametrize(
    ("return_after", "times", "since", "too_many"),
    [
        (3, [100, 101], 0, False),
        (3, [100, 101, 102], 0, True),
        (3, [100, 105, 110], 0, True),  # within ten seconds, to the last
        (3, [100, 105, 111], 0, False),
        (3, [100, 150, 151, 152], 0, True),  # a former one does not matter
        (3, [100, 101, 102], 101, False),  # some came before it was moved: they are settled
        (3, [102, 101, 100], 0, True),  # from the journals of several workers
        (1, [100], 0, True),
        (1, [], 0, False),
        (0, [100, 100, 100], 0, False),  # never
        (3, [100, 101, 102], float("inf"), False),  # it is in shadow
    ],
)
def test_too_many(return_after, times, since, too_many):
    hits = Hits(return_after, 10)
    for when in times:
        hits.add(when)
    assert hits.too_many(since) is too_many
    assert hits.count == len(times)
    assert len(hits.times) <= max(1, return_after)


def test_former_ones_count_on():
    hits = Hits(3, 10, 7, [100.0, 101.0])
    hits.add(102.0)
    assert (hits.count, hits.too_many(0)) == (8, True)
