"""What a person is told: a name, the app that it looks like, and each thing that speaks for it, with its weight.

Pure. The weights are probabilities as a person would bet; together they weigh as independent witnesses do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Final

_LOST: Final = 0.98  # no sum of witnesses makes a certainty: a person decides


class Kind(StrEnum):
    """What can speak for a name."""

    BRAND = "brand"  # it carries one of the app's words
    COMPANY = "company"  # clients ask for it when they ask for the app's blocked names, and hardly otherwise
    ALIAS = "alias"  # it is another name for one in a listed zone
    ADDRESS = "address"  # it answers from addresses that only the app has


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that speaks for a name."""

    kind: Kind
    weight: float  # 0 to 1
    says: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A name that looks like an app's."""

    name: str
    app: str
    evidence: tuple[Evidence, ...]  # the strongest first
    names: tuple[str, ...] = ()  # some that were asked for at or below it
    clients: int = 0  # that asked, as far as they were counted

    @property
    def score(self) -> float:
        """Return how likely it is the app's, 0 to 1."""
        return weigh(each.weight for each in self.evidence)

    @property
    def kinds(self) -> frozenset[Kind]:
        """Return what speaks for it."""
        return frozenset(each.kind for each in self.evidence)


def weigh(weights: Iterable[float]) -> float:
    """Return what independent witnesses of these weights make together."""
    return round(min(_LOST, 1 - prod(1 - each for each in weights)), 3)
