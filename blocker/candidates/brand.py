"""Does a name carry an app's own words? Anchored: a word counts at the border of a label or of a part of it.

    tiktok-cdn9.example   the word stands alone          strong
    tiktokimg.example     the word and a technical one   strong
    tiktokenizer.example  a name that begins like it     weak: fans, tools, bystanders
    mytiktok4u.example    somewhere inside               nothing

Pure. Nothing is blocked by these words; they only tell a person where to look.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from blocker import names
from blocker.names import Name

_TECHNICAL: Final = (
    "ads", "analytics", "api", "apis", "app", "apps", "assets", "auth", "cache", "cdn", "chat", "cloud", "config",
    "data", "dl", "dns", "download", "edge", "eu", "files", "gateway", "global", "gw", "image", "images", "img",
    "lb", "live", "log", "login", "media", "mon", "music", "net", "pay", "push", "row", "sdk", "sg", "shop",
    "sign", "static", "stream", "sync", "th", "tv", "uk", "update", "upload", "us", "va", "video", "web", "ws",
)  # fmt: skip

OWN: Final = {"alone": 0.6, "technical": 0.55, "begins": 0.15}  # in the label that somebody registered
BELOW: Final = {"alone": 0.3, "technical": 0.25, "begins": 0.0}  # further left: anybody may name a host so
_SAID: Final = {
    "alone": "the word {word!r} stands alone in it",
    "technical": "it is {word!r} and a technical word",
    "begins": "it only begins with {word!r}, as bystanders' names do",
}


class Match(NamedTuple):
    """A word of an app in a name."""

    app: str
    weight: float  # 0 to 1
    says: str


class Brands:
    """The words of all apps."""

    def __init__(self, words: Mapping[str, Sequence[str]]) -> None:
        """Take the words of each app."""
        technical = "|".join(_TECHNICAL)
        self._apps: list[tuple[str, str, tuple[tuple[str, re.Pattern[str]], ...]]] = []
        for app, some in words.items():
            for word in sorted(some, key=len, reverse=True):  # the longest says most
                quoted = re.escape(word)
                self._apps.append((app, word, (
                    ("alone", re.compile(rf"(?:^|[-_0-9]){quoted}(?:$|[-_0-9])")),
                    ("technical", re.compile(rf"^(?:{quoted}(?:{technical})|(?:{technical}){quoted})(?:$|[-_0-9])")),
                    ("begins", re.compile(rf"^{quoted}")),
                )))  # fmt: skip
        every = sorted({word for some in words.values() for word in some})
        self._gate = re.compile(b"|".join(re.escape(word.encode()) for word in every) if every else rb"(?!)").search

    def suspects(self, name: Name) -> bool:
        """Tell whether `name` may hold a word at all; 0.3 us, for every name."""
        return self._gate(name) is not None

    def find(self, name: Name, owned: Name) -> tuple[Match, ...]:
        """Return the strongest match of each app in `name`, which lies at or below the registered `owned`."""
        best: dict[str, Match] = {}
        left = names.depth(name) - names.depth(owned)
        for at, label in enumerate(names.labels(name)):
            if at > left:
                break
            text = label.decode("latin-1")
            for app, word, forms in self._apps:
                kind = next((kind for kind, pattern in forms if pattern.search(text)), None)
                if kind is None:
                    continue
                weight = (OWN if at == left else BELOW)[kind]
                if weight > (best[app].weight if app in best else 0.0):
                    shown = names.to_text(bytes((len(label),)) + label + names.ROOT)  # it goes to a terminal
                    best[app] = Match(app, weight, f"{shown}: {_SAID[kind].format(word=word)}")
        return tuple(best.values())
