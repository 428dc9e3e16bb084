"""What upstreams said, for as long as they said so; never more of it than there is room for."""

import gc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from blocker.cache import NOTHING_SAID, Cache, Entry, Limits, lifetime
from tests.oracle import response

LIMITS = Limits(size=1 << 20, max_ttl=1000, max_negative_ttl=500, failure_ttl=5, stale_for=100)
SOA = "example.com {} SOA a. b. 1 2 3 4 {}"
A = "www.example.com {} A 192.0.2.1"
KEY = b"key"


def ttls(found):
    return [int.from_bytes(found.sections[at : at + 4]) for at in found.ttl_offsets]


@pytest.mark.parametrize(
    ("parts", "limits", "seconds"),
    [
        ({"answer": A.format(300)}, {}, 300),
        ({"answer": A.format(300) + "\nwww.example.com 300 CNAME a.example\na.example 60 A 192.0.2.2"}, {}, 60),
        ({"answer": A.format(0)}, {}, 0),  # for this one client only
        ({"answer": A.format(0)}, {"min_ttl": 10}, 10),
        ({"answer": A.format(86400)}, {}, 1000),
        ({"answer": A.format(300), "authority": "example.com 60 NS a."}, {}, 60),
        ({"authority": SOA.format(3600, 60)}, {}, 60),  # NODATA: the SOA's minimum (RFC 2308 §5)
        ({"authority": SOA.format(60, 3600)}, {}, 60),  # or its TTL
        ({"authority": SOA.format(3600, 3600)}, {}, 500),
        ({"authority": SOA.format(3600, 0)}, {}, 0),
        ({"authority": SOA.format(3600, 1)}, {"min_ttl": 10}, 10),
        ({"authority": SOA.format(3600, 60), "rcode": "NXDOMAIN"}, {}, 60),
        ({"answer": "www.example.com 30 CNAME a.example", "authority": SOA.format(3600, 60)}, {}, 30),  # an alias
        ({"answer": A.format(300), "rcode": "NXDOMAIN"}, {}, 0),  # a denial without SOA is not kept
        ({"rcode": "NXDOMAIN"}, {}, 0),
        ({}, {}, 0),
        ({"authority": "example.com 60 NS a."}, {}, 0),  # a referral is no answer
        ({"rcode": "SERVFAIL"}, {}, 5),  # RFC 9520
        ({"rcode": "SERVFAIL", "answer": A.format(300)}, {"failure_ttl": 30}, 30),
        ({"rcode": "REFUSED", "answer": A.format(300)}, {}, 0),
        ({"rcode": "BADVERS", "answer": A.format(300)}, {}, 0),
    ],
)  # fmt: skip
def test_lifetime(parts, limits, seconds):
    assert lifetime(response(**parts), replace(LIMITS, **limits)) == seconds


def test_nothing_said_is_kept_as_a_failure():
    assert lifetime(NOTHING_SAID, LIMITS) == 5


@pytest.mark.parametrize(
    ("parts", "limits", "kept"),
    [
        ({"answer": A.format(300)}, {}, [300]),
        ({"answer": A.format(86400)}, {}, [1000]),
        ({"answer": "www.example.com 86400 CNAME a.example\na.example 2000 A 192.0.2.1"}, {}, [1000, 1000]),
        ({"answer": A.format(1) + "\nwww.example.com 1 A 192.0.2.2"}, {"min_ttl": 10}, [10, 10]),
        ({"answer": "www.example.com 300 CNAME a.example\na.example 1 A 192.0.2.1"}, {"min_ttl": 10}, [300, 10]),
        ({"authority": SOA.format(3600, 60)}, {}, [60]),
        (
            {"answer": "www.example.com 86400 CNAME a.example\na.example 60 A 192.0.2.1"},
            {},
            [1000, 60],
        ),  # each by itself
    ],
)
def test_ttls_are_brought_within_the_limits(parts, limits, kept):
    entry = Cache(replace(LIMITS, **limits)).put(KEY, response(**parts), 0)
    assert ttls(entry.response) == kept


@pytest.mark.parametrize(
    ("ttl", "prefetch", "refresh"),
    [(100, True, 190), (100, False, 200), (10, True, 109), (9, True, 109), (1, True, 101)],
)
def test_the_last_tenth_of_a_life_is_for_refreshing(ttl, prefetch, refresh):
    entry = Cache(replace(LIMITS, prefetch=prefetch)).put(KEY, response(A.format(ttl)), 100)
    assert (entry.stored, entry.expires, entry.refresh) == (100, 100 + ttl, refresh)


@pytest.mark.parametrize(
    ("stale_for", "now", "there"),
    [(100, 159, True), (100, 160, True), (100, 259, True), (100, 260, False), (0, 159, True), (0, 160, False)],
)
def test_stale_entries_are_given_back_for_a_while(stale_for, now, there):
    cache = Cache(replace(LIMITS, stale_for=stale_for))
    cache.put(KEY, response(A.format(60)), 100)
    assert (cache.get(KEY, now) is not None) is there
    assert (len(cache), cache.size > 0) == (there, there)


def test_a_failure_displaces_no_answer():
    cache = Cache(LIMITS)
    entry = cache.put(KEY, response(A.format(60)), 0)
    assert cache.put(KEY, NOTHING_SAID, 70) is None
    assert cache.get(KEY, 70) is entry
    assert entry.retry == 75


def test_a_failure_displaces_what_may_not_be_given_stale():
    cache = Cache(replace(LIMITS, stale_for=0))
    cache.put(KEY, response(A.format(60)), 0)
    assert cache.get(KEY, 60) is None
    assert cache.put(KEY, NOTHING_SAID, 60).expires == 65
    assert cache.get(KEY, 64).response is NOTHING_SAID


def test_an_answer_displaces_a_failure_and_what_was_there():
    cache = Cache(LIMITS)
    cache.put(KEY, NOTHING_SAID, 0)
    first = cache.put(KEY, response(A.format(60)), 1)
    second = cache.put(KEY, response(A.format(60)), 2)
    assert cache.get(KEY, 3) is second is not first
    assert len(cache) == 1
    assert cache.size == second.size


def test_what_is_not_kept_displaces_nothing():
    cache = Cache(LIMITS)
    entry = cache.put(KEY, response(A.format(60)), 0)
    assert cache.put(KEY, response(rcode="NXDOMAIN"), 1) is None
    assert cache.get(KEY, 1) is entry


def test_keys_keep_apart():
    cache = Cache(LIMITS)
    cache.put(b"one", response(A.format(60)), 0)
    assert cache.get(b"two", 0) is None


def small(entries, **limits):
    one = Cache(LIMITS).put(b"0", response(A.format(60)), 0)
    return Cache(replace(LIMITS, size=entries * one.size, **limits))


def test_the_oldest_goes_first():
    cache = small(3)
    for key in (b"1", b"2", b"3", b"4"):
        cache.put(key, response(A.format(60)), 0)
    assert [key for key in (b"1", b"2", b"3", b"4") if cache.get(key, 0)] == [b"2", b"3", b"4"]
    assert cache.evicted == 1


def test_what_was_asked_for_gets_a_second_chance():
    cache = small(3)
    for key in (b"1", b"2", b"3"):
        cache.put(key, response(A.format(60)), 0)
    cache.get(b"1", 0)
    cache.put(b"4", response(A.format(60)), 0)
    assert [key for key in (b"1", b"2", b"3", b"4") if cache.get(key, 0)] == [b"1", b"3", b"4"]


def test_clear():
    cache = small(3)
    cache.put(b"1", response(A.format(60)), 0)
    cache.clear()
    assert (len(cache), cache.size, cache.get(b"1", 0)) == (0, 0, None)


def test_a_bigger_answer_than_there_is_room_for_does_no_harm():
    cache = Cache(replace(LIMITS, size=100))
    cache.put(KEY, response(A.format(60)), 0)
    assert (len(cache), cache.size) == (0, 0)


def test_what_was_replaced_is_not_held_on_to():
    """A name that is asked for again and again costs one entry, not one for each time it was kept."""
    cache = Cache(LIMITS)
    gc.collect()
    before = sum(isinstance(each, Entry) for each in gc.get_objects())
    found = response(A.format(1))
    for now in range(5000):
        cache.put(KEY, found, now)
    assert sum(isinstance(each, Entry) for each in gc.get_objects()) - before <= 2500


KEYS = st.sampled_from([bytes((number,)) * 20 for number in range(8)])
FOUND = st.sampled_from([
    (A.format(5), "NOERROR"), (A.format(100), "NOERROR"), (A.format(0), "NOERROR"), ("", "SERVFAIL"),
    (A.format(5) + '\nwww.example.com 7 TXT "' + "x" * 200 + '"', "NOERROR"),
])  # fmt: skip


class Machine(RuleBasedStateMachine):
    """Any order of putting, getting and waiting."""

    def __init__(self):
        super().__init__()
        self.cache = small(4, stale_for=10)
        self.now = 0
        self.last = {}

    @rule(key=KEYS, found=FOUND)
    def put(self, key, found):
        answer, rcode = found
        entry = self.cache.put(key, response(answer, rcode=rcode), self.now)
        if entry is not None:
            self.last[key] = entry

    @rule(key=KEYS)
    def get(self, key):
        entry = self.cache.get(key, self.now)
        if entry is not None:
            assert entry is self.last[key]
            assert self.now < entry.expires + 10
            assert entry.stored <= self.now
            assert entry.stored < entry.refresh <= entry.expires

    @rule(seconds=st.integers(1, 20))
    def after(self, seconds):
        self.now += seconds

    @rule(entries=st.integers(1, 6))
    def resize(self, entries):
        self.cache.limits = replace(self.cache.limits, size=small(entries).limits.size)

    @rule()
    def clear(self):
        self.cache.clear()

    @invariant()
    def size_is_what_is_there(self):
        entries = self.cache._entries.values()
        assert self.cache.size == sum(entry.size for entry in entries) >= 0

    @invariant()
    def every_entry_can_be_evicted(self):
        queued = set(map(id, self.cache._queue))
        assert all(id(entry) in queued for entry in self.cache._entries.values())


TestMachine = Machine.TestCase


@given(st.lists(st.tuples(KEYS, FOUND), max_size=30))
def test_the_bound_holds_after_every_put(puts):
    cache = small(3)
    for key, (answer, rcode) in puts:
        cache.put(key, response(answer, rcode=rcode), 0)
        assert 0 <= cache.size <= cache.limits.size
