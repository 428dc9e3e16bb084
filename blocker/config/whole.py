"""The whole configuration, and what only all its sections together can show to be wrong."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Self

from pydantic import Field, PrivateAttr, model_validator

from blocker.config.bundles import Bundles
from blocker.config.candidates import Candidates
from blocker.config.egress import Egress, redirected
from blocker.config.evidence import Evidence
from blocker.config.exceptions import Exceptions
from blocker.config.feeds import MAX_FEEDS, Feed, Fetch
from blocker.config.models import (
    UNLISTED,
    Answers,
    Cache,
    Group,
    Limits,
    Lists,
    Log,
    Metrics,
    Process,
    Protection,
    Treatment,
    Upstream,
)
from blocker.config.origin import Origin
from blocker.config.rollout import Rollout
from blocker.config.rpz import Rpz, RpzImport
from blocker.config.section import Section
from blocker.config.selftest import Selftest
from blocker.config.sinkhole import Sinkhole, ends
from blocker.config.values import Endpoint, Listening, Where, mistakes
from blocker.config.wording import nearest

_MAX_SERVERS: Final = 100  # upstreams, each with metrics and sockets of its own


class Config(Section):
    """The whole configuration."""

    listen: tuple[Listening, ...] = Field(
        default=(Endpoint(IPv4Address("127.0.0.1"), 5353), Endpoint(IPv6Address("::1"), 5353)), min_length=1
    )
    """Addresses to serve DNS on, UDP and TCP, `ADDR:PORT`; not said: those of the default that the machine has."""
    upstream: Upstream = Upstream()
    """Whom we ask, and how hard we try."""
    cache: Cache = Cache()
    """What upstreams said, kept in memory."""
    answers: Answers = Answers()
    """What a blocked client hears."""
    unlisted: Treatment = Treatment()
    """How clients in no group are answered; every app is blocked for them, so this is the strictest policy."""
    groups: tuple[Group, ...] = ()
    """Clients with a policy of their own."""
    lists: Lists = Lists()
    """Where the names and addresses come from."""
    rollout: Rollout = Rollout()
    """Staged rollouts of lists: in shadow, for some clients, for all."""
    feeds: tuple[Feed, ...] = Field(default=(), max_length=MAX_FEEDS)
    """Lists that others publish."""
    fetch: Fetch = Fetch()
    """How feeds are fetched."""
    bundles: Bundles = Bundles()
    """Signed bundles: with trusted keys, lists come from installed bundles and from nowhere else."""
    exceptions: Exceptions = Exceptions()
    """Exceptions that people ask for and approve, and that end by themselves."""
    protection: Protection = Protection()
    """Names and addresses that stay inside, whatever the lists say."""
    rpz: Rpz = Rpz()
    """Policy zones: ours for other resolvers, and other people's for us."""
    egress: Egress = Egress()
    """Rules in the kernel against apps that do not ask our DNS."""
    sinkhole: Sinkhole = Sinkhole()
    """What is served at the addresses that blocked names are answered with."""
    log: Log = Log()
    """The operators' log, the attempt log and the optional query log."""
    evidence: Evidence = Evidence()
    """The attempt log as evidence: nothing of it can be altered without trace."""
    candidates: Candidates = Candidates()
    """The search for names that look like a banned app's and are in no list yet."""
    selftest: Selftest = Selftest()
    """Queries that we ask ourselves over our own listeners, to know that what is banned stays blocked."""
    metrics: Metrics = Metrics()
    """Prometheus."""
    limits: Limits = Limits()
    """What strangers may use up."""
    process: Process = Process()
    """How we run."""

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = [
            *_limits(self), *_addresses(self), *_zones(self), *_clients(self), *_feeds(self), *_unsigned(self),
            *_policy_zones(self), *_rollouts(self), *_evidence(self), *_egress(self), *_candidates(self),
            *_sinkhole(self),
        ]  # fmt: skip
        if found:
            raise mistakes(found)
        return self

    @property
    def takes_local_exceptions(self) -> bool:
        """Whether exceptions that were approved on this node count here."""
        if self.exceptions.local is not None:
            return self.exceptions.local
        return not self.bundles.keys or self.bundles.allow_local


def _limits(config: Config) -> Iterator[tuple[Where, str]]:
    cache, upstream = config.cache, config.upstream
    if cache.min_ttl > cache.max_ttl:
        yield ("cache", "min_ttl"), f"{cache.min_ttl} is more than max_ttl, {cache.max_ttl}"
    if upstream.timeout > upstream.deadline:
        yield ("upstream", "timeout"), f"{upstream.timeout} is more than deadline, {upstream.deadline}"
    asked = {*upstream.servers, *(end for each in upstream.forward for end in each.servers)}
    if len(asked) > _MAX_SERVERS:
        yield ("upstream",), f"names {len(asked)} servers, and {_MAX_SERVERS} are the most; remove some"


def _evidence(config: Config) -> Iterator[tuple[Where, str]]:
    if config.evidence.chain and config.log.attempts == "off":
        yield ("evidence", "chain"), "there is nothing to chain: log.attempts is off; name a file there"


def _addresses(config: Config) -> Iterator[tuple[Where, str]]:
    for at, listening in enumerate(config.listen):
        if listening.port and listening in config.listen[:at]:
            yield ("listen", at), f"{listening} is written twice; remove one of the two"
    if config.metrics.listen is not None and config.metrics.listen.port and config.metrics.listen in config.listen:
        yield ("metrics", "listen"), f"{config.metrics.listen} serves DNS already; choose another port"
    asked: list[tuple[Where, tuple[Endpoint, ...]]] = [(("upstream", "servers"), config.upstream.servers)]
    for at, forward in enumerate(config.upstream.forward):
        asked.append((("upstream", "forward", at, "servers"), forward.servers))
    asked.append((("fetch", "resolvers"), config.fetch.resolvers))
    for where, servers in asked:
        for at, server in enumerate(servers):
            if is_own(config, server):
                yield (*where, at), f"{server} is this proxy itself: its queries would go round in a loop"


def is_own(config: Config, server: Endpoint) -> bool:
    """Tell whether asking `server` would be asking ourselves."""
    address, port = server
    return any(
        listening.port == port and (listening.address == address or _covers(listening.address, address))
        for listening in config.listen
    )


def _covers(wildcard: IPv4Address | IPv6Address, address: IPv4Address | IPv6Address) -> bool:
    return wildcard.is_unspecified and wildcard.version == address.version and address.is_loopback


def foreign(config: Config) -> Iterator[tuple[Where, Feed | RpzImport]]:
    """Yield the lists of others, each with its place: feeds, and policy zones that are taken over."""
    for at, feed in enumerate(config.feeds):
        yield ("feeds", at), feed
    for at, zone in enumerate(config.rpz.imports):
        yield ("rpz", "imports", at), zone


def _zones(config: Config) -> Iterator[tuple[Where, str]]:
    seen: dict[str, int] = {}
    for at, forward in enumerate(config.upstream.forward):
        for position, zone in enumerate(forward.zones):
            if zone in seen:
                yield (
                    ("upstream", "forward", at, "zones", position),
                    f"{zone!r} is already in upstream.forward.{seen[zone]}; remove one of the two",
                )
            seen.setdefault(zone, at)


def _unsigned(config: Config) -> Iterator[tuple[Where, str]]:
    """Yield what would come into force unsigned, where only signed bundles may."""
    if config.bundles.keys and not config.bundles.allow_local:
        for at, folder in enumerate(config.lists.directories):
            yield (
                ("lists", "directories", at),
                f"{folder} is not signed, and bundles.keys says that lists come from signed bundles; put its lists into"
                " the bundle, or set bundles.allow_local",
            )
        for at, feed in enumerate(config.feeds):
            yield (
                ("feeds", at),
                f"feed {feed.name!r} is not signed, and bundles.keys says that lists come from signed bundles; remove"
                " it, or set bundles.allow_local",
            )
        for at, zone in enumerate(config.rpz.imports):
            yield (
                ("rpz", "imports", at),
                f"zone {zone.zone!r} is in no signed bundle, and bundles.keys says that lists come from those alone;"
                " remove it, or set bundles.allow_local",
            )


def _clients(config: Config) -> Iterator[tuple[Where, str]]:
    names: set[str] = set()
    owners: dict[IPv4Network | IPv6Network, str] = {}
    for at, group in enumerate(config.groups):
        if group.name in names:
            yield ("groups", at, "name"), f"there are two groups {group.name!r}; choose another name"
        names.add(group.name)
        for position, network in enumerate(group.clients):
            if network in owners:
                yield (
                    ("groups", at, "clients", position),
                    f"{network} is already in group {owners[network]!r}; a client can have one policy",
                )
            owners.setdefault(network, group.name)


def _candidates(config: Config) -> Iterator[tuple[Where, str]]:
    folder = config.candidates.folder
    if folder is not None and folder not in config.lists.directories:
        yield ("candidates", "folder"), f"{folder} is none of lists.directories: nothing in it would be in force"


def _feeds(config: Config) -> Iterator[tuple[Where, str]]:
    names: set[str] = set()
    for at, feed in enumerate(config.feeds):
        if feed.name in names:
            yield ("feeds", at, "name"), f"there are two feeds {feed.name!r}; choose another name"
        names.add(feed.name)
    apps: set[str] = set()
    categories: set[str] = set()
    for above, each in foreign(config):
        if each.subject in (categories if each.app else apps):
            key, other = ("app", "category") if each.app else ("category", "app")
            yield (*above, key), f"{each.subject!r} is the {other} of another feed; say the same of both"
        (apps if each.app else categories).add(each.subject)


def _rollouts(config: Config) -> Iterator[tuple[Where, str]]:
    groups = {UNLISTED, *(group.name for group in config.groups)}
    feeds = {*(feed.name for feed in config.feeds), *(each.zone for each in config.rpz.imports)}
    names: set[str] = set()
    for at, plan in enumerate(config.rollout.plans):
        above: Where = ("rollout", "plans", at)
        if plan.name in names:
            yield (*above, "name"), f"there are two rollouts {plan.name!r}; choose another name"
        names.add(plan.name)
        if plan.feed is not None and plan.feed not in feeds:
            yield (*above, "feed"), f"there is no feed {plan.feed!r}{nearest(plan.feed, sorted(feeds))}"
        for place, group in enumerate(plan.groups):
            if group not in groups:
                yield (*above, "groups", place), f"there is no group {group!r}{nearest(group, sorted(groups))}"


def _policy_zones(config: Config) -> Iterator[tuple[Where, str]]:
    groups = {UNLISTED, *(group.name for group in config.groups)}
    for at, zone in enumerate(config.rpz.zones):
        if zone.group not in groups:
            yield (
                ("rpz", "zones", at, "group"),
                f"there is no group {zone.group!r}{nearest(zone.group, sorted(groups))}",
            )
    taken = {*config.listen, *([config.metrics.listen] if config.metrics.listen else [])}
    for at, listening in enumerate(config.rpz.listen):
        if listening.port and listening in taken:
            yield ("rpz", "listen", at), f"{listening} is taken already by this proxy; choose another port"


def _egress(config: Config) -> Iterator[tuple[Where, str]]:
    egress = config.egress
    groups = {UNLISTED, *(group.name for group in config.groups)}
    for at, group in enumerate(egress.groups if egress.mode == "gateway" else ()):
        if group.name not in groups:
            yield (
                ("egress", "groups", at, "name"),
                f"there is no group {group.name!r}{nearest(group.name, sorted(groups))}",
            )
    if not egress.enabled:
        return
    if egress.mode == "gateway" and not egress.devices and not config.groups:
        yield ("egress", "devices"), "nobody is governed: name the devices' networks here, or describe groups"
    if egress.mode == "node" and config.process.user in ("", "root"):
        yield (
            ("process", "user"),
            "in mode 'node' only our own account may ask the upstreams, and root is everybody's: name an account that"
            " nothing else runs as",
        )
    if egress.dns == "redirect" and not redirected(egress, config.listen):
        yield (
            ("egress", "dns"),
            "devices cannot be redirected to us: all of listen is loopback; listen on an address that they reach, set"
            " egress.resolver, or write 'reject'",
        )


def _sinkhole(config: Config) -> Iterator[tuple[Where, str]]:
    if not config.sinkhole.serve:
        return
    for key in ("ports", "reset"):
        for at, port in enumerate(getattr(config.sinkhole, key)):
            for end in ends(config.sinkhole, config.answers, (port,)):
                if other := next((each for each in _listened(config) if _overlaps(each, end)), None):
                    yield ("sinkhole", key, at), f"{end} is taken already by this proxy, as {other}; choose another"
    if not ends(config.sinkhole, config.answers, (0,)):
        yield (
            ("sinkhole", "serve"),
            "answers.sinkhole_v4 and sinkhole_v6 are nobody's addresses; set them to one of this machine's that clients"
            " reach, or write sinkhole.listen",
        )


def _listened(config: Config) -> tuple[Endpoint, ...]:
    return (*config.listen, *config.rpz.listen, *([config.metrics.listen] if config.metrics.listen else []))


def _overlaps(one: Endpoint, other: Endpoint) -> bool:
    """Tell whether TCP sockets on both would be in each other's way."""
    if one.port != other.port or one.address.version != other.address.version:
        return False
    return one.address == other.address or one.address.is_unspecified or other.address.is_unspecified
