"""Who is let in: one client cannot keep the others out, and all together cannot use everything up."""

import pytest

from blocker.config import SinkholeLimits
from blocker.sinkhole.limits import Bucket, Door, Limit

A, B = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))


def door(**limits):
    return Door(SinkholeLimits(**limits), 0.0)


def test_one_client_has_its_share_of_connections():
    house = door(per_client=3)
    assert [house.admit(A, 0.0) for _ in range(4)] == [None, None, None, Limit.CLIENT_CONNECTIONS]
    assert house.admit(B, 0.0) is None
    house.leave(A)
    assert house.admit(A, 0.0) is None
    assert house.count == 4


def test_one_client_has_its_share_of_time():
    house = door(rate_per_client=2, per_client=100)
    assert [house.admit(A, 0.0) for _ in range(9)] == [None] * 8 + [Limit.CLIENT_RATE]
    assert house.admit(A, 0.4) is Limit.CLIENT_RATE
    assert house.admit(A, 0.6) is None
    assert [house.admit(A, 100.0) for _ in range(9)].count(None) == 8  # no more than a burst is saved up


def test_all_together():
    house = door(connections=2)
    assert [house.admit(bytes((10, 0, 0, n)), 0.0) for n in range(3)] == [None, None, Limit.CONNECTIONS]
    slow = door(rate=1)
    assert [slow.admit(bytes((10, 0, 0, n)), 0.0) for n in range(3)] == [None, None, Limit.RATE]
    assert slow.admit(A, 1.0) is None


def test_descriptors_are_a_limit_of_their_own():
    house = Door(SinkholeLimits(), 0.0, most=1)
    assert [house.admit(bytes((10, 0, 0, n)), 0.0) for n in range(2)] == [None, Limit.CONNECTIONS]


def test_who_is_over_its_own_limit_uses_up_nothing_of_the_others():
    house = door(rate=2, rate_per_client=1, per_client=100)
    assert [house.admit(A, 0.0) for _ in range(100)].count(None) == 4  # its own, and all there is
    assert house.admit(B, 0.4) is Limit.RATE
    assert [house.admit(A, 0.6) for _ in range(100)].count(None) == 0
    assert house.admit(B, 0.6) is None


def test_who_is_refused_for_others_keeps_its_own():
    house = door(connections=1, rate_per_client=1)
    house.admit(B, 0.0)
    assert [house.admit(A, 0.0) for _ in range(100)] == [Limit.CONNECTIONS] * 100
    house.leave(B)
    assert house.admit(A, 0.0) is None


@pytest.mark.parametrize(("one", "other", "same"), [
    ("20010db8000000010000000000000001", "20010db80000000100000000deadbeef", True),  # a phone has 2^64 addresses
    ("20010db8000000010000000000000001", "20010db8000000020000000000000001", False),
])  # fmt: skip
def test_a_client_is_64_bits(one, other, same):
    house = door(per_client=1)
    house.admit(bytes.fromhex(one), 0.0)
    assert (house.admit(bytes.fromhex(other), 0.0) is Limit.CLIENT_CONNECTIONS) is same


def test_clients_are_forgotten():
    house = door(connections=100_000, rate=100_000)
    for number in range(40_000):
        address = number.to_bytes(4)
        assert house.admit(address, number / 1000) is None
        house.leave(address)
    assert len(house._clients) <= 16384
    assert house._open == {}


def test_so_many_at_once_that_nothing_can_be_forgotten():
    house = door(connections=100_000, rate=100_000)
    for number in range(17_000):
        assert house.admit(number.to_bytes(4), 0.0) is None
    assert len(house._clients) < 1000


def test_a_bucket_never_overflows():
    bucket = Bucket(2.0, 0.0)
    bucket.give_back()
    assert [bucket.take(1.0, 1000.0) for _ in range(3)] == [True, True, False]
