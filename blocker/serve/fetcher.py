"""The process that fetches feeds: on schedule, beside DNS, which goes on whatever happens here.

Hears from the supervisor what is configured, and asks it for a reload when something new was published. What
it needs to fetch is imported here alone, so that no other process carries it.
"""

import json
import random
import secrets
import signal
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Final

import setproctitle

from blocker import config as configuration
from blocker.config import Config, Feed
from blocker.errors import ArtifactError, FeedError
from blocker.serve import priority
from blocker.serve.link import Link, Message
from blocker.sinks import oplog

if TYPE_CHECKING:
    from blocker.feeds.facts import Facts
    from blocker.feeds.update import Result

_RELOAD: Final = 120.0  # seconds to wait for the supervisor
_AT_ONCE: Final = 16  # feeds: those whose source is slow or dead keep no others waiting
_GATHER: Final = 10.0  # seconds that what was published waits for others that come: each reload compiles all lists
_NAP: Final = 30.0  # seconds between looks at the clock, which may be set


def run(supervisor: socket.socket) -> int:
    """Be the process: the body of a forked child. Returns its exit status."""
    setproctitle.setproctitle("blocker: feeds")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when
    priority.stand_back()  # reading a million names must not take the workers' time
    return Fetcher(supervisor).serve()


class Fetcher:
    """Keeps the feeds of the newest generation up to date, from a thread of its own."""

    def __init__(self, supervisor: socket.socket) -> None:
        """Talk with the supervisor at the other end of `supervisor`."""
        self._link = Link(supervisor)
        self._log = oplog.get("feeds")
        self._config: Config | None = None
        self._changed = threading.Event()
        self._unwritten: dict[str, Facts] = {}  # by feed: failures that could not be noted on disk
        self._salt = secrets.token_hex(8)  # so that not all nodes retry at the same moment

    def serve(self) -> int:
        """Serve until the supervisor says stop, is gone, or configures no feeds any more."""
        threading.Thread(target=self._run, name="feeds", daemon=True).start()
        for event in self._link.events():
            if event["event"] == "stop":
                break
            if event["event"] == "generation" and not self._adopt(event):
                break
        return 0

    def _adopt(self, event: Message) -> bool:
        """Take over the configuration of a generation; return whether it has feeds."""
        try:
            config = configured(Path(str(event["path"])))
        except ArtifactError as error:
            self._log.error("the new configuration cannot be read; the former schedule goes on", why=str(error))
            return True
        self._config = config
        self._changed.set()
        return bool(config.feeds)

    def _run(self) -> None:
        while True:
            changed = self._changed.wait(self._nap())
            self._changed.clear()
            try:
                if changed:
                    self._unwritten.clear()  # somebody may have mended the disk
                    self._heal()
                self._round()
            except Exception as error:  # noqa: BLE001 the next round may do better; the process must not fall silent
                self._log.error("a bug of ours while fetching", exc_info=error)

    def _nap(self) -> float:
        """Return the seconds until something is due, at most _NAP."""
        config = self._config
        if config is None:
            return _NAP
        now = time.time()
        return min([_NAP, *(max(1.0, self._due(feed, config, now) - now) for feed in config.feeds)])

    def _round(self) -> None:
        """Fetch what is due, many at once since sources may be slow, and have it put in force a few at a time."""
        config = self._config
        if config is None:
            return
        now = time.time()
        due = [feed for feed in config.feeds if self._due(feed, config, now) <= now]
        with ThreadPoolExecutor(_AT_ONCE, "fetch") as pool:
            waiting = {pool.submit(self._fetch, feed, config) for feed in due}
            published: list[str] = []
            since = time.monotonic()
            while waiting:
                done, waiting = wait(waiting, _GATHER if published else None, FIRST_COMPLETED)
                since = since if published else time.monotonic()
                published += [name for each in done if (name := each.result())]
                if published and (not waiting or time.monotonic() - since >= _GATHER):
                    self._put_in_force(published)
                    published = []

    def _fetch(self, feed: Feed, config: Config) -> str:
        """Bring one feed up to date, and return its name if something new was published."""
        from blocker.feeds.facts import Facts
        from blocker.feeds.store import Store
        from blocker.feeds.update import State, update

        now = time.time()
        try:
            state = configuration.state_dir(config)
            result = update(feed, config, state, now)
            self._say(result)
            noted = Store(state, feed.name).facts()
            failed = self._unwritten.pop(feed.name, noted)
            if noted.tried != now:  # the disk takes nothing: who forgot that he asked would ask again at once, for ever
                self._unwritten[feed.name] = failed.after_failure(result.why, now)
            return feed.name if result.state is State.PUBLISHED else ""
        except FeedError:
            pass  # facts that cannot be read: said by _heal
        except Exception as error:  # noqa: BLE001 the others must not wait for the mending of a bug
            self._log.error("a bug of ours while fetching", feed=feed.name, exc_info=error)
            failed = self._unwritten.get(feed.name, Facts())
            self._unwritten[feed.name] = failed.after_failure("a bug of ours", now)
        return ""

    def _put_in_force(self, published: Sequence[str]) -> None:
        reply = self._link.reload(_RELOAD)
        if not reply.get("ok"):
            why = "; ".join(map(str, reply.get("problems", ())))
            self._log.error("fetched feeds are not in force", feeds=", ".join(published), why=why)

    def _heal(self) -> None:
        """Set aside copies that were damaged on disk: they are due at once."""
        from blocker.feeds.store import Store

        config = self._config
        for feed in config.feeds if config else ():
            assert config is not None
            store = Store(configuration.state_dir(config), feed.name)
            try:
                with store.lock():
                    if found := store.heal():
                        self._log.error(found, feed=feed.name)
            except FeedError as error:
                self._log.error("the feed's folder cannot be used", feed=feed.name, why=str(error))

    def _due(self, feed: Feed, config: Config, now: float) -> float:
        from blocker.feeds import schedule
        from blocker.feeds.store import Store

        try:
            facts = Store(configuration.state_dir(config), feed.name).facts()
        except FeedError:
            return now + _NAP  # said by _heal; somebody has to mend the folder
        attempts = (facts, self._unwritten.get(feed.name, facts))
        facts = max(attempts, key=lambda each: each.tried if each.tried <= now else 0.0)  # the clock may be set back
        chance = random.Random(f"{self._salt} {feed.name} {facts.tried}").random()  # noqa: S311 spreads load, hides nothing
        return schedule.due(feed, facts, now, chance)

    def _say(self, result: "Result") -> None:
        from blocker.feeds.update import State

        said = {"feed": result.feed, "before": result.before, "after": result.after}
        match result.state:
            case State.PUBLISHED:
                self._log.info("feed published", **said, rejected=result.rejected.total)
            case State.HELD:
                how = f"blocker lists diff {result.feed} {result.feed}:held, then blocker lists update --accept"
                self._log.error("feed held for a person", **said, why=result.why, next=f"{how} {result.feed}")
            case State.FAILED:
                self._log.error("feed not updated; the edition in force stays", feed=result.feed, why=result.why)
            case State.REJECTED:
                self._log.debug("feed unchanged since its update was rejected", feed=result.feed, why=result.why)
            case State.UNCHANGED:
                self._log.debug("feed unchanged", feed=result.feed)


def configured(path: Path) -> Config:
    """Return the configuration of the generation that the file at `path` describes. Raises ArtifactError."""
    try:
        return Config.model_validate(json.loads(path.read_bytes())["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: not a generation: {error}. Run `blocker reload`.") from error
