"""Which names are asked for in the background, and when again: as their TTL says, and never more than a few a second.

Pure: time is an argument, in seconds of a clock that never goes back.
"""

import heapq
import itertools
from collections.abc import Iterable
from typing import Final, NamedTuple

from blocker.names import Name
from blocker.wire.constants import AAAA, A

_SOONEST: Final = 60  # seconds until a name is asked for again, however short its TTL
_LATEST: Final = 3600  # ... however long
_UNHEARD: Final = 600  # seconds until a question that nobody answered is asked again
_BURST: Final = 2.0  # seconds' worth of questions at once ...
_AT_ONCE: Final = 200  # ... and no more of them than a worker's socket holds while it does something else


class Question(NamedTuple):
    """One question."""

    name: Name
    qtype: int


class Questions:
    """What to ask."""

    def __init__(self, rate: float, most: int) -> None:
        """Ask `rate` questions a second, for `most` names at the most."""
        self.rate = rate
        self.most = most
        self._due: dict[Question, float] = {}
        self._heap: list[tuple[float, int, Question]] = []  # with entries that `_due` has moved on from
        self._order = itertools.count()  # of those due at once, the first to come is the first to go
        self._tokens = 0.0
        self._filled = 0.0  # when tokens were counted last

    def __len__(self) -> int:
        return len(self._due)

    def names(self) -> set[Name]:
        """Return what is asked for."""
        return {question.name for question in self._due}

    def add(self, name: Name, now: float) -> None:
        """Ask for `name` too, unless it is known or there are too many."""
        for qtype in (A, AAAA):
            question = Question(name, qtype)
            if question not in self._due and len(self._due) < 2 * self.most:
                self._put(question, now)

    def drop(self, question: Question) -> None:
        """Ask this no more."""
        self._due.pop(question, None)

    def keep(self, wanted: Iterable[Name]) -> None:
        """Forget all names but these."""
        kept = frozenset(wanted)
        self._due = {question: due for question, due in self._due.items() if question.name in kept}

    def take(self, now: float) -> list[Question]:
        """Return what is to be asked now; it comes again later even if nobody answers."""
        self._tokens = min(self._tokens + (now - self._filled) * self.rate, min(max(1.0, self.rate * _BURST), _AT_ONCE))
        self._filled = now
        found: list[Question] = []
        while self._tokens >= 1 and self._heap and self._heap[0][0] <= now:
            due, _, question = heapq.heappop(self._heap)
            if self._due.get(question) != due:
                continue
            self._put(question, now + _UNHEARD)
            self._tokens -= 1
            found.append(question)
        return found

    def defer(self, questions: Iterable[Question], due: float) -> None:
        """Let questions that were taken, and could not be asked, be due again at the time `due`."""
        for question in questions:
            if question in self._due:
                self._put(question, due)

    def answered(self, question: Question, ttl: int, now: float) -> None:
        """Take note of the seconds that an answer may be kept."""
        if question in self._due:
            self._put(question, now + min(max(ttl, _SOONEST), _LATEST))

    def _put(self, question: Question, due: float) -> None:
        self._due[question] = due
        heapq.heappush(self._heap, (due, next(self._order), question))
        if len(self._heap) > 4 * len(self._due) + 100:  # what was moved on from would stay until its time
            self._heap = [(when, next(self._order), each) for each, when in self._due.items()]
            heapq.heapify(self._heap)
