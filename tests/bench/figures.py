"""Figures and the rows they become. Pure: knows no server, no clock and no file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Self

COLUMNS: Final = ("date", "commit", "machine", "bench", "what", "figure", "ratio", "goal", "met")


@dataclass(frozen=True, slots=True)
class Series:
    """The same thing measured several times, in the order of the rounds."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return a series of `values`, of which there is at least one."""
        found = cls(tuple(values))
        if not found.values:
            raise ValueError("a series needs at least one value")
        return found

    @property
    def median(self) -> float:
        """Return the middle value."""
        return median(self.values)

    def text(self, unit: str, digits: int = 2) -> str:
        """Return the median with the least and the greatest value: the noise belongs to the figure."""
        least, most = min(self.values), max(self.values)
        spread = f" ({least:.{digits}f}..{most:.{digits}f})" if len(self.values) > 1 else ""
        return f"{self.median:.{digits}f} {unit}{spread}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """One series over another that was measured in the same rounds."""

    ours: Series
    theirs: Series

    @property
    def value(self) -> float:
        """Return the ratio of the medians, which one bad round does not move."""
        return self.ours.median / self.theirs.median

    def text(self, name: str) -> str:
        """Return the ratio to the server `name`, with the least and the greatest of single rounds."""
        single = [ours / theirs for ours, theirs in zip(self.ours.values, self.theirs.values, strict=True)]
        return f"{self.value:.2f} × {name} ({min(single):.2f}..{max(single):.2f})"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `met` is None where there is no goal, or it cannot be judged on this machine."""

    bench: str
    what: str
    figure: str
    ratio: str = ""
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """When, of which source, and on what machine."""

    date: str
    commit: str
    machine: str


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of all `values` lie (the nearest rank)."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(rows: Iterable[Row], stamp: Stamp, *, head: bool = True) -> str:
    """Return `rows` as lines of a Markdown table."""
    lines = [_line(COLUMNS), _line("---" for _ in COLUMNS)] if head else []
    for row in rows:
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        lines.append(_line((*_stamped(stamp), row.bench, row.what, row.figure, row.ratio, row.goal, met)))
    return "\n".join(lines)


def _stamped(stamp: Stamp) -> tuple[str, str, str]:
    return stamp.date, stamp.commit, stamp.machine


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
