"""What is known of a feed, before and after each thing that can happen."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.errors import FeedError
from blocker.feeds import facts as form
from blocker.feeds.facts import Edition, Facts

OLD, NEW, HELD = (Edition(each * 64, 100, 10, bad=1, etag='"x"', source="s") for each in "abc")
HAD = Facts(in_force=OLD, tried=1.0, succeeded=1.0, failures=3, failed=7, error="down")


def test_published():
    facts = HAD.published(NEW, 5.0)
    assert facts == Facts(in_force=NEW, former=OLD, tried=5.0, succeeded=5.0, failed=7)
    assert facts.published(NEW, 6.0).former == OLD  # the same again


def test_held_and_accepted():
    facts = HAD.keeping(HELD, "it shrank", 5.0)
    assert (facts.in_force, facts.latest, facts.why_held, facts.succeeded, facts.failures) == (
        OLD,
        HELD,
        "it shrank",
        1.0,
        0,
    )
    assert facts.unchanged(9.0).succeeded == 1.0  # what is in force is still not what the source has
    accepted = facts.accepted(9.0)
    assert (accepted.in_force, accepted.former, accepted.held, accepted.why_held) == (HELD, OLD, None, "")
    assert (accepted.tried, accepted.succeeded) == (5.0, 9.0)


def test_held_and_rejected():
    facts = HAD.keeping(HELD, "it shrank", 5.0)
    assert facts.waiting
    rejected = facts.after_rejection(9.0)
    assert (rejected.waiting, rejected.rejected, rejected.in_force, rejected.latest) == (False, 9.0, OLD, HELD)
    assert rejected.unchanged(10.0).succeeded == 1.0  # what is in force is still not what the source has
    assert rejected.accepted(10.0) == facts.accepted(10.0)  # a person may think better of it
    assert rejected.keeping(NEW, "it grew", 10.0).waiting  # another edition is another question


@pytest.mark.parametrize("rejected", [False, True])
def test_the_source_takes_it_back(rejected):
    facts = HAD.keeping(HELD, "it shrank", 5.0)
    facts = (facts.after_rejection(5.5) if rejected else facts).returned(OLD, 6.0)
    assert facts == Facts(in_force=OLD, tried=6.0, succeeded=6.0, failed=7)


def test_unchanged():
    facts = HAD.unchanged(5.0)
    assert (facts.in_force, facts.tried, facts.succeeded, facts.failures, facts.error) == (OLD, 5.0, 5.0, 0, "")


def test_failed():
    facts = HAD.after_failure("still down", 5.0)
    assert (facts.in_force, facts.tried, facts.succeeded, facts.failures, facts.failed) == (OLD, 5.0, 1.0, 4, 8)


def test_a_former_version_can_read_what_says_nothing_new():
    said = json.loads(form.to_json(HAD.keeping(HELD, "it shrank", 5.0)))
    assert "rejected" not in said
    assert {"version", "in_force", "held", "why_held", "succeeded"} <= said.keys()


def test_nothing_to_accept():
    with pytest.raises(FeedError, match="nothing is held"):
        HAD.accepted(5.0)
    with pytest.raises(FeedError, match="nothing is held"):
        HAD.after_rejection(5.0)


@pytest.mark.parametrize("facts", [Facts(), HAD, HAD.published(NEW, 5.0).keeping(HELD, "why", 6.0)])
def test_what_is_written_is_read(facts):
    assert form.from_json(form.to_json(facts)) == facts


def changed(**said):
    return json.dumps({**json.loads(form.to_json(HAD)), **said}).encode()


@pytest.mark.parametrize("content", [
    b"", b"[]", b"{", b"null", b"[" * 100_000,
    changed(version=2), changed(more=1), changed(in_force=[]), changed(tried="x"), changed(tried=-1),
    changed(failures=True), changed(failures=1.5), changed(error=None), changed(tried=float("nan")),
    changed(in_force={"sha256": "../../etc/passwd", "octets": 1, "entries": 1}),
    changed(in_force={"sha256": "a" * 64}),
])  # fmt: skip
def test_what_is_no_facts_is_refused(content):
    with pytest.raises(FeedError):
        form.from_json(content)


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from(["version", "in_force", "held", "tried", "sha256"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_anything_is_facts_or_refused(content):
    with contextlib.suppress(FeedError):
        assert isinstance(form.from_json(content), Facts)
