"""What the supervisor has said."""

import pytest

from blocker.sinks.facts import App, Bundle, Facts, Feed
from blocker.sinks.rollouts import Rollout

EVENT = {
    "event": "generation",
    "number": 7,
    "digest": "abc",
    "policy": "fed",
    "compiled": 100.0,
    "apps": {"tiktok": {"entries": 12, "title": "TikTok"}},
    "feeds": {"threats": {"facts": "/var/lib/blocker/feeds/threats/facts.json", "interval": 3600}},
    "watch": ["/etc/blocker.yaml"],
    "looked": "as it was",
    "bundle": None,
    "duration": 0.5,
    "problems": [],
    "reloads": {"succeeded": 3, "refused": 1, "last_success": 200.0},
    "path": "/var/lib/blocker/generation-7.json",
    "exceptions": {"granted": {"1": [0, 300]}, "counts": {"approved": 1}, "seq": 2},
    "standing": {"ends": {}},
    "turns": 300.0,
    "unamended": [],
}


def after(*events: dict[str, object]) -> Facts:
    """Return the facts after all events."""
    facts = Facts()
    for event in events:
        facts = facts.after({**EVENT, **event})
    return facts


def test_an_event_tells_what_is_in_force_and_how_reloads_went() -> None:
    facts = after({})
    assert (facts.generation, facts.digest, facts.policy, facts.compiled) == (7, "abc", "fed", 100.0)
    assert facts.apps == {"tiktok": App(12, "TikTok")}
    assert facts.feeds == {"threats": Feed("/var/lib/blocker/feeds/threats/facts.json", 3600)}
    assert (facts.paths, facts.looked) == (("/etc/blocker.yaml",), "as it was")
    assert (facts.succeeded, facts.refused, facts.last_success) == (3, 1, 200.0)
    assert (facts.exceptions.active(299.0), facts.exceptions.turns) == (1, 300.0)


def test_an_event_tells_of_the_bundle_in_force() -> None:
    said = {"serial": 42, "created": 1, "expires": 300, "publisher": "P", "refused": {"key": 2}}
    assert after({}).bundle is None
    assert after({"bundle": said}).bundle == Bundle(42, 300, "P", {"key": 2})


def test_an_event_tells_where_rollouts_stand() -> None:
    said = {
        "name": "trial", "about": "app tiktok", "stage": "percent", "words": "percent 10", "since": 5.0, "by": "ada",
        "why": "why", "returned": False,
    }  # fmt: skip
    assert after({}).rollouts == ()
    assert after({"rollouts": [said]}).rollouts == (
        Rollout("trial", "app tiktok", "percent", "percent 10", 5.0, "ada", "why", returned=False),
    )


def test_a_success_replaces() -> None:
    facts = after({}, {"number": 8, "digest": "def", "duration": 1.5})
    assert (facts.generation, facts.digest, facts.last_duration) == (8, "def", 1.5)


def test_a_refusal_says_why_until_the_next_success() -> None:
    assert after({}, {"problems": ["tiktok.yaml:14: ..."]}).problems == ("tiktok.yaml:14: ...",)
    assert after({"problems": ["tiktok.yaml:14: ..."]}, {}).problems == ()


@pytest.mark.parametrize(
    "event",
    [
        {},
        {**EVENT, "number": "x"},
        {**EVENT, "apps": []},
        {**EVENT, "apps": {"a": 1}},
        {**EVENT, "compiled": None},
        {**EVENT, "feeds": {"a": {}}},
        {**EVENT, "bundle": {}},
    ],
)
def test_nonsense_is_refused(event: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        Facts().after(event)
