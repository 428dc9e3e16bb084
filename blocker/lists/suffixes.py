"""Which names are public suffixes, below which strangers register: no list of ours may block one whole.

Only the registries' own section of the Public Suffix List counts (com, co.uk). Its private section (github.io,
blogspot.com) names services, and a service may be banned: those are warned about, not refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from blocker import names
from blocker.errors import NameFormatError
from blocker.names import Name

_ICANN_ENDS = "===END ICANN DOMAINS==="


@dataclass(frozen=True, slots=True)
class Suffixes:
    """Public suffixes and the names above them, as the index's keys (reversed)."""

    registry: frozenset[bytes]
    wild: tuple[bytes, ...]  # every label directly below is a public suffix (*.ck)
    exempt: frozenset[bytes]  # ... but these (!www.ck)
    private: frozenset[bytes]

    def refused(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return those of `keys` that are public suffixes or lie above one; a million take 0.3 s."""
        # A set against a sequence, and one startswith with all the prefixes: both loop in C.
        found = set(self.registry.intersection(keys))
        return found | {key for key in keys if key.startswith(self.wild) and self._wild(key)}

    def is_refused(self, name: Name) -> bool:
        """Tell whether `name` is a public suffix or lies above one; an unknown top-level domain is one too."""
        return names.depth(name) < 2 or bool(self.refused([name[::-1]]))

    def is_private(self, name: Name) -> bool:
        """Tell whether strangers have names below `name` at a service, such as github.io."""
        return name[::-1] in self.private

    def _wild(self, key: bytes) -> bool:
        name = key[::-1]
        return key not in self.exempt and name[1 + name[0] :][::-1] in self.wild


@cache
def load() -> Suffixes:
    """Return the suffixes of the list that came with the publicsuffixlist package; nothing is fetched."""
    text = (files("publicsuffixlist") / "public_suffix_list.dat").read_text(encoding="utf-8")
    registry, _, private = text.partition(_ICANN_ENDS)
    plain, wild, exempt = set[bytes](), set[bytes](), set[bytes]()
    for rule in _rules(registry):
        kind = wild if rule.startswith("*.") else exempt if rule.startswith("!") else plain
        if name := _name(rule.removeprefix("*.").removeprefix("!")):
            kind.add(name[::-1])
    above = {upper[::-1] for key in plain | wild for upper in names.parents(key[::-1])}
    own = {name[::-1] for rule in _rules(private) if (name := _name(rule.removeprefix("*.")))}
    return Suffixes(frozenset(plain | above), tuple(sorted(wild)), frozenset(exempt), frozenset(own))


def _rules(text: str) -> Iterable[str]:
    return (line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("//"))


def _name(rule: str) -> Name | None:
    try:
        return names.from_text(rule)
    except NameFormatError:  # newer Unicode than the idna package knows: nobody can list it here either
        return None
