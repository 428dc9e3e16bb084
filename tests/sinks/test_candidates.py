"""What Prometheus sees of candidates."""

from blocker.candidates.finding import Evidence, Finding, Kind
from blocker.candidates.store import FILE, State, Store
from blocker.sinks import candidates


def samples(state, apps=("tiktok", "wechat")):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in candidates.collect(str(state) if state else "", apps)
        for sample in family.samples
    }


def finding(name):
    return Finding(name, "tiktok", (Evidence(Kind.BRAND, 0.6, ""),))


def test_nobody_looks():
    assert samples("") == {}


def test_candidates(tmp_path):
    store = Store(tmp_path)
    store.put([finding("a.example"), finding("b.example"), finding("c.example")], 5.0, missed=7)
    store.decide("c.example", "tiktok", State.DISMISSED, "Jane", "why", 6.0)
    assert samples(tmp_path) == {
        ("blocker_candidates", "tiktok"): 2,
        ("blocker_candidates", "wechat"): 0,
        ("blocker_candidates_seen_total", "tiktok", "brand"): 3,
        ("blocker_candidates_looked_timestamp_seconds",): 5,
        ("blocker_candidates_missed_bytes_total",): 7,
    }


def test_a_damaged_file_looks_like_a_search_that_never_was(tmp_path):
    (tmp_path / FILE).write_bytes(b"nonsense" * 1000)
    assert samples(tmp_path)["blocker_candidates_looked_timestamp_seconds",] == 0
