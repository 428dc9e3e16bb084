"""What the workers serve at one time: a configuration and the index compiled for it, as one immutable file pair.

`prepare` runs in a short-lived process of its own, since compiling takes seconds and memory; `Generation.open`
runs in each worker and takes milliseconds. Nothing here touches a socket.

Beside it stand the exceptions, a file of their own: they come and go without lists or configuration being read
again (`amend`). What schedules and exceptions make of both at a moment is not written down anywhere: whoever opens
them says which moment it is, so that time needs neither a disk nor another process to go by.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Final

from blocker import config as configuration
from blocker.answer import BLOCK_EDE, Wording
from blocker.bundle import current as bundles
from blocker.cache import Limits
from blocker.clients import Clients
from blocker.config import Config, Endpoint
from blocker.errors import ArtifactError, ConfigError, ListError
from blocker.events import Basis
from blocker.feeds import files
from blocker.feeds.store import FACTS, Store
from blocker.lists import compile as lists
from blocker.lists.feed import FeedFile
from blocker.lists.index import Index
from blocker.rollout import plan as rollouts
from blocker.rollout import state as moved
from blocker.serve import excepted, statefile
from blocker.serve.excepted import Approved, Standing
from blocker.serve.look import look, signature
from blocker.sinks import oplog
from blocker.structured import DNS_POLICY, NETWORK_POLICY, Operator

_SHORT: Final = 16  # hex digits of a digest that records name: 64 bits
_AT_START: Final = ("listen", "metrics", "log", "evidence", "process")  # bound, opened or forked before we serve ...
_PARTS: Final = (  # ... and so are these keys of sections
    "lists.watch", "rpz.listen", "egress.enabled", "egress.nflog", "egress.watch.interfaces",
    "egress.watch.promiscuous", "sinkhole.serve", "sinkhole.listen", "sinkhole.ports", "sinkhole.reset",
)  # fmt: skip
_NOT_POLICY: Final = (
    "bundles",
    "listen",
    "cache",
    "log",
    "metrics",
    "limits",
    "process",
    "evidence",
    "candidates",
    "exceptions",
    "selftest",
    "feeds",
    "fetch",
    "rpz",
    "sinkhole",
)  # sections that no verdict depends on


@dataclass(frozen=True, slots=True)
class Generation:
    """One configuration with its lists, ready to serve."""

    path: str
    number: int
    config: Config
    index: Index
    clients: Clients
    servers: tuple[Endpoint, ...]
    wording: Wording
    basis: Basis  # what attempts are recorded to rest on
    approved: Approved

    @classmethod
    def open(cls, standing: Standing, before: "Generation | None" = None, pause: float = 0.0) -> "Generation":
        """Open the generation that `prepare` described, as it is at a moment, with the exceptions of then.

        `before` was opened before: what is the same is not read again. A `pause` in seconds, again and again, leaves
        the processor to who serves meanwhile. Raises ArtifactError when the generation, the index it names or the
        exceptions are missing or damaged.
        """
        path = standing.generation
        approved = excepted.approved(standing, before.approved if before is not None else None)
        granted = excepted.shortened(approved.grants, standing.ends)
        if before is not None and before.path == path:
            clients = Clients(before.config, before.index, standing.moment, granted)
            return replace(before, clients=clients, approved=approved)
        try:
            said = json.loads(Path(path).read_bytes())
            config = rollouts.applied(
                Config.model_validate(said["config"]), moved.positions_in(said.get("rollouts", {}))
            )
            servers = tuple(configuration.endpoint(text) for text in said["servers"])
            number, index_path = int(said["number"]), Path(said["index"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{path}: not a generation: {error}. Run `blocker reload`.") from error
        index = Index.open(index_path, pause)
        basis = Basis(index.digest[:_SHORT], policy_version(config)[:_SHORT])
        clients = Clients(config, index, standing.moment, granted)
        return cls(path, number, config, index, clients, servers, wording(config), basis, approved)

    def cache_limits(self, workers: int) -> Limits:
        """Return one worker's share of the cache."""
        cache = self.config.cache
        return Limits(
            size=cache.size * (1 << 20) // workers,
            min_ttl=cache.min_ttl,
            max_ttl=cache.max_ttl,
            max_negative_ttl=cache.max_negative_ttl,
            failure_ttl=cache.failure_ttl,
            stale_for=cache.stale_for,
            prefetch=cache.prefetch,
        )


def wording(config: Config) -> Wording:
    """Return how answers are worded under `config`."""
    answers = config.answers
    return Wording(
        sinkhole_v4=tuple(address.packed for address in answers.sinkhole_v4),
        sinkhole_v6=tuple(address.packed for address in answers.sinkhole_v6),
        ttl=answers.ttl,
        stale_ttl=config.cache.stale_ttl,
        ede=BLOCK_EDE[answers.ede],
        contact=answers.contact,
        operator=Operator(
            contacts=answers.contacts,
            organisation=answers.organisation,
            language=answers.language,
            sub_error=NETWORK_POLICY if answers.policy_of == "network" else DNS_POLICY,
        ),
        version=answers.version,
        keepalive=int(config.limits.tcp_idle * 10),
    )


def at_start(config: Config) -> dict[str, str]:
    """Return what of `config` counts only when the whole starts: keys, each with a digest of its value."""
    said = config.model_dump(mode="json")
    values = {path: reduce(getitem, path.split("."), said) for path in (*_AT_START, *_PARTS)}
    return {
        key: hashlib.blake2b(json.dumps(value).encode(), digest_size=8).hexdigest() for key, value in values.items()
    }


def policy_version(config: Config) -> str:
    """Return what a policy is known by: a digest, in hex, over all configuration that a verdict can depend on.

    Not the generation's number, which says nothing on another node or after a restart: the same policy has the same
    version everywhere, and one that was changed and changed back has its old version again.
    """
    said = config.model_dump(mode="json", exclude=set(_NOT_POLICY))
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=32).hexdigest()


def prepare(
    path: Path | None, overrides: Mapping[str, object], number: int, *, first: bool = False
) -> dict[str, object]:
    """Read configuration and lists, compile what is not compiled yet, and describe generation `number` in a file.

    Returns what the supervisor must know of it: `path`, `exceptions`, and for the metrics `digest`, `compiled`, `apps`,
    `watch`, `looked`, `at_start`, `feeds`. Raises BlockerError, and then nothing has changed that anybody serves from.
    Exceptions that cannot be read are no reason not to start: the `first` generation has none then, which is stricter.
    """
    began = time.monotonic()
    looked = look([str(path)] if path else [])  # before each is read: what changes later is seen to have changed
    config = configuration.load(path, overrides)
    kept = moved.read(configuration.state_dir(config))
    if kept.damaged and config.rollout.plans:
        oplog.get("rollout").error("all rollouts are held in shadow", why=kept.damaged)
    positions = moved.positions(config, kept)
    for each in config.lists.overrides:
        oplog.get("lists").warning("may be blocked by override", name=each.name, reason=each.reason, by=each.by)
    own = [str(path)] if path else []
    if not config.upstream.servers:  # another network may bring other ones
        own.append(str(config.upstream.resolv_conf))
        looked |= look(own[-1:])
    servers = configuration.servers(config)
    if config.evidence.chain and config.evidence.key_file is not None:
        from blocker.evidence import keys as signing  # cryptography: in this short-lived process, never in the workers

        signing.signer(config.evidence.key_file)  # now, and not when the first checkpoint is due
    folder = configuration.state_dir(config)
    statefile.make(folder)  # somebody may have removed it
    if first:
        statefile.clear(folder)
    feeds, warnings = files.in_force(config, folder)
    for warning in warnings:
        oplog.get("lists").warning(warning)
    source = bundles.in_force(config)
    if source.bundle is not None:
        _tell(source.bundle)
    folders = [str(each) for each in (*lists.watched(source.lists), *source.watched)]
    looked |= look(folders)
    with_source = config.model_copy(update={"lists": source.lists})
    try:
        index_path, index = compiled(with_source, folder, feeds)
    except ListError:
        # Others' lists are no reason not to start: to have none of their names blocked is better than no DNS at all.
        readable, unread = lists.readable(source.lists, feeds) if first else (feeds, ())
        if not unread:
            raise
        for problem in unread:
            oplog.get("lists").error("a feed's copy is no list: none of its names are blocked", why=problem)
        index_path, index = compiled(with_source, folder, readable)
    if problems := [*configuration.check_apps(config, index.apps), *configuration.check_files(config, index.origins)]:
        raise ConfigError(problems)
    if config.rpz.keys:
        from blocker.rpz import keys  # there alone: it needs a DNS library

        keys.load(config.rpz.keys)  # a secret that cannot be read refuses the reload, not the transfers after it
    exceptions = excepted.prepare(config, folder, number, source.granted, first=first)
    target = folder / f"generation-{number}.json"
    said = {
        "number": number,
        "config": config.model_dump(mode="json"),
        "servers": [str(end) for end in servers],
        "index": str(index_path),
        "lists": source.lists.model_dump(mode="json"),
        "rollouts": moved.said(positions),
    }
    statefile.write(target, json.dumps(said).encode())
    statefile.tidy(folder, "generation-*.json", {target})
    statefile.tidy(folder, "lists-*.index", {index_path})
    return {
        "path": str(target),
        "number": number,
        "digest": index.digest,
        "policy": policy_version(rollouts.applied(config, positions)),
        "rollouts": _rollouts(config, positions),
        "compiled": index.compiled,
        "apps": {app: {"entries": info.entries, "title": info.title} for app, info in index.apps.items()},
        "feeds": {
            feed.name: {"facts": str(Store(folder, feed.name).folder / FACTS), "interval": feed.interval}
            for feed in config.feeds
        },
        "bundle": source.bundle.said() if source.bundle else None,
        "rpz": _zones(config, folder),
        "selftest": str(folder) if config.selftest.interval else None,
        "egress": str(folder) if config.egress.enabled else None,
        "candidates": str(folder) if config.candidates.enabled else None,
        "exceptions": exceptions,
        "watch": folders + own,
        "looked": signature(looked),
        "at_start": at_start(config),
        "duration": time.monotonic() - began,
    }


def restaged(current: Mapping[str, object], number: int) -> dict[str, object] | None:
    """Return generation `number`: the one that `current` describes, but with its rollouts as they stand now.

    None: they stand as they did. For when what is configured cannot be read: a rollout that was taken back must not
    wait until somebody has mended a file. Raises BlockerError.
    """
    try:
        said = json.loads(Path(str(current["path"])).read_bytes())
        config = Config.model_validate(said["config"])
        former = moved.positions_in(said["rollouts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{current.get('path')}: not a generation: {error}.") from error
    folder = configuration.state_dir(config)
    positions = moved.positions(config, moved.read(folder))
    if positions == former:
        return None
    target = folder / f"generation-{number}.json"
    statefile.write(target, json.dumps(said | {"number": number, "rollouts": moved.said(positions)}).encode())
    policy = policy_version(rollouts.applied(config, positions))
    return {
        **current, "path": str(target), "number": number, "policy": policy, "rollouts": _rollouts(config, positions),
    }  # fmt: skip


def _rollouts(config: Config, positions: Mapping[str, rollouts.Position]) -> list[dict[str, object]]:
    """Return what metrics and people must know of the rollouts."""
    return [
        {
            "name": each.name,
            "about": each.about,
            "stage": now.stage,
            "words": str(now),
            "since": now.since,
            "by": now.by,
            "why": now.why,
            "returned": now.returned,
        }
        for each in rollouts.held(config, positions)
        for now in (positions[each.name],)
    ]


def _zones(config: Config, folder: Path) -> dict[str, object] | None:
    """Return what metrics must know of policy zones; None: none are configured."""
    if not config.rpz.zones and not config.rpz.imports:
        return None
    return {
        "state": str(folder),
        "served": [zone.name for zone in config.rpz.zones],
        "imported": [each.zone for each in config.rpz.imports],
    }


def compiled(config: Config, folder: Path, feeds: Sequence[FeedFile] = ()) -> tuple[Path, Index]:
    """Return the index of the lists that `config` names and of `feeds`; compiled now unless it stands in `folder`.

    Raises ListError when a list is refused, ArtifactError when the index cannot be written.
    """
    target = folder / f"lists-{lists.fingerprint(config.lists, feeds)}.index"
    if target.exists():
        try:
            return target, Index.open(target)
        except ArtifactError:  # damaged on disk: compile it again
            target.unlink(missing_ok=True)
    try:
        lists.build(lists.gather(config.lists, feeds=feeds), target)
    except OSError as error:
        raise statefile.unwritable(target, error) from error
    return target, Index.open(target)


def _tell(bundle: bundles.Facts) -> None:
    """Log which bundle the lists come from; one that has expired is better than none, but nobody vouches for it."""
    log = oplog.get("bundle")
    said = {"serial": bundle.serial, "publisher": bundle.publisher}
    if bundle.expired(time.time()):
        log.warning("lists come from a bundle that has expired; it stays until a newer one is installed", **said)
    else:
        log.info("lists come from a signed bundle", **said)
