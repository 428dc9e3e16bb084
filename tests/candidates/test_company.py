"""Company that chance explains says nothing."""

import pytest

from blocker.candidates.company import Tally, expected, judge, surprise


@pytest.mark.parametrize(("tally", "sittings", "clients", "weight"), [
    (Tally(20, 2, 5), 20, 3, 0.6),
    (Tally(4, 0.1, 0), 4, 3, None),  # too few
    (Tally(20, 2, 5), 50, 3, None),  # asked elsewhere more often than not
    (Tally(20, 10, 5), 20, 3, None),  # clients that knock all day tell nothing
    (Tally(6, 0.8, 0), 6, 3, None),  # among many names, chance does that
    (Tally(20, 2, 5), 20, 1, 0.4),  # one client alone
    (Tally(20, 2, 20), 20, 3, 0.18),  # first each time: a page that embeds the app
])  # fmt: skip
def test_judge(tally, sittings, clients, weight):
    found = judge(tally, sittings, clients)
    assert (found.weight if found else None) == weight


def test_what_it_says():
    found = judge(Tally(20, 2, 20), 20, 16)
    assert found.says == (
        "asked within seconds of blocked names in 20 of 20 sittings, by at least 16 clients; chance would make it 2.0"
        " (10 times); it comes first nearly each time, as a page does that embeds the app"
    )


def test_surprise_is_none_where_chance_would_do():
    assert surprise(3, 3) == 0
    assert surprise(5, 0) > 20


@pytest.mark.parametrize(
    ("near", "sittings", "everywhere", "chance"), [(0, 0, 0.2, 0.2), (9, 9, 0.0, 0.9), (0, 99, 0.5, 0.005)]
)
def test_expected(near, sittings, everywhere, chance):
    assert expected(near, sittings, everywhere) == chance
