"""The records of an incoming transfer, checked one by one: what AXFR and IXFR may say, and nothing else.

Pure: records in, lines of zone text out. Everything a primary could do wrong ends in a TransferError.
"""

from collections.abc import Callable, Iterable
from typing import Final

import dns.name
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.SOA

from blocker.errors import BlockerError
from blocker.rpz.serials import newer
from blocker.rpz.taken import Soa

_MAX_RDATA: Final = 4096  # characters: local data in a policy zone is short
_MOST_STEPS: Final = 500_000  # changed lines, which are kept in memory
_PASSED_OVER: Final = frozenset((  # say nothing of policy
    dns.rdatatype.NS, dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3, dns.rdatatype.NSEC3PARAM,
    dns.rdatatype.DNSKEY, dns.rdatatype.CDS, dns.rdatatype.CDNSKEY, dns.rdatatype.TYPE0,
))  # fmt: skip


class TransferError(BlockerError):
    """A transfer failed or was refused; the zone that was there stays in force."""


class NoStepsError(TransferError):
    """The changes make no sense, or the primary knows no IXFR: ask for the whole zone."""


class Intake:
    """One transfer. `full` and `done` say how it goes; the lines of a full one go to `keep` as they come."""

    def __init__(self, origin: dns.name.Name, serial: int | None, limit: int, keep: Callable[[str], object]) -> None:
        """Take a zone of at most `limit` records; we have version `serial`, None: nothing yet."""
        self._origin = origin
        self._depth = len(origin.labels)
        self._serial = serial
        self._left = limit
        self._keep = keep
        self._seen = 0
        self._at = 0  # serial of the step being read
        self._adding = False
        self.soa: Soa | None = None
        self.full = serial is None
        self.done = False
        self.went: dict[str, None] = {}
        self.came: dict[str, None] = {}

    def take(self, owner: dns.name.Name, rdata: dns.rdata.Rdata) -> None:
        """Take the next record. Raises TransferError."""
        if self.done:
            raise TransferError("it goes on after its end")
        if not owner.is_subdomain(self._origin):
            raise TransferError(f"a record of {str(owner)[:100]!r} is outside the zone")
        self._left -= 1
        if self._left < 0:
            raise TransferError("it has more records than rpz.imports max_records allows")
        self._seen += 1
        if isinstance(rdata, dns.rdtypes.ANY.SOA.SOA):
            if owner != self._origin:
                raise TransferError("an SOA record stands below the top of the zone")
            self._take_soa(rdata)
        elif self.soa is None:
            raise TransferError("it does not begin with an SOA record")
        else:
            if self._seen == 2:
                self.full = True  # an answer to IXFR may be the whole zone (RFC 1995 §4)
            self._take_line(owner, rdata)

    def end(self) -> None:
        """Note that the messages are over. Raises TransferError if the records were not."""
        if not self.done:
            raise TransferError("it was cut short")

    @property
    def up_to_date(self) -> bool:
        """Whether one SOA with our own serial is all that has come so far: then there is nothing to transfer."""
        return self._seen == 1 and self.soa is not None and self.soa.serial == self._serial

    def _take_soa(self, rdata: dns.rdtypes.ANY.SOA.SOA) -> None:
        soa = Soa(rdata.serial, rdata.refresh, rdata.retry, rdata.expire)
        if self.soa is None:
            self.soa = soa
            if self._serial is not None and soa.serial != self._serial and not newer(soa.serial, self._serial):
                raise TransferError(f"its serial, {soa.serial}, is older than ours, {self._serial}")
        elif self._seen == 2 and not self.full:
            self.full = soa.serial != self._serial
            if self.full:
                raise NoStepsError(f"the changes begin at serial {soa.serial}, and we have {self._serial}")
            self._at = soa.serial
        elif self.full:
            if soa != self.soa:
                raise TransferError("it ends with another SOA record than it began with")
            self.done = True
        elif not self._adding:
            if not newer(soa.serial, self._at):
                raise NoStepsError("its serials do not rise")
            self._adding, self._at = True, soa.serial
        elif soa.serial != self._at:
            raise NoStepsError("a step does not begin where the one before it ends")
        elif soa.serial == self.soa.serial:
            self.done = True
        else:
            self._adding = False

    def _take_line(self, owner: dns.name.Name, rdata: dns.rdata.Rdata) -> None:
        if rdata.rdtype in _PASSED_OVER:
            return
        if len(owner.labels) == self._depth:
            return  # at the top of the zone: not a trigger
        line = f"{owner.relativize(self._origin)} {dns.rdatatype.to_text(rdata.rdtype)} {rdata.to_text()}\n".lower()
        if len(line) > _MAX_RDATA:
            raise TransferError(f"a record of {str(owner)[:100]!r} is too long for a policy")
        if len(self.went) + len(self.came) > _MOST_STEPS:
            raise NoStepsError("the changes are so many that the whole zone is as good")
        if self.full:
            self._keep(line)
        elif self._adding:
            _move(line, self.went, self.came)
        else:
            _move(line, self.came, self.went)


def _move(line: str, away: dict[str, None], to: dict[str, None]) -> None:
    """Note a change; two that undo each other are none."""
    if line in away:
        del away[line]
    else:
        to[line] = None


def loop(lines: Iterable[str], origin: str) -> str:
    """Return a name whose CNAMEs lead back to itself, "" if there is none.

    A resolver with this policy would go round in it; we do not follow, but who sends such a zone is in trouble.
    """
    leads: dict[str, str] = {}
    inside = f".{origin.lower().rstrip('.')}."
    for line in lines:
        owner, kind, target = line.rstrip("\n").split(" ", 2)
        if kind == "cname" and not target.startswith(("rpz-", "*.")) and target != ".":
            leads[owner] = target.removesuffix(inside).rstrip(".")
            if leads[owner] == owner:
                del leads[owner]  # passthru as it was written once
    settled: set[str] = set()
    for name in leads:
        path: dict[str, None] = {}
        while name in leads and name not in settled:
            if name in path:
                return name
            path[name] = None
            name = leads[name]
        settled.update(path)
    return ""
