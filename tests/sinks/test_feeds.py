"""What Prometheus sees of feeds."""

import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families as parsed

from blocker.feeds import facts as form
from blocker.feeds.facts import Edition, Facts
from blocker.sinks import feeds
from blocker.sinks.facts import Feed

NOW = 1_800_000_000.0
OLD = Edition("a" * 64, 100, 10, bad=1, unsupported=2, refused=3, fetched=NOW - 500)
HELD = Edition("b" * 64, 100, 3)


def exposed(folder: Path, known: dict[str, Facts | bytes | None]) -> bytes:
    """Return what is exposed of feeds in `folder` of which so much is known."""
    there = {}
    for name, facts in known.items():
        path = folder / f"{name}.json"
        if facts is not None:
            path.write_bytes(form.to_json(facts) if isinstance(facts, Facts) else facts)
        there[name] = Feed(str(path), 3600)

    class Collector:
        def collect(self):
            return feeds.collect(there, NOW)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Return all samples, by name and label values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parsed(text.decode())
        for sample in family.samples
    }


def test_a_feed(tmp_path: Path) -> None:
    facts = Facts(in_force=OLD, held=HELD, why_held="x", tried=NOW - 60, succeeded=NOW - 400, failures=2, failed=7)
    assert samples(exposed(tmp_path, {"threats": facts})) == {
        ("blocker_feed_last_success_timestamp_seconds", "threats"): NOW - 400,
        ("blocker_feed_age_seconds", "threats"): 500,
        ("blocker_feed_interval_seconds", "threats"): 3600,
        ("blocker_feed_entries", "threats"): 10,
        ("blocker_feed_rejected_lines", "threats", "bad"): 1,
        ("blocker_feed_rejected_lines", "threats", "unsupported"): 2,
        ("blocker_feed_rejected_lines", "threats", "refused"): 3,
        ("blocker_feed_held", "threats"): 1,
        ("blocker_feed_failures_total", "threats"): 7,
    }


def test_a_feed_whose_update_a_person_has_rejected(tmp_path: Path) -> None:
    facts = Facts(in_force=OLD, held=HELD, why_held="x", rejected=NOW - 30, tried=NOW - 60, succeeded=NOW - 400)
    assert samples(exposed(tmp_path, {"threats": facts}))["blocker_feed_held", "threats"] == 0


@pytest.mark.parametrize("content", [None, b"", b"{", b"x" * 70_000])
def test_a_feed_that_was_never_fetched_or_whose_state_is_damaged(tmp_path: Path, content: bytes | None) -> None:
    found = samples(exposed(tmp_path, {"threats": content}))
    assert found["blocker_feed_last_success_timestamp_seconds", "threats"] == 0
    assert found["blocker_feed_entries", "threats"] == 0
    assert ("blocker_feed_age_seconds", "threats") not in found


def test_no_feeds(tmp_path: Path) -> None:
    assert exposed(tmp_path, {}) == b""


def test_promtool_finds_nothing_to_say(tmp_path: Path) -> None:
    text = exposed(tmp_path, {"threats": Facts(in_force=OLD), "new": None})
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
