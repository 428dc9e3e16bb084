"""Where each value was written: in which line of which file, or by which option on the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from blocker.config.values import Where
from blocker.lists.marked import Marked

OPTIONS: Final[Mapping[str, str]] = {
    "listen": "--listen",
    "upstream.servers": "--upstream",
    "lists.directories": "--lists",
    "metrics.listen": "--metrics",
    "process.workers": "--workers",
}
"""The options that stand for a key; any other override is called `--` and its key."""


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where a configuration came from; kept with it for problems that show only beside the lists."""

    document: Marked | None = None
    options: Mapping[Where, str] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Tell whether `other` is an origin too: two configurations that say the same are equal."""
        return isinstance(other, Origin)

    def problem(self, where: Where, text: str) -> tuple[int, str]:
        """Return the line that `where` stands in, 0 if in none, and `text` after its place in words."""
        for end in range(len(where), 0, -1):
            if option := self.options.get(where[:end]):
                return 0, f"{option}: {text}"
        path = f"{dotted(where)}: " if where else ""
        if self.document is None:
            return 0, f"{path}{text}"
        line = self.document.line(where)
        return line, f"{self.document.name}:{line}: {path}{text}"


def dotted(where: Where) -> str:
    """Return `where` as people write it, `groups.0.name`."""
    return ".".join(part if isinstance(part, str) and part.isprintable() else ascii(part) for part in where)
