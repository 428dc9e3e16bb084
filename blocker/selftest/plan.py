"""What is asked in one round: for each app that is enforced a name of its list, and a name that must resolve.

Pure. The names change from round to round, so that in time all of a list is tried; what is expected comes from the same
`decide` as the server's.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from blocker import policy
from blocker.names import MAX_NAME, Name
from blocker.policy import Action, Index, Policy, Verdict
from blocker.wire.constants import CLASS_IN, OPT, OUR_UDP_SIZE, RD, A

_TRIES: Final = 32  # names of one app that are looked at until one is blocked by it
_STRIDE: Final = 7919  # places from one round's name to the next: a prime, so that all places come
_BELOW: Final = b"\x08selftest"  # a name below one whose list covers only what is below it
_HEADER: Final = struct.Struct("!HHHHHH")
_QUESTION: Final = struct.Struct("!HH")
_EDNS: Final = b"\0" + struct.pack("!HHIH", OPT, OUR_UDP_SIZE, 0, 0)  # else no answer would say why


class Listed(Index, Protocol):
    """An index that can name what is in it."""

    def name_at(self, place: int) -> Name:
        """Return the name at one of the places that `places` gave."""


@dataclass(frozen=True, slots=True)
class Check:
    """One name to ask, and what the policy says of it."""

    app: str  # empty: a name that must resolve
    qname: Name
    verdict: Verdict


def blocked(who: Policy, index: Listed, places: Mapping[str, Sequence[int]], turn: int) -> tuple[Check, ...]:
    """Return a check of each app that blocks anything for `who`, in round number `turn`."""
    found = (_blocked(who, index, app, places.get(app, ()), turn) for app in sorted(who.apps))
    return tuple(check for check in found if check is not None)


def resolving(who: Policy, index: Index, needed: Sequence[Name], turn: int) -> Check | None:
    """Return a check of one of the names that must resolve; None if `who` may ask none of them."""
    some = (needed[(turn + step) % len(needed)] for step in range(min(len(needed), _TRIES)))
    return next(passing(who, index, some), None)


def passing(who: Policy, index: Index, needed: Iterable[Name]) -> Iterator[Check]:
    """Yield a check of each of the names that must resolve and that `who` may ask."""
    for name in needed:
        verdict = policy.decide(who, index, name)
        if verdict.action is Action.PASSTHRU:
            yield Check("", name, verdict)


def packet(check: Check, number: int) -> bytes:
    """Return the query for addresses of a check's name, with the id `number`."""
    return _HEADER.pack(number, RD, 1, 0, 0, 1) + check.qname + _QUESTION.pack(A, CLASS_IN) + _EDNS


def _blocked(who: Policy, index: Listed, app: str, places: Sequence[int], turn: int) -> Check | None:
    for step in range(min(len(places), _TRIES)):
        name = index.name_at(places[(turn * _STRIDE + step) % len(places)])
        for asked in (name, _BELOW + name):
            if len(asked) > MAX_NAME:
                continue
            verdict = policy.decide(who, index, asked)
            if verdict.action is not Action.PASSTHRU and verdict.rule is not None and verdict.rule.app == app:
                return Check(app, asked, verdict)
    return None
