"""What an operator may say, section by section: frozen models.

Every field has a default that a small office could run with. Unknown keys are errors. Units stand in
the names or the descriptions, which are also the reference page and the JSON schema.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from blocker.config.overrides import Override
from blocker.config.schedules import Schedule
from blocker.config.section import Section
from blocker.config.values import (
    AddressV4,
    AddressV6,
    AppId,
    BlockAction,
    ContactUri,
    Destination,
    Endpoint,
    FilePath,
    GroupName,
    LanguageTag,
    Listening,
    Network,
    Server,
    Where,
    Zone,
    mistakes,
)
from blocker.policy import SPECIAL, Action

UNLISTED: Final = "default"  # the group of every client that is in no other
SELFTEST: Final = "selftest"  # the group of our own queries, which has the policy of clients in no group
_KEPT: Final = {UNLISTED: "clients in no group", SELFTEST: "queries that we ask ourselves"}


class Strategy(StrEnum):
    """Whom to ask first while several upstreams are healthy."""

    FASTEST = "fastest"
    ORDERED = "ordered"
    ROUND_ROBIN = "round-robin"


class Forward(Section):
    """Zones that have upstreams of their own (conditional forwarding); reverse zones too."""

    zones: tuple[Zone, ...] = Field(min_length=1)
    """The zones, each with everything below it; the longest match over all forwards wins."""
    servers: tuple[Server, ...] = Field(min_length=1)
    """Whom to ask for them, `ADDR` or `ADDR:PORT`."""


class Upstream(Section):
    """Whom we ask, and how hard we try."""

    servers: tuple[Server, ...] = ()
    """Resolvers, `ADDR` or `ADDR:PORT`; none: the name servers in `resolv_conf`."""
    resolv_conf: FilePath = Path("/etc/resolv.conf")
    """Where name servers come from when `servers` is empty."""
    strategy: Strategy = Strategy.FASTEST
    """`fastest` by measured time, `ordered` as written, or `round-robin`."""
    forward: tuple[Forward, ...] = ()
    """Zones with upstreams of their own."""
    timeout: float = Field(default=1.0, gt=0, le=10)
    """Seconds to wait for one upstream, at the most, before the next attempt."""
    attempts: int = Field(default=3, ge=1, le=10)
    """Times one query is sent altogether, over all upstreams."""
    deadline: float = Field(default=4.0, gt=0, le=30)
    """Seconds after which the client hears SERVFAIL, or a stale answer; most clients give up after 5."""
    randomize_case: bool = False
    """Spell upstream queries in random case and demand it back (0x20), against forged responses."""
    ports: int = Field(default=16, ge=1, le=512)
    """UDP sockets, each with a random source port, per upstream and worker; they are renewed all the time."""
    probe_interval: float = Field(default=2.0, gt=0, le=300)
    """Seconds between probes of an upstream that is down."""
    in_flight: int = Field(default=8192, ge=16, le=65535)
    """Distinct queries one worker may have waiting; more are answered SERVFAIL at once."""


class Cache(Section):
    """What upstreams said, kept in memory."""

    size: int = Field(default=64, ge=1, le=65536)
    """MiB for all workers together."""
    min_ttl: int = Field(default=0, ge=0, le=3600)
    """Seconds; shorter TTLs are raised to this."""
    max_ttl: int = Field(default=86400, ge=1, le=604800)
    """Seconds; longer TTLs are lowered to this."""
    max_negative_ttl: int = Field(default=3600, ge=1, le=86400)
    """Seconds; longer negative TTLs are lowered to this (RFC 2308 §5)."""
    failure_ttl: int = Field(default=5, ge=1, le=300)
    """Seconds an upstream's failure is remembered (RFC 9520 §3.2: at least 1, at most 300)."""
    stale_for: int = Field(default=86400, ge=0, le=604800)
    """Seconds past its end that an answer may still be given while upstreams fail (RFC 8767); 0: never."""
    stale_ttl: int = Field(default=30, ge=1, le=300)
    """Seconds: the TTL on a stale answer (RFC 8767 §4)."""
    stale_after: float = Field(default=1.8, gt=0, le=10)
    """Seconds a client waits for the upstream before it gets a stale answer (RFC 8767 §5)."""
    prefetch: bool = True
    """Ask anew for a name that is still asked for in the last tenth of its TTL."""


class Answers(Section):
    """What a blocked client hears."""

    sinkhole_v4: tuple[AddressV4, ...] = Field(default=(IPv4Address("0.0.0.0"),), max_length=4)  # noqa: S104 (told, not bound)
    """A records of sinkholed names."""
    sinkhole_v6: tuple[AddressV6, ...] = Field(default=(IPv6Address("::"),), max_length=4)
    """AAAA records of sinkholed names."""
    ttl: int = Field(default=60, ge=1, le=3600)
    """Seconds on blocked answers: how long an exception may take to reach a device that has asked before."""
    ede: Literal["blocked", "censored", "filtered", "prohibited"] = "blocked"
    """The extended error of blocked answers: 15, 16, 17 or 18 (RFC 8914 §4)."""
    contact: str = Field(default="", max_length=100)
    """Appended to the extended error's text: whom to ask."""
    contacts: tuple[ContactUri, ...] = Field(default=(), max_length=3)
    """Whom to ask, as `mailto:` or `tel:`, in the structured errors of clients that ask for them."""
    organisation: str = Field(default="", max_length=80)
    """Who blocks, in structured errors."""
    language: LanguageTag = "en"
    """The language of `organisation` and of the lists' reasons, in structured errors (RFC 5646)."""
    policy_of: Literal["network", "dns"] = "network"
    """Whose policy it is, in structured errors: the local network's operator, or only this DNS service's."""
    version: str = Field(default="", max_length=100)
    """The answer to CHAOS `version.bind`; empty: REFUSED."""


class Treatment(Section):
    """How a group's blocked names are answered."""

    action: BlockAction = Action.SINKHOLE
    """What happens to a blocked name."""
    actions: Mapping[AppId, BlockAction] = Field(default_factory=dict)
    """Apps that are answered otherwise: `{bypass: nxdomain}`."""
    strip_ech: bool = True
    """Remove `ech` from HTTPS and SVCB answers, so that the TLS server name stays readable."""


class Group(Treatment):
    """Clients with a policy of their own."""

    name: GroupName
    """A short name: it labels metrics and log lines."""
    clients: tuple[Network, ...] = Field(min_length=1)
    """Addresses or prefixes; over all groups the longest prefix wins."""
    block: tuple[AppId, ...] | None = None
    """Apps to block; not said: all of them."""
    monitor: tuple[AppId, ...] = ()
    """Apps to answer truthfully, but to count and log as what would have been blocked."""
    schedules: tuple[Schedule, ...] = ()
    """Hours in which apps that are blocked are treated otherwise; several for one app add up."""

    @model_validator(mode="after")
    def _separate(self) -> Self:
        found: list[tuple[Where, str]] = []
        if self.name in _KEPT:
            found.append((("name",), f"{self.name!r} is kept for {_KEPT[self.name]}; choose another name"))
        for at, app in enumerate(self.monitor):
            if app in (self.block or ()):
                found.append((("monitor", at), f"{app!r} is both blocked and monitored; remove one of the two"))
        found += self._unscheduled()
        if found:
            raise mistakes(found)
        return self

    @property
    def scheduled(self) -> dict[str, list[Schedule]]:
        """The schedules of each app that has any."""
        found: dict[str, list[Schedule]] = {}
        for schedule in self.schedules:
            for app in schedule.apps:
                found.setdefault(app, []).append(schedule)
        return found

    def _unscheduled(self) -> Iterator[tuple[Where, str]]:
        """Yield what is wrong with the schedules as a whole."""
        first: dict[str, Schedule] = {}
        for at, schedule in enumerate(self.schedules):
            for position, app in enumerate(schedule.apps):
                where: Where = ("schedules", at, "apps", position)
                if app == SPECIAL:
                    yield where, f"{app!r} names never belong outside, at no hour; see protection.special_names"
                elif app in self.monitor or (self.block is not None and app not in self.block):
                    yield where, f"the group does not block {app!r}; put it into `block`, the schedule says when"
                before = first.setdefault(app, schedule)
                if (before.inside, before.outside) != (schedule.inside, schedule.outside):
                    yield where, f"another schedule of {app!r} says otherwise what is inside and outside of its hours"


class Lists(Section):
    """Where the names and addresses come from."""

    built_in: bool = True
    """Load the lists that ship with the product."""
    directories: tuple[FilePath, ...] = ()
    """Folders of the operator's own: `*.yaml` lists, `*.txt` and `*.hosts` files of names."""
    switches: Mapping[str, bool] = Field(default_factory=dict)
    """Optional parts of lists, `app.switch: true`; `blocker lists show` names them."""
    disable: tuple[AppId, ...] = ()
    """Apps whose lists are not loaded at all."""
    overrides: tuple[Override, ...] = ()
    """Must-resolve names and public suffixes that lists may block all the same."""
    watch: bool = True
    """Reload by itself when a list file changes."""


class Protection(Section):
    """Names and addresses that stay inside, whatever the lists say."""

    special_names: bool = True
    """Answer special-use and private reverse names here (RFC 6761, RFC 6303), unless a forward holds them."""
    canaries: bool = True
    """Tell browsers and devices not to go around the resolver (the `canary` list)."""
    rebinding: bool = True
    """Refuse answers that point public names at private addresses."""
    rebinding_exceptions: tuple[Zone, ...] = ()
    """Zones that may point at private addresses; forwarded zones may anyway."""


class Rotation(Section):
    """When a log file gives way to a new one."""

    size: int = Field(default=100, ge=1, le=10240)
    """MiB after which the file is rotated."""
    age: int = Field(default=86400, ge=60, le=31_536_000)
    """Seconds after which the file is rotated."""
    keep: int = Field(default=14, ge=0, le=10000)
    """Rotated files to keep; older ones are removed."""


class ClientPrivacy(StrEnum):
    """How client addresses appear in logs."""

    FULL = "full"
    TRUNCATE = "truncate"
    HASH = "hash"


class Log(Section):
    """The operators' log, the attempt log and the optional query log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """What the operators' log (standard error) shows."""
    format: Literal["text", "json"] = "text"
    """How the operators' log is written."""
    attempts: Destination = "stdout"
    """Where blocked and monitored attempts go, one JSON line each: `stdout`, `off`, or a file."""
    queries: Destination = "off"
    """Where every query goes, one JSON line each."""
    rotation: Rotation = Rotation()
    """When a log file gives way to a new one."""
    clients: ClientPrivacy = ClientPrivacy.FULL
    """`full` addresses, `truncate` to a prefix, or a keyed `hash`."""
    truncate_v4: int = Field(default=24, ge=0, le=32)
    """Bits kept of an IPv4 address when truncated."""
    truncate_v6: int = Field(default=48, ge=0, le=128)
    """Bits kept of an IPv6 address when truncated."""
    hash_key_file: FilePath | None = None
    """A file whose bytes key the hash; needed for `hash`, so that nobody can compute it from addresses."""

    @model_validator(mode="after")
    def _keyed(self) -> Self:
        if self.clients is ClientPrivacy.HASH and self.hash_key_file is None:
            raise mistakes([(("clients",), "'hash' needs hash_key_file, a file with at least 16 random bytes")])
        return self


class Metrics(Section):
    """Prometheus."""

    listen: Listening | None = Endpoint(IPv4Address("127.0.0.1"), 9353)
    """Address of `/metrics`, `/healthz` and `/readyz`; `null`: none."""


class Limits(Section):
    """What strangers may use up."""

    tcp_connections: int = Field(default=1000, ge=1, le=100_000)
    """Open TCP connections per worker; never more than half of the files the system lets a process open."""
    tcp_per_client: int = Field(default=20, ge=1, le=10_000)
    """Open TCP connections per client address and worker."""
    tcp_idle: float = Field(default=10.0, gt=0, le=300)
    """Seconds without a query after which a TCP connection is closed (RFC 7766 §6.2.3)."""
    tcp_read: float = Field(default=5.0, gt=0, le=60)
    """Seconds a client may take to send one message."""
    tcp_pipeline: int = Field(default=100, ge=1, le=10_000)
    """Unanswered queries per TCP connection; we stop reading beyond that."""
    client_in_flight: int = Field(default=2000, ge=1, le=65535)
    """Queries of one client waiting for upstream at once, per worker; more are answered SERVFAIL."""


class Process(Section):
    """How we run."""

    workers: int | None = Field(default=None, ge=1, le=256)
    """Serving processes; not said: one per core."""
    user: str = ""
    """Account to change to after the ports are bound; empty: stay."""
    group: str = ""
    """Group to change to; empty: the user's own."""
    state_dir: FilePath | None = None
    """Where compiled lists are kept; not said: $STATE_DIRECTORY, else a folder in the user's cache."""
    control: FilePath | None = None
    """The control socket of `blocker reload` and `blocker status`; not said: `control.sock` in the state folder."""
