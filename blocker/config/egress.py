"""The egress section: which devices' packets are governed, and how."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from blocker.config.gating import Gating
from blocker.config.learning import Learning
from blocker.config.models import UNLISTED
from blocker.config.section import Section
from blocker.config.values import Endpoint, GroupName, Interface, Listening, Network, Where, mistakes, off
from blocker.config.watching import Watching


class EgressGroup(Section):
    """How the connections of one group's devices are treated."""

    name: GroupName = UNLISTED
    """The group's name; `default` for devices in no group, and for this machine itself in mode `node`."""
    quic: Literal["allow", "reject", "learned"] = "allow"
    """QUIC (UDP 443): `allow`; `reject`, so that clients fall back to TLS, whose server name stays readable; or allow
    it only to addresses that our DNS told that device (`learned`)."""
    gate: Annotated[Literal["off", "audit", "enforce"], BeforeValidator(off)] = "off"
    """Open connections only to addresses that our DNS told that device, and to `static`: `off`, only say in the log
    what would be refused (`audit`), or `enforce`."""
    static: tuple[Network, ...] = Field(default=(), max_length=10_000)
    """Addresses or prefixes that the gate always lets through."""

    @property
    def wants_answers(self) -> bool:
        """Whether what our DNS tells these devices matters to the rules."""
        return self.gate != "off" or self.quic == "learned"


class Egress(Section):
    """Rules in the kernel (nftables, table `inet blocker`) against apps that do not ask our DNS."""

    enabled: bool = False
    """Govern packets; needs Linux, nftables and CAP_NET_ADMIN. Changes of this and `nflog` need a restart."""
    mode: Literal["gateway", "node"] = "gateway"
    """`gateway`: packets that this machine forwards for devices; `node`: those that it sends itself, all but those of
    `process.user` to the upstreams."""
    devices: tuple[Network, ...] = Field(default=(), max_length=10_000)
    """Addresses of the devices that are governed; none: the clients of all groups. In mode `node`: nothing."""
    interfaces: tuple[Interface, ...] = Field(default=(), max_length=64)
    """Where the devices' packets come in (mode `node`: where ours leave); none: everywhere but the loopback."""
    exempt: tuple[Network, ...] = Field(default=(), max_length=10_000)
    """Devices that are never governed, such as a resolver of yours that asks the Internet."""
    dns: Literal["redirect", "reject"] = "redirect"
    """Questions to other resolvers (port 53): answered by us instead, or refused."""
    resolver: tuple[Listening, ...] = Field(default=(), max_length=2)
    """Where questions are redirected to, one `ADDR:PORT` for IPv4 and one for IPv6; not said: where we `listen`."""
    dot: Literal["reject", "allow"] = "reject"
    """DNS over TLS and over QUIC (port 853) to anyone."""
    doh: Literal["reject", "allow"] = "reject"
    """The resolvers' own addresses that the `bypass` list knows, on all ports but 53 and those of `dot`: DNS over
    HTTPS, and plain DNS where nobody looks for it."""
    gating: Gating = Gating()
    """How long, and for how much, the gate of a group stays open."""
    watch: Watching = Watching()
    """What is looked at on the wire; works without `enabled` too, on a mirror port for instance."""
    learned: bool = True
    """Find out by ourselves which addresses banned names have, and refuse those that only they have."""
    learning: Learning = Learning()
    """How that is done."""
    groups: tuple[EgressGroup, ...] = Field(default=(), max_length=1000)
    """Groups whose connections are treated otherwise."""
    nflog: int = Field(default=53, ge=1, le=65535)
    """The netlink group by which the kernel reports attempts."""
    log_interval: int = Field(default=60, ge=1, le=3600)
    """Seconds in which the same client, address and port makes one line in the attempt log; the counters count all."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := [*self._twice(), *self._resolvers(), *self._modes(), *self._watching()]:
            raise mistakes(found)
        return self

    def group(self, name: str) -> EgressGroup:
        """Return how the devices of a group are treated."""
        return next((each for each in self.groups if each.name == name), EgressGroup(name=name))

    def _twice(self) -> Iterator[tuple[Where, str]]:
        for at, each in enumerate(self.groups):
            if any(each.name == other.name for other in self.groups[:at]):
                yield ("groups", at, "name"), f"{each.name!r} is written twice; choose another"

    def _resolvers(self) -> Iterator[tuple[Where, str]]:
        for at, end in enumerate(self.resolver):
            if end.address.is_unspecified or not end.port:
                yield ("resolver", at), f"{end} is no place that a packet can be sent to; write an address and a port"
            if any(end.address.version == other.address.version for other in self.resolver[:at]):
                yield ("resolver", at), f"there is one of IPv{end.address.version} already; remove one of the two"

    def _watching(self) -> Iterator[tuple[Where, str]]:
        if self.watch.enforce and not self.enabled:
            yield ("watch", "enforce"), "what is found out is cut by rules in the kernel; set egress.enabled to true"
        for at, name in enumerate(self.watch.interfaces):
            if name in self.watch.interfaces[:at]:
                yield ("watch", "interfaces", at), f"{name!r} is written twice; remove one"
            if self.watch.enforce and self.interfaces and name not in self.interfaces:
                why = "is not among egress.interfaces: nothing is cut there, as on a mirror port, which has only copies"
                yield ("watch", "interfaces", at), f"{name!r} {why}; name it there too, or leave watch.enforce out"

    def _modes(self) -> Iterator[tuple[Where, str]]:
        if self.mode == "gateway":
            return
        if self.devices:
            yield ("devices",), "in mode 'node' there are none: what this machine sends itself is governed"
        for at, each in enumerate(self.groups):
            if each.name != UNLISTED:
                yield ("groups", at, "name"), f"in mode 'node' there is one group, {UNLISTED!r}: this machine"


def governed(egress: Egress, clients: tuple[IPv4Network | IPv6Network, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of the devices that are governed; `clients` are those of all groups."""
    return egress.devices or clients


def redirected(egress: Egress, listen: tuple[Endpoint, ...]) -> dict[int, Endpoint]:
    """Return where questions go, by IP version; an unspecified address stands for this machine's own.

    A version that is missing has nowhere to go: its questions are refused.
    """
    if egress.dns == "reject":
        return {}
    found: dict[int, Endpoint] = {end.address.version: end for end in egress.resolver}
    for end in listen if not egress.resolver else ():
        reachable = egress.mode == "node" or not end.address.is_loopback
        if reachable and end.port and (end.address.version not in found or end.address.is_unspecified):
            found[end.address.version] = end
    return found
