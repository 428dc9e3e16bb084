"""What Prometheus sees. `promtool` reads all of it: where it is missing these tests fail, they do not skip."""

import os
import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

import blocker
from blocker.events import ATTEMPT, Labels
from blocker.sinks.facts import App, Bundle, Facts
from blocker.sinks.metrics import Collector
from blocker.sinks.region import Region, UpstreamWord, Word

NOW = 1_000_000_000_000  # monotonic ns
V4 = b"\xc0\x00\x02\x01"
BLOCKED = Labels("udp", "A", "NOERROR", "blocked", "staff", "tiktok", "sinkhole", "qname")
DROPPED = Labels("udp", "A", "none", "blocked", "guests", "tiktok", "drop", "qname")
MONITORED = Labels("tcp", "AAAA", "NOERROR", "upstream", "lab", "wechat", "passthru", "alias", "1")
EXCEPTED = Labels("udp", "HTTPS", "NOERROR", "upstream", "lab", "tiktok", "passthru", "alias", "excepted")
SHADOWED = Labels("udp", "AAAA", "NOERROR", "upstream", "lab", "tiktok", "passthru", "qname", "shadow", "trial")
CACHED = Labels("udp", "A", "NXDOMAIN", "cache")
FACTS = Facts(
    generation=9,
    digest="d1",
    compiled=1700000000.0,
    apps={"tiktok": App(120, "TikTok"), "wechat": App(80, "WeChat")},
    bundle=Bundle(42, 1700009000, "Ministry", {"key": 2, "serial": 0}),
    succeeded=3,
    refused=1,
    last_success=1700000100.0,
    last_duration=0.25,
    problems=("bad",),
)
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def worker(*counted: Labels) -> Region:
    """Return the region of a worker that has answered."""
    region = Region()
    for labels in counted:
        region.record(region.outcome(labels, attempt=True), V4, 0.0015, b"", ATTEMPT)
    region.words[Word.PID] = os.getpid()
    region.words[Word.READY] = 1
    region.words[Word.PULSE] = NOW - 250_000_000
    region.words[Word.STARTED] = 1700000000
    region.words[Word.GENERATION] = 9
    region.words[Word.CACHE_ENTRIES] = 100
    region.words[Word.DROPPED] = 2
    words = region.upstream(0, "192.0.2.53:53")
    words[UpstreamWord.QUERIES] = 10
    words[UpstreamWord.RESPONSES] = 8
    words[UpstreamWord.TIME_NS] = 400_000_000
    words[UpstreamWord.HEALTHY] = 1
    region.malformed("short")
    return region


def exposed(facts: Facts = FACTS) -> CollectorRegistry:
    """Return a registry with two workers."""
    first, second = worker(BLOCKED, BLOCKED, DROPPED, CACHED), worker(BLOCKED, MONITORED, SHADOWED, EXCEPTED)
    second.words[Word.PULSE] = NOW - 7_000_000_000
    second.words[Word.RESTARTS] = 4
    second.words[Word.PID] = 0
    first.words[Word.LOG_DROPPED] = 5
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector([first, second], lambda: facts, lambda: NOW))
    return registry


def samples(text: str) -> Samples:
    """Return all samples of a text."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parsed(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def found() -> Samples:
    """Return what two workers expose."""
    return samples(generate_latest(exposed()).decode())


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        # every row is a query, and an answer unless it was dropped
        ("blocker_queries_total", {"transport": "udp", "type": "A"}, 5),
        ("blocker_queries_total", {"transport": "tcp", "type": "AAAA"}, 1),
        ("blocker_responses_total", {"rcode": "NOERROR"}, 6),
        ("blocker_responses_total", {"rcode": "NXDOMAIN"}, 1),
        # workers are summed
        (
            "blocker_blocked_total",
            {"app": "tiktok", "group": "staff", "action": "sinkhole", "trigger": "qname"},
            3,
        ),
        ("blocker_blocked_total", {"app": "tiktok", "group": "guests", "action": "drop", "trigger": "qname"}, 1),
        ("blocker_monitored_total", {"app": "wechat", "group": "lab", "trigger": "alias"}, 1),
        ("blocker_excepted_total", {"app": "tiktok", "group": "lab", "trigger": "alias"}, 1),
        ("blocker_shadowed_total", {"app": "tiktok", "group": "lab", "trigger": "qname"}, 1),
        ("blocker_query_duration_seconds_bucket", {"outcome": "blocked", "le": "0.001"}, 0),
        ("blocker_query_duration_seconds_bucket", {"outcome": "blocked", "le": "0.002"}, 4),
        ("blocker_query_duration_seconds_bucket", {"outcome": "blocked", "le": "+Inf"}, 4),
        ("blocker_query_duration_seconds_count", {"outcome": "blocked"}, 4),
        ("blocker_query_duration_seconds_sum", {"outcome": "blocked"}, 0.006),
        ("blocker_query_duration_seconds_count", {"outcome": "stale"}, 0),
        ("blocker_cache_entries", {}, 200),
        ("blocker_cache_hits_total", {}, 1),
        ("blocker_malformed_total", {"reason": "short"}, 2),
        ("blocker_malformed_total", {"reason": "opcode"}, 0),
        ("blocker_events_dropped_total", {}, 2 + 2 + 5),  # both journals and the logs
        ("blocker_upstream_queries_total", {"upstream": "192.0.2.53:53"}, 20),
        ("blocker_upstream_healthy", {"upstream": "192.0.2.53:53"}, 1),
        ("blocker_upstream_response_seconds_count", {"upstream": "192.0.2.53:53"}, 16),
        ("blocker_upstream_response_seconds_sum", {"upstream": "192.0.2.53:53"}, 0.8),
        ("blocker_list_entries", {"app": "tiktok"}, 120),
        ("blocker_list_compiled_timestamp_seconds", {}, 1700000000),
        ("blocker_bundle_serial", {}, 42),
        ("blocker_bundle_expiry_timestamp_seconds", {}, 1700009000),
        ("blocker_bundle_refused_total", {"reason": "key"}, 2),
        ("blocker_bundle_refused_total", {"reason": "serial"}, 0),
        ("blocker_lists_info", {"digest": "d1"}, 1),
        ("blocker_reload_total", {"result": "success"}, 3),
        ("blocker_reload_total", {"result": "refused"}, 1),
        ("blocker_reload_last_success_timestamp_seconds", {}, 1700000100),
        ("blocker_reload_last_duration_seconds", {}, 0.25),
        ("blocker_reload_last_successful", {}, 0),
        ("blocker_reload_generation", {}, 9),
        ("blocker_worker_up", {"worker": "0"}, 1),
        ("blocker_worker_up", {"worker": "1"}, 0),  # silent for seven seconds
        ("blocker_worker_pulse_age_seconds", {"worker": "1"}, 7),
        ("blocker_worker_restarts_total", {"worker": "1"}, 4),
        ("blocker_worker_started_timestamp_seconds", {"worker": "0"}, 1700000000),
        ("blocker_worker_generation", {"worker": "0"}, 9),
    ],
)
def test_samples(found: Samples, name: str, labels: dict[str, str], value: float) -> None:
    assert found[name, tuple(sorted(labels.items()))] == pytest.approx(value)


def test_monitored_and_dropped_attempts_are_not_counted_twice(found: Samples) -> None:
    def total(name: str) -> float:
        return sum(value for (sample, _), value in found.items() if sample == name)

    assert total("blocker_queries_total") == total("blocker_query_duration_seconds_count") == 8
    assert total("blocker_blocked_total") == 4
    assert total("blocker_monitored_total") == total("blocker_shadowed_total") == total("blocker_excepted_total") == 1


def test_memory_and_processor_time_only_of_workers_that_are_there(found: Samples) -> None:
    assert found["blocker_worker_resident_memory_bytes", (("worker", "0"),)] > 1 << 20
    assert ("blocker_worker_resident_memory_bytes", (("worker", "1"),)) not in found


def test_build_info(found: Samples) -> None:
    (labels,) = (dict(labels) for name, labels in found if name == "blocker_build_info")
    assert labels["version"] == blocker.__version__
    assert set(labels) == {"version", "python", "accelerated"}


def test_nothing_is_said_of_lists_before_the_supervisor_has() -> None:
    early = samples(generate_latest(exposed(Facts())).decode())
    assert not [name for name, _ in early if name.startswith(("blocker_list", "blocker_reload"))]


@pytest.mark.parametrize("facts", [FACTS, Facts()], ids=["running", "early"])
def test_promtool_finds_nothing_to_say(facts: Facts) -> None:
    text = generate_latest(exposed(facts))
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_openmetrics_says_the_same() -> None:
    encode, content_type = choose_encoder("application/openmetrics-text; version=1.0.0")
    text = encode(exposed()).decode()
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")

    def counted() -> Iterator[float]:
        for family in openmetrics(text):  # type: ignore[no-untyped-call]
            if family.name == "blocker_blocked":
                yield from (sample.value for sample in family.samples)

    assert sorted(counted()) == [1, 3]
