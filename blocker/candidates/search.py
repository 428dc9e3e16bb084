"""The search for relatives under one set of lists: whose words count, what one owner holds, what is decided.

Reads lists and nothing else; queries come from whoever has them: the journals of the workers, or logs.
"""

from collections.abc import Iterator

from blocker.candidates.brand import Brands
from blocker.candidates.finding import Finding
from blocker.candidates.memory import Memory
from blocker.candidates.owned import Owners
from blocker.config import Candidates
from blocker.errors import NameFormatError
from blocker.lists import gather
from blocker.lists.index import Index
from blocker.lists.must_resolve import MustResolve
from blocker.names import Name, from_text


class Search:
    """Takes queries into `memory`, and tells findings that nobody has decided on."""

    def __init__(self, index: Index, must: MustResolve, wanted: Candidates) -> None:
        """Look for relatives of the apps in `index` that `wanted` names, or that have words of their own."""
        self.words = {
            app: tuple(info.brand)
            for app, info in index.apps.items()
            if info.loaded and (app in wanted.apps if wanted.apps else info.brand)
        }
        self._index = index
        self._must = must
        self._least = wanted.threshold
        shared = gather.read_shared(gather.BUILT_IN / gather.SHARED)
        self.memory = Memory(
            Owners(shared).of,
            Brands(self.words),
            frozenset(self.words),
            window=wanted.window,
            clients=wanted.max_clients,
            most=wanted.max_names,
        )

    def renew(self, index: Index, must: MustResolve) -> None:
        """Go on under other lists of the same apps: what was seen stays."""
        self._index = index
        self._must = must

    def findings(self) -> Iterator[Finding]:
        """Yield what was learnt since the last time, of names that nobody has decided on."""
        for finding in self.memory.findings(self._least):
            if not self.is_decided(finding.name):
                yield finding

    def is_decided(self, name: str) -> bool:
        """Tell whether a list speaks of `name`, switched off or not, or it must resolve."""
        try:
            wire = from_text(name)
        except NameFormatError:
            return True
        return bool(self._index.listed(wire)) or is_needed(self._must, wire)


def is_needed(must: MustResolve, name: Name) -> bool:
    """Tell whether `name` must resolve, or lies below or above what must."""
    return must.covering(name) is not None or bool(must.refuses(name[::-1]))
