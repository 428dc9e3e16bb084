"""The metrics that the product exposes, as its own collector describes them."""

import re
from collections.abc import Iterator

from blocker.sinks.facts import App, Bundle, Facts, Feed, Zones
from blocker.sinks.metrics import Collector
from blocker.sinks.region import Region, Word
from blocker.sinks.rollouts import Rollout

_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
    "info": ("_info",),
}
_EXTRA = {"histogram": {"le"}, "info": {"version", "python", "accelerated", "digest"}}
_TARGET = {"job", "instance"}  # every series has them from the scrape


def exposed() -> dict[str, set[str]]:
    """Return each series' name with its labels."""
    region = Region()
    region.words[Word.EVIDENCE] = 1
    region.upstream(0, "198.51.100.1:53")
    facts = Facts(
        generation=1,
        apps={"tiktok": App(1, "TikTok")},
        feeds={"threats": Feed("/nowhere", 1)},
        zones=Zones("/nowhere", (), ("theirs.example",)),
        bundle=Bundle(1, 2, "", {"key": 1}),
        candidates="/nowhere",
        egress="/nowhere",
        rollouts=(Rollout("trial", "app tiktok", "shadow", "shadow", 0, "", "", returned=False),),
        selftest="/nowhere",
    )
    found = {}
    for family in Collector(
        [region], lambda: facts, lambda: 0, beside={"egress": Region(), "sinkhole": Region(), "watch": Region()}
    ).collect():
        labels = set(family._labelnames) | _EXTRA.get(family.type, set())  # type: ignore[attr-defined]
        for suffix in _SUFFIXES[family.type]:
            found[family.name + suffix] = labels
    return found


def named(query: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each series that a PromQL query names, with the labels its selector or grouping uses."""
    grouped = {label for labels in re.findall(r"\b(?:by|on) ?\(([^)]*)\)", query) for label in _words(labels)}
    for name, selector in re.findall(r"\b(blocker_\w+)(?:\{([^}]*)\})?", query):
        yield name, set(re.findall(r"(\w+)\s*[=!]", selector or "")) | grouped


def unknown(query: str) -> list[str]:
    """Return what `query` names although nobody exposes it."""
    known = exposed()
    found = []
    for name, labels in named(query):
        if name not in known:
            found.append(name)
        else:
            found += [f"{name}{{{label}}}" for label in labels - known[name] - _TARGET]
    return found


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
