"""Which addresses of banned names may be refused: those that nobody else was seen at.

Pure: time is an argument, in seconds of a clock that never goes back. An address that also answers for an allowed name,
or may do so because strangers share it, is left alone, and why is kept for people to see. One that was clean is watched
for a while before it counts, and is let go the moment that an allowed name turns up at it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from blocker import names
from blocker.addresses import is_private
from blocker.names import Name

MOST_ALLOWED: Final = 200_000  # addresses of allowed names that are remembered; the ones seen longest ago go first
MOST_SUSPECTS: Final = 50_000  # addresses of banned names
_LINGER: Final = 2.0  # seconds for which one is remembered longer than the kernel refuses it


class Reason(StrEnum):
    """Why an address of a banned name is not refused."""

    NONE = ""
    ALLOWED = "allowed"  # an allowed name had it lately
    NEEDED = "must-resolve"  # a name that must resolve has it
    SHARED = "shared"  # the banned name leads to a network that strangers share
    OWN = "own"  # private, or configured here: resolvers, static networks


class Found(NamedTuple):
    """What a banned name was found to have."""

    app: str
    name: Name
    addresses: Sequence[bytes]  # 4 or 16 octets
    ttl: int  # seconds
    shared: Name | None = None  # the shared parent that it leads to, if any


class Change(NamedTuple):
    """What is to be refused for so many seconds, or no longer."""

    app: str
    address: bytes
    seconds: int  # 0: no longer


@dataclass(slots=True)
class Suspect:
    """An address of a banned name."""

    app: str
    address: bytes
    name: Name  # that had it last
    since: float  # when it was first seen
    until: float  # when it is forgotten, unless it is seen again
    reason: Reason = Reason.NONE
    by: str = ""  # whom it is left alone for
    refused: bool = False  # connections to it are


class Learning:
    """What is known of addresses."""

    def __init__(self, probation: float, keep: float, recent: float) -> None:
        """Watch an address for `probation` seconds, refuse it for `keep`; allowed names keep theirs for `recent`."""
        self.probation = probation
        self.keep = keep
        self.recent = recent
        self.guarded: Counter[tuple[str, Reason]] = Counter()  # how often an address was left alone
        self._allowed: dict[bytes, tuple[float, Name, Reason]] = {}  # the one seen longest ago first
        self._suspects: dict[bytes, dict[str, Suspect]] = {}  # by app
        self._count = 0

    def allow(
        self, name: Name, addresses: Iterable[bytes], ttl: int, now: float, reason: Reason = Reason.ALLOWED
    ) -> list[Change]:
        """Take note that an allowed name has `addresses`; return what must be let go."""
        changes: list[Change] = []
        for address in addresses:
            former = self._allowed.pop(address, None)
            if former is not None and former[2] is Reason.NEEDED and former[0] > now:
                name, reason = former[1], Reason.NEEDED  # the stronger word stays
            self._allowed[address] = now + max(self.recent, ttl), name, reason
            for suspect in self._suspects.get(address, {}).values():
                changes += self._leave_alone(suspect, reason, names.to_text(name))
        while len(self._allowed) > MOST_ALLOWED:
            del self._allowed[next(iter(self._allowed))]
        return changes

    def find(self, found: Found, own: Iterable[bytes], now: float) -> list[Change]:
        """Take note of what a banned name has; return what is to be refused now. `own` are addresses of ours."""
        changes: list[Change] = []
        mine = set(own)
        for address in found.addresses:
            suspect = self._suspect(found, address, now)
            if suspect is None:
                continue
            reason, by = self._judge(found, address, mine, now)
            if reason is not Reason.NONE:
                changes += self._leave_alone(suspect, reason, by)
                continue
            suspect.reason, suspect.by = Reason.NONE, ""
            changes += self._refuse(suspect, now)
        return changes

    def look(self, now: float) -> list[Change]:
        """Return what has been watched for long enough, and forget what was not seen for long."""
        changes: list[Change] = []
        for suspect in list(self.suspects()):
            if suspect.until + _LINGER <= now:
                self._forget(suspect)
                changes += [Change(suspect.app, suspect.address, 0)] if suspect.refused else []
            elif not suspect.refused and suspect.reason is Reason.NONE:
                changes += self._refuse(suspect, now)
        return changes

    def restore(self, app: str, address: bytes, left: float, now: float) -> None:
        """Take over what is refused for `left` more seconds, whyever."""
        held = self._suspects.setdefault(address, {})
        if app not in held:
            held[app] = Suspect(app, address, names.ROOT, now - self.probation, now + left, refused=True)
            self._count += 1

    def forget(self, apps: Iterable[str]) -> None:
        """Forget all but these apps: nobody is refused anything for the others."""
        kept = set(apps)
        for suspect in list(self.suspects()):
            if suspect.app not in kept:
                self._forget(suspect)

    def again(self, now: float) -> list[Change]:
        """Return everything that is refused: the sets were made anew."""
        return [Change(each.app, each.address, int(each.until - now) + 1) for each in self.suspects() if each.refused]

    def suspects(self) -> Iterator[Suspect]:
        """Yield what is known of each address of each app."""
        for held in self._suspects.values():
            yield from held.values()

    def _suspect(self, found: Found, address: bytes, now: float) -> Suspect | None:
        held = self._suspects.get(address, {})
        suspect = held.get(found.app)
        if suspect is None:
            if self._count >= MOST_SUSPECTS:
                return None
            suspect = Suspect(found.app, address, found.name, now, now)
            self._suspects.setdefault(address, held)[found.app] = suspect
            self._count += 1
        suspect.name = found.name
        suspect.until = now + max(self.keep, found.ttl)
        return suspect

    def _judge(self, found: Found, address: bytes, own: set[bytes], now: float) -> tuple[Reason, str]:
        if is_private(address) or address in own:
            return Reason.OWN, "our own network"
        if found.shared is not None:
            return Reason.SHARED, names.to_text(found.shared)
        until, name, reason = self._allowed.get(address, (0.0, b"", Reason.NONE))
        return (reason, names.to_text(name)) if until > now else (Reason.NONE, "")

    def _refuse(self, suspect: Suspect, now: float) -> list[Change]:
        if now - suspect.since < self.probation:
            return []
        suspect.refused = True
        return [Change(suspect.app, suspect.address, int(suspect.until - now) + 1)]

    def _leave_alone(self, suspect: Suspect, reason: Reason, by: str) -> list[Change]:
        if suspect.reason is Reason.NONE:
            self.guarded[suspect.app, reason] += 1
        was, suspect.refused = suspect.refused, False
        suspect.reason, suspect.by = reason, by
        return [Change(suspect.app, suspect.address, 0)] if was else []

    def _forget(self, suspect: Suspect) -> None:
        held = self._suspects[suspect.address]
        del held[suspect.app]
        if not held:
            del self._suspects[suspect.address]
        self._count -= 1
