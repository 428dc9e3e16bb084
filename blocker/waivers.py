"""Exceptions for names, found by name: there may be thousands, and a query must not pass them one by one. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from blocker import names
from blocker.names import Name
from blocker.rule import Waiver


@dataclass(frozen=True, slots=True)
class Waivers:
    """Those that hold for the same clients."""

    named: Mapping[Name, tuple[Waiver, ...]]
    patterns: tuple[Waiver, ...]
    others: "Waivers | None" = None  # those of more clients, shared by many of these

    @staticmethod
    def of(waivers: Iterable[Waiver], others: "Waivers | None" = None) -> "Waivers | None":
        """Return `waivers`, which are all for names, and `others` beside them; None if there are none."""
        named: dict[Name, list[Waiver]] = {}
        patterns = []
        for each in waivers:
            if each.pattern is not None:
                patterns.append(each)
            else:
                named.setdefault(each.name, []).append(each)
        if not named and not patterns:
            return others
        return Waivers({name: tuple(found) for name, found in named.items()}, tuple(patterns), others)

    def covering(self, name: Name, qname: Name) -> list[Waiver]:
        """Return those that cover one of two names: the most specific first, patterns last."""
        found = self._covering(name)
        return found if qname == name else found + self._covering(qname)

    def all(self) -> list[Waiver]:
        """Return every one."""
        found = [*(each for waivers in self.named.values() for each in waivers), *self.patterns]
        return found + self.others.all() if self.others is not None else found

    def _covering(self, name: Name) -> list[Waiver]:
        found = [each for above in names.parents(name) for each in self.named.get(above, ()) if each.covers(name)]
        found += [each for each in self.patterns if each.covers(name)]
        return found + self.others._covering(name) if self.others is not None else found
