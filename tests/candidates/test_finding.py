"""Witnesses weigh together, and never make a certainty."""

import pytest

from blocker.candidates.finding import Evidence, Finding, Kind, weigh


@pytest.mark.parametrize(("weights", "sum_"), [((), 0.0), ((0.6,), 0.6), ((0.5, 0.5), 0.75), ((0.9, 0.9, 0.9), 0.98)])
def test_weigh(weights, sum_):
    assert weigh(weights) == sum_


def test_a_finding_says_what_speaks_for_it():
    found = Finding("a.example", "tiktok", (Evidence(Kind.BRAND, 0.6, ""), Evidence(Kind.ALIAS, 0.5, "")))
    assert (found.score, found.kinds) == (0.8, {Kind.BRAND, Kind.ALIAS})
