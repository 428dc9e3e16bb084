"""What an exception is, who may do what to it, and what it lifts at a moment.

Pure. An exception goes from requested to approved, and ends: by its time, or revoked. It is never changed on the
way, and above all never extended: who needs longer asks anew, and somebody else approves that.
"""

import json
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final, Self

from blocker import names
from blocker.config.values import network
from blocker.errors import ExceptionsError, NameFormatError
from blocker.lists.pattern import Pattern
from blocker.policy import SPECIAL, Scope, Waiver

MAX_WORDS: Final = 500  # characters of a reason
MAX_LABEL: Final = 100  # characters of a ticket or of a person's name
MAX_PATTERNS: Final = 100  # exceptions for patterns at one time: each is tried on every listed name that is asked for
LATEST: Final = 253_370_764_800  # unix time of the year 9999: what is later cannot be shown to people
BUNDLED: Final = "bundle:"  # before the numbers that a publisher knows its own by: a node has numbers of its own
_REMEMBERED: Final = 16_384  # exceptions: each change of them, and each turn, has all of them made anew
OVER: Final = 0  # the end of an exception that is over, whatever clocks say
_LOOK_ALIKE: Final = (  # each as the letter that follows it
    "αa βb γy εe ηn ιi κk νv οo ρp τt υu χx ωw аa вb еe ѕs іi јj кk мm нh оo рp сc тt уy хx һh ԁd ԛq ԝw ӏl"
    " ɑa ɡg ıi łl øo đd 0o 1l il"
)
_ALIKE: Final = str.maketrans({pair[0]: pair[1] for pair in _LOOK_ALIKE.split()})
_INVISIBLE: Final = str.maketrans("", "", "\u115f\u1160")  # letters without a shape
SCOPES: Final = ("", Scope.SUFFIX, Scope.EXACT, Scope.PATTERN)


class State(StrEnum):
    """Where an exception stands."""

    REQUESTED = "requested"
    APPROVED = "approved"
    ENDED = "ended"  # by its time, or not approved before it
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Person:
    """Who did something: an account of the machine, and whom it spoke for if that was somebody else."""

    account: str
    name: str = ""

    @property
    def meant(self) -> str:
        """Whose act it is."""
        return self.name or self.account

    def is_same(self, other: "Person") -> bool:
        """Tell whether both acts are one person's, or look so, however the name is spelled."""
        return outline(self.meant) == outline(other.meant)

    def __str__(self) -> str:
        """Return the person as people read it."""
        return f"{self.name} ({self.account})" if self.name else self.account


def normalised(name: str) -> str:
    """Return a person's name in the one form in which names are compared: no case, no width, no extra space."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def outline(name: str) -> str:
    """Return what is left of a person's name when all is taken away that readers overlook.

    Accents, signs and spaces go, letters that look alike become one: of Latin, Greek and Cyrillic, and i, l and 1.
    """
    plain = unicodedata.normalize("NFKD", normalised(name).translate(_ALIKE)).translate(_INVISIBLE)
    letters = "".join(letter for letter in plain if letter.isalnum())
    return letters.translate(_ALIKE).translate(_ALIKE)  # once more: ı is i, and i is l


NOBODY: Final = Person("")


@dataclass(frozen=True, slots=True)
class Grant:
    """What an exception lifts, for whom and for how long: all that a serving process must know of it."""

    id: str
    ticket: str
    scope: str  # one of SCOPES; empty: whatever the app blocks
    value: str  # the name or pattern, canonical
    app: str  # empty: all apps
    group: str  # empty: all groups
    clients: str  # address or prefix; empty: all of the group
    starts: int  # unix time; 0: at once
    ends: int  # unix time: the first second in which it does not hold
    approved_by: str = ""

    def holds(self, moment: float) -> bool:
        """Tell whether it is in force at `moment`, unix time."""
        return self.starts <= moment < self.ends

    @property
    def network(self) -> IPv4Network | IPv6Network | None:
        """Whose it is; None: all clients'."""
        return _network(self.clients) if self.clients else None

    def waiver(self) -> Waiver:
        """Return what it lifts, as verdicts are made with it."""
        return _waiver(self.id, self.ticket, self.scope, self.value, self.app)

    @property
    def is_bundled(self) -> bool:
        """Whether an installed bundle has brought it."""
        return self.id.startswith(BUNDLED)

    @property
    def identity(self) -> str:
        """What makes it this one and no other, wherever it comes from: everything but its end."""
        return json.dumps({name: value for name, value in self.said().items() if name != "ends"}, sort_keys=True)

    def said(self) -> dict[str, Any]:
        """Return this as plain data."""
        return asdict(self)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Return what `said` describes. Raises ValueError, KeyError or TypeError; NameFormatError is a ValueError."""
        if said.keys() != {each.name for each in fields(cls)}:
            raise ValueError("an exception with other parts than those of ours")
        words = {name: str(value) for name, value in said.items() if name not in ("starts", "ends")}
        found = cls(**words, starts=int(said["starts"]), ends=int(said["ends"]))
        if max(abs(found.starts), found.ends) > LATEST:
            raise ValueError(f"exception {found.id}: its times are none that people could have meant")
        if found.scope not in SCOPES or not (found.scope or found.app) or bool(found.scope) != bool(found.value):
            raise ValueError(f"exception {found.id}: names neither an app nor names")
        _ = found.waiver(), found.network
        return found

    def what(self) -> str:
        """Say what it is for."""
        return {
            "": f"app {self.app}",
            Scope.SUFFIX: f"{self.value} and all below it",
            Scope.EXACT: f"{self.value} alone",
            Scope.PATTERN: f"names like {self.value}",
        }[self.scope] + (f", as far as {self.app} blocks it" if self.scope and self.app else "")

    def whose(self) -> str:
        """Say for whom it is."""
        who = " in ".join(filter(None, (self.clients, f"group {self.group}" if self.group else "")))
        return who or "everybody"


@lru_cache(_REMEMBERED)
def _waiver(number: str, ticket: str, scope: str, value: str, app: str) -> Waiver:
    return Waiver(
        id=number,
        ticket=ticket,
        scope=Scope(scope) if scope else None,
        name=names.from_text(value) if scope in (Scope.SUFFIX, Scope.EXACT) else b"",
        pattern=Pattern.parse(value) if scope == Scope.PATTERN else None,
        app=app,
    )


@lru_cache(_REMEMBERED)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


@dataclass(frozen=True, slots=True)
class Entry:
    """One exception with its history."""

    grant: Grant
    state: State
    reason: str
    requested_by: Person
    requested_at: int  # unix time
    approved_by: Person = NOBODY
    approved_at: int = 0
    closed_by: Person = NOBODY  # nobody: time did it
    closed_at: int = 0
    why_closed: str = ""

    @property
    def is_open(self) -> bool:
        """Whether anything can still become of it."""
        return self.state in (State.REQUESTED, State.APPROVED)


def checked(grant: Grant) -> Grant:
    """Return a grant in its canonical spelling. Raises ExceptionsError for what nobody may ask for."""
    if not grant.scope and not grant.app:
        raise ExceptionsError("say for what: a name, a pattern or an app.")
    if grant.app == SPECIAL:
        raise ExceptionsError(
            "special-use names have no exceptions; see protection.special_names and upstream.forward."
        )
    value = grant.value
    try:
        if grant.scope == Scope.PATTERN:
            value = Pattern.parse(value).text.lower()
        elif grant.scope:
            value = names.to_text(names.hostname(value))
        clients = str(network(grant.clients)) if grant.clients else ""
    except NameFormatError as error:
        raise ExceptionsError(f"{error}. Give a domain name, not a URL.") from error
    except ValueError as error:
        raise ExceptionsError(f"{grant.clients!r} is not a client: {error}.") from error
    for what, text in (("ticket", grant.ticket), ("app", grant.app), ("group", grant.group)):
        _words(what, text, MAX_LABEL)
    return replace(grant, value=value, clients=clients)


def request(grant: Grant, reason: str, by: Person, now: int, *, longest: int, requesters: Sequence[str] = ()) -> Entry:
    """Return a new request at `now`, unix time. Raises ExceptionsError.

    `longest` is how many seconds an exception may last, from the request or its later start on.
    """
    found = checked(grant)
    _allowed(by, requesters, "request", "requesters")
    if not reason.strip():
        raise ExceptionsError("say why (--reason): an exception without a reason cannot be answered for.")
    _words("reason", reason, MAX_WORDS)
    if found.ends <= max(now, found.starts):
        raise ExceptionsError("it would end before it begins; say a later end (--until) or a time (--for).")
    if found.ends > LATEST:
        raise ExceptionsError("it would end after the year 9998. Say an earlier start (--from) or end (--until).")
    if found.ends - max(now, found.starts) > longest:
        raise ExceptionsError(
            f"it would last {lasting(found.ends - max(now, found.starts))}, and exceptions.max_duration allows"
            f" {lasting(longest)}. Ask for less; a longer one is a new request then."
        )
    return Entry(found, State.REQUESTED, reason.strip(), by, now)


def approve(entry: Entry, by: Person, now: int, *, approvers: Sequence[str] = ()) -> Entry:
    """Return `entry` approved by a second person at `now`, unix time. Raises ExceptionsError."""
    if entry.state is not State.REQUESTED:
        raise ExceptionsError(f"exception {entry.grant.id} is {entry.state}; only a requested one can be approved.")
    _allowed(by, approvers, "approve", "approvers")
    if by.is_same(entry.requested_by):
        raise ExceptionsError(f"{by} has asked for exception {entry.grant.id}; another person must approve it.")
    if now >= entry.grant.ends:
        raise ExceptionsError(f"exception {entry.grant.id} would have ended already. Ask for a new one.")
    # Not before it was approved either: a clock that is set back behind that brings nothing into force. Nor before it
    # was asked for, by a clock that was set back since: it would last longer than anybody has asked.
    grant = replace(entry.grant, approved_by=by.meant, starts=max(entry.grant.starts, entry.requested_at, now))
    return replace(entry, grant=grant, state=State.APPROVED, approved_by=by, approved_at=now)


def revoke(entry: Entry, by: Person, reason: str, now: int) -> Entry:
    """Return `entry` taken back at `now`, unix time: by whoever may use the store. Raises ExceptionsError."""
    if not entry.is_open:
        raise ExceptionsError(f"exception {entry.grant.id} is {entry.state} already.")
    _words("reason", reason, MAX_WORDS)
    return replace(entry, state=State.REVOKED, closed_by=by, closed_at=now, why_closed=reason.strip())


def end(entry: Entry, now: int) -> Entry:
    """Return `entry` as time leaves it at `now`: ended, if it was open, whatever clocks say later."""
    if not entry.is_open:
        return entry
    why = "its time is over" if entry.state is State.APPROVED else "not approved in time"
    return replace(entry, state=State.ENDED, closed_at=now, why_closed=why)


def shorten(entry: Entry, ends: int) -> Entry:
    """Return `entry` with an earlier end: the clock was set back, and it must not last longer for that."""
    return replace(entry, grant=replace(entry.grant, ends=min(ends, entry.grant.ends)))


def until(grant: Grant, now: float, ends: Mapping[str, float]) -> int:
    """Return when `grant` ends as clocks that were set have it (`ends`, by id); OVER if that was by `now`."""
    found = min(grant.ends, math.floor(ends.get(grant.id, grant.ends)))
    return found if found > now else OVER


def acting(account: str, name: str, delegates: Sequence[str]) -> Person:
    """Return the person that `account` acts as; only `delegates` act for others. Raises ExceptionsError."""
    _words("name", name, MAX_LABEL)
    if not name.strip() or normalised(name) == normalised(account):
        return Person(account)
    if normalised(account) not in map(normalised, delegates):
        raise ExceptionsError(f"{account} may not act for others (--as); exceptions.delegates names those who may.")
    return Person(account, name.strip())


def lasting(seconds: float) -> str:
    """Return a length of time for people."""
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = seconds / size
            text = f"{count:.1f}".rstrip("0").rstrip(".")
            return f"{text} {name}{'' if text == '1' else 's'}"
    return f"{seconds:.0f} second{'' if round(seconds) == 1 else 's'}"


def _allowed(by: Person, listed: Sequence[str], act: str, option: str) -> None:
    if listed and normalised(by.meant) not in map(normalised, listed):
        raise ExceptionsError(f"{by} may not {act} exceptions; exceptions.{option} names those who may.")


def _words(what: str, text: str, most: int) -> None:
    if len(text) > most or not text.isprintable():
        raise ExceptionsError(f"the {what} must be one line of at most {most} characters that can be shown.")
