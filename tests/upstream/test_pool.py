"""Whom to ask: strategies, health, how long to wait, how often to try again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.config import Strategy, endpoint
from blocker.upstream.pool import Pool, RetryBudget, Server

FASTEST, ORDERED, ROUND = Strategy.FASTEST, Strategy.ORDERED, Strategy.ROUND_ROBIN


def servers(*srtts, down=()):
    found = [Server(endpoint(f"192.0.2.{number}:53"), srtt) for number, srtt in enumerate(srtts)]
    for number in down:
        found[number].down = True
    return found


@pytest.mark.parametrize(
    ("strategy", "known", "tried", "picked"),
    [
        (ORDERED, servers(0.1, 0.01, 0.01), 0b000, {0}),
        (ORDERED, servers(0.1, 0.01, 0.01), 0b001, {1}),
        (ORDERED, servers(0.1, 0.01, 0.01), 0b011, {2}),
        (ORDERED, servers(0.1, 0.01, 0.01, down=[0]), 0b000, {1}),
        (ORDERED, servers(0.1, 0.01, 0.01, down=[1]), 0b001, {2}),  # up before untried
        (ORDERED, servers(0.1, 0.01, 0.01, down=[1, 2]), 0b001, {1}),  # untried before the same again
        (ORDERED, servers(0.1, 0.01, 0.01, down=[0, 1]), 0b111, {2}),
        (ORDERED, servers(0.1, 0.01, 0.01, down=[0, 1, 2]), 0b111, {0}),  # better to ask than not to
        (FASTEST, servers(0.1, 0.02, 0.03), 0b000, {1}),
        (FASTEST, servers(0.1, 0.02, 0.03), 0b010, {2}),
        (FASTEST, servers(0.1, 0.02, 0.03, down=[1]), 0b000, {2}),
        (FASTEST, servers(0.1, 0.0, 0.03), 0b000, {1}),  # not measured yet: measure it
        (ROUND, servers(0.1, 0.01, 0.01), 0b000, {0, 1, 2}),
        (ROUND, servers(0.1, 0.01, 0.01, down=[1]), 0b000, {0, 2}),
        (ROUND, servers(0.1, 0.01, 0.01), 0b101, {1}),
    ],
)
def test_pick(strategy, known, tried, picked):
    pool = Pool(range(3), strategy)
    assert {pool.pick(known, tried) for _ in range(12)} == picked


def test_a_pool_of_one_asks_it_whatever_its_state():
    assert Pool([2], FASTEST).pick(servers(0.1, 0.1, 0.1, down=[2]), 0b100) == 2


def test_a_pool_knows_its_members_only():
    pool = Pool([3, 1], ORDERED)
    assert [pool.pick(servers(0, 0, 0, 0), tried) for tried in (0, 0b1000)] == [3, 1]


def test_round_robin_is_fair():
    pool, known = Pool(range(3), ROUND), servers(0.1, 0.1, 0.1)
    picks = [pool.pick(known, 0) for _ in range(30)]
    assert [picks.count(number) for number in range(3)] == [10, 10, 10]


def test_the_fastest_is_not_the_only_one():
    """One query in 32 goes elsewhere, so that a slow one that has become fast is noticed."""
    pool, known = Pool(range(3), FASTEST), servers(0.01, 0.2, 0.3)
    picks = [pool.pick(known, 0) for _ in range(32 * 30)]
    assert picks.count(0) >= 32 * 30 - 30
    assert min(picks.count(1), picks.count(2)) >= 5


@pytest.mark.parametrize(
    ("times", "ceiling", "wait"),
    [
        ([], 1.0, 0.4),  # not measured
        ([], 0.2, 0.2),
        ([0.1], 1.0, 0.3),  # RFC 6298 §2.2: srtt + 4 × half of it
        ([0.1], 0.2, 0.2),
        ([0.001], 1.0, 0.05),  # not less than our timers and their network can bear
        ([0.5], 1.0, 1.0),
    ],
)
def test_wait(times, ceiling, wait):
    (server,) = servers(0.0)
    for seconds in times:
        server.responded(seconds)
    assert server.wait(ceiling) == pytest.approx(wait)


@given(st.lists(st.floats(0.0001, 5), min_size=1, max_size=50), st.floats(0.05, 10))
def test_wait_is_bounded(times, ceiling):
    (server,) = servers(0.0)
    for seconds in times:
        server.responded(seconds)
    assert min(times) * 0.99 <= server.srtt <= max(times) * 1.01
    assert 0.05 <= server.wait(ceiling) <= ceiling


def test_steady_times_are_learned():
    (server,) = servers(0.0)
    for _ in range(100):
        server.responded(0.02)
    assert server.srtt == pytest.approx(0.02)
    assert server.wait(1.0) == 0.05
    assert (server.responses, server.time) == (100, pytest.approx(2.0))


@pytest.mark.parametrize(
    ("events", "down", "failures"),
    [
        ("ttt", False, 3),
        ("tttt", True, 4),
        ("tttrt", False, 1),  # in a row
        ("ttttr", True, 0),  # a response alone is not enough to come back ...
        ("ttttrs", False, 0),  # ... but one of use is
        ("x" * 14, False, 0),
        ("x" * 15, True, 0),  # says nothing but refusals
        ("xxs" * 100, False, 0),  # names may be at fault
        ("tttttt", True, 6),
    ],
)
def test_down_and_up(events, down, failures):
    (server,) = servers(0.0)
    for at, event in enumerate(events):
        {
            "t": lambda at=at: server.timed_out(float(at), 2.0),
            "r": lambda: server.responded(0.1),
            "s": server.served,
            "x": lambda at=at: server.refused(float(at), 2.0),
        }[event]()
    assert (server.down, server.failures) == (down, failures)
    assert not down or server.probe_at > 2.0  # two seconds after it went down


def test_retries_are_a_share_of_the_queries():
    budget = RetryBudget()
    assert sum(budget.spend() for _ in range(1000)) == 200  # a burst
    for _ in range(100):
        budget.earn()
    assert sum(budget.spend() for _ in range(1000)) in (19, 20)  # a fifth
    assert not budget.spend()


@pytest.mark.parametrize(
    ("lost", "retries"),
    [(0.0, 1.0), (0.2, 1.0), (0.35, 1.0), (1.0, 0.22)],  # a lossy line is retried in full, a dead server is not
)
def test_who_answers_may_be_asked_again(lost, retries):
    """`retries` is the share of those wanted that may be sent, of 10,000 queries that are each sent twice at most."""
    budget, sent, wanted, owed = RetryBudget(), 0, 0, 0.0
    for _ in range(10_000):
        budget.earn()
        owed += lost
        if owed >= 1:
            owed -= 1
            wanted += 1
            sent += budget.spend()
        else:
            budget.answered()
    assert sent >= wanted * (retries - 0.01)
    assert sent <= wanted * retries


def test_the_budget_does_not_grow_for_ever():
    budget = RetryBudget()
    for _ in range(100_000):
        budget.earn()
        budget.answered()
    assert sum(budget.spend() for _ in range(1000)) == 200
