"""NOTIFY (RFC 1996): tells secondaries of a change until they answer or it is hopeless, and hears primaries.

Pure but for random message numbers and signatures: time is an argument, packets come out and answers go in.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import dns.tsig

from blocker.config import Endpoint, RpzImport
from blocker.rpz.keys import Keyring
from blocker.rpz.wire import Reply
from blocker.wire.constants import Rcode

Address = IPv4Address | IPv6Address

PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)  # seconds after each attempt; then the SOA timers must do


@dataclass(slots=True)
class _Telling:
    """One secondary that has not answered yet."""

    packet: bytes
    attempt: int
    due: float  # monotonic seconds


class Notifier:
    """Who is still to be told of what."""

    def __init__(self) -> None:
        self._telling: dict[tuple[str, Endpoint], _Telling] = {}
        self.gave_up = 0

    def begin(self, zone: str, targets: Iterable[Endpoint], key: dns.tsig.Key | None, now: float) -> None:
        """Tell `targets` that `zone` has changed, whatever they were told before."""
        for target in targets:
            message = dns.message.make_query(zone, dns.rdatatype.SOA, flags=dns.flags.AA, id=secrets.randbits(16))
            message.set_opcode(dns.opcode.NOTIFY)
            if key is not None:
                message.use_tsig(key)
            self._telling[zone, target] = _Telling(message.to_wire(), 0, now)

    def due(self, now: float) -> Iterator[tuple[Endpoint, bytes]]:
        """Yield what is to be sent now."""
        for (zone, target), telling in list(self._telling.items()):
            if now < telling.due:
                continue
            if telling.attempt == len(PAUSES):
                del self._telling[zone, target]
                self.gave_up += 1
                continue
            yield target, telling.packet
            telling.due = now + PAUSES[telling.attempt]
            telling.attempt += 1

    def heard(self, packet: bytes, source: Endpoint) -> bool:
        """Take an answer; tell whether somebody was waited for. A forged one costs a retry, not the zone."""
        for (zone, target), telling in self._telling.items():
            if target == source and telling.packet[:2] == packet[:2]:
                del self._telling[zone, target]
                return True
        return False

    @property
    def waiting(self) -> int:
        """How many secondaries have not answered yet."""
        return len(self._telling)


def receive(packet: bytes, source: Address, imports: Iterable[RpzImport], keyring: Keyring) -> tuple[str, bytes | None]:
    """Return the zone that a primary at `source` says has changed, and what to reply; "": nothing to look at.

    Whoever is no primary of the zone, or does not sign where a key is configured, hears REFUSED and moves nothing.
    """
    try:
        message = dns.message.from_wire(packet, keyring=dict(keyring))
    except Exception:  # noqa: BLE001 a stranger's octets: whatever the parser trips over, it is no NOTIFY
        return "", None
    if message.opcode() != dns.opcode.NOTIFY or len(message.question) != 1 or message.flags & dns.flags.QR:
        return "", None
    reply = Reply(message)
    for each in imports:
        known = any(primary.address == source for primary in each.primaries)
        signed = each.key is None or (message.had_tsig and message.keyname == dns.name.from_text(each.key))
        if known and signed and message.question[0].name == dns.name.from_text(each.zone):
            return each.zone, reply.message()
    return "", reply.message(rcode=Rcode.REFUSED)
