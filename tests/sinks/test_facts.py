"""What the supervisor has said."""

import pytest

from blocker.sinks.facts import App, Facts

EVENT = {
    "event": "generation",
    "number": 7,
    "digest": "abc",
    "compiled": 100.0,
    "apps": {"tiktok": {"entries": 12, "title": "TikTok"}},
    "watch": ["/etc/blocker.yaml"],
    "duration": 0.5,
    "problems": [],
    "path": "/var/lib/blocker/generation-7.json",
}


def test_the_first_event_tells_what_is_in_force_and_is_no_reload() -> None:
    facts = Facts().after(EVENT, 200.0)
    assert (facts.generation, facts.digest, facts.compiled) == (7, "abc", 100.0)
    assert facts.apps == {"tiktok": App(12, "TikTok")}
    assert facts.paths == ("/etc/blocker.yaml",)
    assert (facts.succeeded, facts.refused, facts.last_success) == (0, 0, 200.0)


def test_a_success_replaces_and_counts() -> None:
    facts = Facts().after(EVENT, 200.0).after({**EVENT, "number": 8, "digest": "def", "duration": 1.5}, 300.0)
    assert (facts.generation, facts.digest, facts.last_duration) == (8, "def", 1.5)
    assert (facts.succeeded, facts.refused, facts.last_success) == (1, 0, 300.0)


def test_a_refusal_counts_and_says_why_until_the_next_success() -> None:
    facts = Facts().after(EVENT, 200.0).after({**EVENT, "problems": ["tiktok.yaml:14: ..."]}, 300.0)
    assert (facts.succeeded, facts.refused, facts.last_success) == (0, 1, 200.0)
    assert facts.problems == ("tiktok.yaml:14: ...",)
    assert facts.after(EVENT, 400.0).problems == ()


@pytest.mark.parametrize(
    "event",
    [{}, {**EVENT, "number": "x"}, {**EVENT, "apps": []}, {**EVENT, "apps": {"a": 1}}, {**EVENT, "compiled": None}],
)
def test_nonsense_is_refused(event: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        Facts().after(event, 0.0)
