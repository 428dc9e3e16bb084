"""One round: every listener is asked over UDP and TCP, and each app's failures are told.

Knows what is in force as the server does (a Side); where the queries go and when are for others to say. Over UDP each
listener is asked from many ports, so that every worker behind it is: one that went astray alone must not hide behind
the others. A round that failed is repeated from the same ports, to the same workers.
"""

import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from blocker import names
from blocker.answer import Wording
from blocker.clients import Clients
from blocker.config import Endpoint, Selftest
from blocker.lists.index import Index
from blocker.names import Name
from blocker.selftest import ask, judge, plan
from blocker.selftest.ask import Address
from blocker.selftest.plan import Check

_PORTS: Final = 4  # for each worker: one in fifty rounds misses a given one
_MOST: Final = 256  # ports
_RANGE: Final = range(20_000, 60_000)  # that they are chosen from

BATCH: Final = 50  # names that must resolve, at once
UNKNOWN: Final = "nobody knows whether apps are blocked: IPv6 listeners need selftest.source_v6 to be asked from"


@dataclass(frozen=True, slots=True)
class Force:
    """What is in force."""

    index: Index
    clients: Clients
    wording: Wording
    needed: Sequence[Name]  # names that must resolve
    places: Mapping[str, Sequence[int]]  # where each app's names stand in the index


@dataclass(slots=True)
class Result:
    """How it went for one app, or for resolution."""

    name: str  # that was asked
    asked: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Tell whether every listener said what it had to."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class Report:
    """One round."""

    apps: dict[str, Result]
    resolution: Result | None  # None: nothing that must resolve may be asked
    unasked: set[str] = field(default_factory=set)  # apps at listeners that nothing can be asked from as ourselves

    @property
    def ok(self) -> bool:
        """Tell whether everything is as it should be."""
        return all(each.ok for each in self.apps.values()) and (self.resolution is None or self.resolution.ok)

    def besides(self, found: Mapping[Name, str]) -> "Report":
        """Return this together with what `Round.blocked` found of names that must resolve."""
        result = self.resolution
        if result is None:
            return self
        others = {names.to_text(name): why for name, why in found.items() if names.to_text(name) != result.name}
        bad = {name: why for name, why in others.items() if why}
        shown = next(iter(bad), result.name) if result.ok else result.name
        return replace(self, resolution=Result(shown, result.asked + len(others), [*result.failures, *bad.values()]))

    @property
    def unknown(self) -> list[str]:
        """Return the apps that no listener at all could be asked for."""
        return sorted(self.unasked - self.apps.keys())


class Round:
    """Asks the listeners under one state of affairs."""

    def __init__(self, force: Force, listeners: Sequence[Endpoint], wanted: Selftest, workers: int) -> None:
        """Ask `listeners`, at which so many `workers` serve what is in `force`."""
        self._force = force
        self._count = min(_PORTS * workers, _MOST) if workers > 1 else 1
        self._ports: Sequence[int] = ()  # of the last round; empty: it went well
        self._listeners = [ask.reachable(end) for end in listeners]
        self._wanted = wanted

    def run(self, turn: int) -> Report:
        """Return how round number `turn` went. Takes at most three timeouts for each listener."""
        self._ports = self._ports or random.sample(_RANGE, self._count)
        report = Report({}, None)
        for end in self._listeners:
            source = self._wanted.source(end.address.version)
            report = self._ask(end, source, turn, report)
        if report.ok:
            self._ports = ()
        return report

    def blocked(self, needed: Sequence[Name]) -> dict[Name, str]:
        """Return for each of these names that must resolve how it is blocked, empty if it is not.

        Finds what `run` finds within hours, a name behind which there is one that a list blocks. The first listener is
        asked over UDP, for all at once: a batch. One that is not answered within the timeout is left out.
        """
        if not self._listeners:
            return {}
        end = self._listeners[0]
        source = self._wanted.source(end.address.version)
        who = self._force.clients.policy_for((source or end.address).packed)
        checks = list(plan.passing(who, self._force.index, needed))
        packets = _packets(checks)
        try:
            (replies,) = ask.over_udp(end, source, packets, self._wanted.timeout)
        except OSError:  # which every round tells
            return {}
        found = {}
        for check, packet, reply in zip(checks, packets, replies, strict=True):
            if reply is not None:
                how = judge.block(packet, reply)
                found[check.qname] = f"{names.to_text(check.qname)} at {end}: {how}" if how else ""
        return found

    def _ask(self, end: Endpoint, source: Address | None, turn: int, report: Report) -> Report:
        force = self._force
        who = force.clients.policy_for((source or end.address).packed)
        needed = plan.resolving(who, force.index, force.needed, turn)
        # Without a source that is known as ours, blocked names are not asked: they would look like somebody's attempts.
        checks = list(plan.blocked(who, force.index, force.places, turn))
        if source is None:
            report.unasked.update(check.app for check in checks)
            checks = []
        resolution = report.resolution
        if needed is not None:
            checks.append(needed)
            resolution = resolution or Result(names.to_text(needed.qname))
        for check in checks:
            if check.app:
                report.apps.setdefault(check.app, Result(names.to_text(check.qname)))
        packets = _packets(checks)
        for transport in ("udp", "tcp"):
            for check, why in zip(checks, self._try(end, source, checks, packets, transport), strict=True):
                result = report.apps[check.app] if check.app else resolution
                assert result is not None
                result.asked += 1
                if why:
                    result.failures.append(f"{names.to_text(check.qname)} at {end} over {transport}: {why}")
        return Report(report.apps, resolution, report.unasked)

    def _try(
        self, end: Endpoint, source: Address | None, checks: Sequence[Check], packets: Sequence[bytes], transport: str
    ) -> list[str]:
        """Return for each check why it failed; empty where it did not."""
        try:
            if transport == "tcp":
                rows = [ask.over_tcp(end, source, packets, self._wanted.timeout)]
            else:
                ports = self._ports if source is not None else (0,)
                rows = ask.over_udp(end, source, packets, self._wanted.timeout, ports)
        except OSError as error:
            return [error.strerror or str(error)] * len(checks)
        wording = self._force.wording
        return [
            _together([judge.failure(check, packet, reply, wording, tcp=transport == "tcp") for reply in replies])
            for check, packet, replies in zip(checks, packets, zip(*rows, strict=True), strict=True)
        ]


def _packets(checks: Sequence[Check]) -> list[bytes]:
    first = secrets.randbelow(1 << 16)
    return [plan.packet(check, (first + at) & 0xFFFF) for at, check in enumerate(checks)]


def _together(reasons: Sequence[str]) -> str:
    """Return the first of the `reasons` why one query failed from several ports; empty if it did from none."""
    found = [why for why in reasons if why]
    if not found:
        return ""
    return found[0] + (f" ({len(found)} of {len(reasons)} times)" if len(found) < len(reasons) else "")
