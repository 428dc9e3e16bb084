"""What the rules report of packets (NFLOG), and how that becomes a record. Pure.

A report is the beginning of a packet and the name of the chain that saw it, which says group, trigger and app
(ruleset.py). The verdict comes from the lists and the policy all the same: they know which entry it was.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Final, NamedTuple

from blocker.addresses import inner
from blocker.clients import Clients
from blocker.egress import attempt, framing, packets, ruleset
from blocker.egress.attempt import BYPASS, FOREIGN_DNS, UNRESOLVED, Flow
from blocker.egress.hello import dns
from blocker.egress.packets import Packet
from blocker.events import Basis, Recorder
from blocker.lists.index import Index
from blocker.names import to_text
from blocker.policy import Action, Policy, Trigger, Verdict, decide
from blocker.wire.query import Query

_SUBSYSTEM: Final = 4 << 8  # NFNL_SUBSYS_ULOG
_PACKET: Final = _SUBSYSTEM | 0  # NFULNL_MSG_PACKET
_CONFIG: Final = _SUBSYSTEM | 1
_ACK: Final = 0x4
_HEAD: Final = struct.Struct("!BBH")  # nfgenmsg: family, version, group
_BIND: Final = b"\x01"  # NFULNL_CFG_CMD_BIND
_COPY: Final = struct.Struct("!IBx")  # range, and 2: the packet, so far
_COMMAND: Final = 1  # NFULA_CFG_*
_MODE: Final = 2
_WAIT: Final = 4
_THRESHOLD: Final = 5
_FLAGS: Final = 6
_NUMBERED: Final = 1  # NFULNL_CFG_F_SEQ
_PAYLOAD: Final = 9  # NFULA_*
_PREFIX: Final = 10
_NUMBER: Final = 12
_DNS: Final = 53
_NAMES: Final = {packets.TCP: "tcp", packets.UDP: "udp", 1: "icmp", 58: "icmp"}


class Report(NamedTuple):
    """A packet that a rule saw."""

    chain: str
    packet: bytes  # from its IP header on
    number: int  # one more than that of the report before, if none was lost


def subscription(group: int, snap: int) -> bytes:
    """Return the requests by which a socket gets the reports of `group`, `snap` octets of each packet, at once.

    The last is acknowledged, with the sequence number 2.
    """
    bind = framing.attribute(_COMMAND, _BIND)
    ways = (
        framing.attribute(_MODE, _COPY.pack(snap, 2)),
        framing.attribute(_WAIT, struct.pack("!I", 1)),  # hundredths of a second
        framing.attribute(_THRESHOLD, struct.pack("!I", 16)),
        framing.attribute(_FLAGS, struct.pack("!H", _NUMBERED)),
    )
    head = _HEAD.pack(0, 0, group)
    first = framing.message(_CONFIG, framing.REQUEST | _ACK, 1, head + bind)
    return first + framing.message(_CONFIG, framing.REQUEST | _ACK, 2, head + b"".join(ways))


def read(wire: bytes) -> Iterator[Report]:
    """Yield the reports in what the socket brought. Raises KernelError."""
    for kind, _, payload in framing.messages(wire):
        if kind != _PACKET:
            continue
        said = dict(framing.attributes(payload[_HEAD.size :]))
        chain = said.get(_PREFIX, b"").rstrip(b"\0").decode("ascii", "replace")
        yield Report(chain, said.get(_PAYLOAD, b""), int.from_bytes(said.get(_NUMBER, b"")))


class InForce:
    """What reports are judged by."""

    def __init__(self, clients: Clients, index: Index, basis: Basis) -> None:
        """Take the policies, the lists, and what records say of both."""
        self.clients = clients
        self.index = index
        self.basis = basis
        self.foreign = replace(FOREIGN_DNS, reference=index.references.get(BYPASS, ""))
        shared = (entry.rule for entry in index.shared() if entry.rule.app == BYPASS)
        found = ((ip_network(rule.value), rule) for rule in shared)
        self.resolvers = {net.network_address.packed: rule for net, rule in found if net.num_addresses == 1}
        """Other people's resolvers that the lists know, and the entries that they stand in."""


def record(to: Recorder, report: Report, force: InForce) -> bool:
    """Record the attempt that `report` is about; return whether it made sense."""
    clients = force.clients
    said = ruleset.parts(report.chain)
    flow, payload = _flow(report.packet)
    if said is None or flow is None:
        return False
    what, group, trigger, app = said
    policy = clients.policy_for(flow.client)
    if policy.group != group:  # on a node, whose own addresses are nobody's, or between two generations
        policy = clients.policies.get(group, clients.unlisted)
    name = ""
    if trigger == Trigger.FOREIGN_DNS:
        verdict, name = _question(policy, force, flow, payload)
    elif trigger == Trigger.UNRESOLVED:
        verdict = attempt.refused(Trigger.UNRESOLVED, UNRESOLVED)
    else:
        reference = force.index.references.get(app, "")
        verdict = attempt.to_address(policy, force.index, flow.destination, app, reference)
    if what == "note" and not verdict.monitored:
        verdict = replace(verdict, action=Action.PASSTHRU, monitored=True)
    attempt.record(to, flow, group, verdict, force.basis, name)
    return True


def _question(policy: Policy, force: InForce, flow: Flow, payload: bytes) -> tuple[Verdict, str]:
    """Return the verdict on a question to another resolver, and the name that was asked, where it can be read."""
    other = attempt.refused(Trigger.FOREIGN_DNS, force.resolvers.get(inner(flow.destination), force.foreign))
    query = dns.read(payload) if flow.transport == "udp" and flow.port == _DNS else None
    if not isinstance(query, Query):
        return other, ""
    verdict = decide(policy, force.index, query.qname)
    if verdict.rule is None or verdict.rule.quiet or (verdict.action is Action.PASSTHRU and not verdict.monitored):
        return other, to_text(query.qname)
    return attempt.as_connection(verdict, Trigger.FOREIGN_DNS), to_text(query.qname)


def _flow(packet: bytes) -> tuple[Flow | None, bytes]:
    """Return what flow a packet belongs to, and what it carries."""
    found = packets.read_ip(packet, 0)
    if isinstance(found, Packet):
        return Flow(found.source, found.destination, found.port, _NAMES[found.protocol]), found.payload
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        return Flow(packet[12:16], packet[16:20], 0, _NAMES.get(packet[9], "other")), b""
    if version == 6 and len(packet) >= 40:
        return Flow(packet[8:24], packet[24:40], 0, _NAMES.get(packet[6], "other")), b""
    return None, b""
