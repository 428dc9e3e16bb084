"""Is a name kept company with blocked ones more than chance would have it? Counted by sittings, client by client.

A sitting is what one client asks within a window of seconds from its first query. A client whose app knocks all day
has blocked names in every sitting, and then tells nothing about the other names in it; so what chance would do is
reckoned from each client's own habits. Names that everybody asks all the time (google.com) come out near one.

Pure: counts go in, a weight comes out.
"""

from dataclasses import dataclass
from math import log
from typing import Final

from blocker.candidates.finding import Evidence, Kind

LEAST: Final = 5.0  # sittings with a blocked name near, before anything is said
LIFT: Final = 2.0  # times as often as chance would have it
SHARE: Final = 0.5  # of the sittings in which the name is asked
SURPRISE: Final = 10.0  # nats (log-likelihood): among 100,000 names, chance alone brings up four
_FULL: Final = 25.0  # nats at which the weight is full
_BEFORE: Final = 0.9  # share of sittings in which it came first: a page that embeds the app, more likely than the app
_FIRST: Final = 0.3  # what is then left of the weight
_LOWEST: Final = 0.4
_HIGHEST: Final = 0.6
COUNTED: Final = 16  # clients told apart
_ALONE: Final = 0.4  # the highest from one client alone


@dataclass(slots=True)
class Tally:
    """A name and an app, over all sittings; halved from time to time, so these are no whole numbers."""

    near: float = 0.0  # sittings in which the app was blocked too
    expected: float = 0.0  # what chance would have brought
    before: float = 0.0  # of `near`: the name was asked before the first blocked one


def expected(near: float, sittings: float, everywhere: float) -> float:
    """Return the chance that a client's next sitting has a blocked name of the app.

    From the client's own sittings so far, and as long as those are few from the share among all clients, `everywhere`.
    """
    return (near + everywhere) / (sittings + 1.0)


def surprise(near: float, by_chance: float) -> float:
    """Return how much more than chance `near` is, in nats of likelihood (Poisson)."""
    if near <= by_chance:
        return 0.0
    floor = max(by_chance, 0.01)
    return near * log(near / floor) - (near - floor)


def judge(tally: Tally, sittings: float, clients: int) -> Evidence | None:
    """Return what company says of a name that was asked in `sittings`, by `clients` near the app; None: nothing."""
    if tally.near < LEAST or tally.near < SHARE * sittings or tally.near < LIFT * tally.expected:
        return None
    strength = surprise(tally.near, tally.expected)
    if strength < SURPRISE:
        return None
    weight = _LOWEST + (_HIGHEST - _LOWEST) * min(1.0, (strength - SURPRISE) / (_FULL - SURPRISE))
    first = tally.before > _BEFORE * tally.near
    if clients < 2:
        weight = min(weight, _ALONE)
    if first:
        weight *= _FIRST
    lift = min(tally.near / max(tally.expected, 0.01), 999)
    who = f"{'at least ' if clients == COUNTED else ''}{clients} client{'' if clients == 1 else 's'}"
    said = (
        f"asked within seconds of blocked names in {tally.near:.0f} of {sittings:.0f} sittings, by {who};"
        f" chance would make it {tally.expected:.1f} ({lift:.0f} times)"
    )
    if first:
        said += "; it comes first nearly each time, as a page does that embeds the app"
    return Evidence(Kind.COMPANY, round(weight, 3), said)
