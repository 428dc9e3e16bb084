"""Watches rollouts while they run: counts what they hit, and takes one back that hits names that must resolve.

    journals -> drainer -> heed -> hits of each rollout -> too many -> rollout.json -> reload -> supervisor

In the control process, in a thread of its own. A return is written before it is asked for, so that it comes into force
whoever dies meanwhile, and is asked for until it is.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from blocker import config as configuration
from blocker import names
from blocker.config import Config, Plan, Stage
from blocker.errors import BlockerError, NameFormatError, RolloutError
from blocker.lists import guard
from blocker.lists.guard import Guard
from blocker.rollout import plan, state
from blocker.rollout.hits import Hits
from blocker.sinks import oplog
from blocker.sinks.region import Record
from blocker.sinks.rollouts import MAX_CLIENTS, Counts

_STEP: Final = 0.25  # seconds between looks
_AGAIN: Final = 2.0  # seconds until a reload that did not do it is asked for again
_SAVE: Final = 1.0  # seconds between two writes of the hits
_MARK: Final = b'"rollout":"'  # in the tail of a record that is about one; quotes inside a name would be escaped
_EARLY: Final = 65536  # records kept until it is known what is in force
_EXAMPLES: Final = 5  # must-resolve names that were hit, named to people


class _Watched:
    """One rollout, as it is in force."""

    def __init__(self, settings: Plan, hits: Hits) -> None:
        self.plan = settings
        self.hits = hits
        self.clients: set[bytes] = set()
        self.examples: dict[str, str] = {}


class Rollouts:
    """The rollouts in force, and what they hit."""

    def __init__(self, reload: Callable[[], Mapping[str, object]], clock: Callable[[], float] = time.time) -> None:
        """`reload` asks for one and returns the reply; `clock` tells unix time."""
        self._reload = reload
        self._clock = clock
        self._log = oplog.get("rollout")
        self._lock = threading.Lock()  # the drainer's thread counts, this one judges, others look
        self._watched: dict[str, _Watched] = {}
        self._config: Config | None = None
        self._folder = Path()
        self._guard: Guard = lambda _name: ""
        self._in_force: dict[str, plan.Position] = {}
        self._early: list[Record] = []  # came before we knew what is in force
        self._dirty = False  # hits that are not written
        self._save_at = 0.0
        self._again_at = 0.0

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="rollouts", daemon=True).start()

    def adopt(self, path: str) -> None:
        """Watch the rollouts of the generation described in the file at `path`."""
        try:
            said = json.loads(Path(path).read_bytes())
            config = Config.model_validate(said["config"])
            positions = state.positions_in(said["rollouts"])
            lists = configuration.Lists.model_validate(said["lists"])
            plans = plan.held(config, positions)
            must = guard.guard(lists) if plans else lambda _name: ""
        except (OSError, ValueError, KeyError, TypeError, BlockerError) as error:
            self._log.error("rollouts cannot be watched", generation=path, why=str(error))
            return
        folder = configuration.state_dir(config)
        kept = state.read_hits(folder) if self._config is None and plans else {}
        with self._lock:
            former = self._watched
            self._config, self._folder, self._guard, self._in_force = config, folder, must, positions
            self._watched = {each.name: self._of(each, former.get(each.name), kept) for each in plans}
            early, self._early = self._early, []
        self.heed(early)

    def _of(self, settings: Plan, former: _Watched | None, kept: Mapping[str, tuple[int, list[float]]]) -> _Watched:
        count, times = (former.hits.count, former.hits.times) if former else kept.get(settings.name, (0, []))
        made = _Watched(settings, Hits(settings.return_after, settings.within, count, times))
        if former is not None:
            made.clients, made.examples = former.clients, former.examples
        return made

    def heed(self, records: Iterable[Record]) -> None:
        """Count the attempts among `records` that a rollout is about. Called by the drainer, before it writes them."""
        about = [record for record in records if _MARK in record.tail]
        with self._lock:
            if self._config is None:  # nobody has said yet what is in force, and they are shown only once
                self._early += about[: _EARLY - len(self._early)]
                return
        for record in about:
            self._count(record, json.loads(b"{" + record.tail + b"}"))

    def _count(self, record: Record, said: Mapping[str, Any]) -> None:
        hit = next((name for key in ("qname", "via") if (name := said.get(key)) and self._must_resolve(name)), None)
        with self._lock:
            watched = self._watched.get(said["rollout"])
            if watched is None:
                return
            if len(watched.clients) < MAX_CLIENTS:
                watched.clients.add(record.client)
            if hit is None:
                return
            watched.hits.add(record.when)
            self._dirty = True
            if len(watched.examples) < _EXAMPLES:
                watched.examples[hit] = said["entry"]

    def _must_resolve(self, text: str) -> bool:
        try:
            return bool(self._guard(names.from_text(text)))
        except NameFormatError:  # an address
            return False

    def counts(self) -> dict[str, Counts]:
        """Return what was counted, by rollout."""
        with self._lock:
            return {
                name: Counts(each.hits.count, len(each.clients), dict(each.examples))
                for name, each in self._watched.items()
            }

    def _run(self) -> None:
        while True:
            time.sleep(_STEP)
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 a bug of ours must not end the watch for good
                self._log.error("a bug of ours; rollouts are looked at again", exc_info=error)
                time.sleep(_AGAIN)

    def look(self) -> None:
        """Take back what hits too much, see to it that it comes into force, and keep the hits."""
        now = self._clock()
        with self._lock:
            config, folder = self._config, self._folder
            due = [each for each in self._watched.values() if each.hits.too_many(self._since(each, now))]
        if config is None or not self._watched:
            return
        for each in due:
            self._take_back(each, folder, now)
        kept = state.read(folder)
        self._put_back(folder, kept)
        if now >= self._again_at and state.positions(config, kept) != self._in_force:
            self._again_at = now + _AGAIN
            reply = self._reload()
            if not reply.get("ok"):
                self._log.warning("a moved rollout came with a reload that was refused", reply=str(reply)[:500])
        if self._dirty and now >= self._save_at:
            self._save(folder, now)

    def _put_back(self, folder: Path, kept: state.Kept) -> None:
        """Write again that rollouts went back, if the file is gone that said so: nobody has decided otherwise."""
        if kept.damaged or kept.positions:
            return
        for name, where in self._in_force.items():
            if where.returned and where.since:
                with contextlib.suppress(RolloutError):  # a full disk is told of by others
                    state.move(folder, name, where, keep=frozenset(self._watched))

    def _since(self, watched: _Watched, now: float) -> float:
        """Return from when on hits count; never, if it is in shadow anyway."""
        at = self._in_force[watched.plan.name]
        if at.stage is Stage.SHADOW:
            return float("inf")
        # A clock that was set back since must not keep hits from counting until it has caught up.
        return at.since if at.since <= now else 0.0

    def _take_back(self, watched: _Watched, folder: Path, now: float) -> None:
        settings = watched.plan
        named = ", ".join(watched.examples)
        why = f"{settings.return_after} hits on names that must resolve within {settings.within} s: {named}"[:500]
        to = plan.at(settings, Stage.SHADOW, by=plan.ITSELF, why=why, since=now, returned=True)
        try:
            state.move(folder, settings.name, to, keep=frozenset(self._watched))
        except RolloutError as error:
            if now >= self._again_at:
                self._again_at = now + _AGAIN
                self._log.error("a rollout must be taken back, and cannot be", rollout=settings.name, why=str(error))
            return
        self._log.error("a rollout was taken back to shadow", rollout=settings.name, about=settings.about, why=why)
        with self._lock:
            watched.hits.times.clear()
        self._again_at = 0.0

    def _save(self, folder: Path, now: float) -> None:
        self._save_at = now + _SAVE
        with self._lock:
            self._dirty = False
            hits = {name: (each.hits.count, list(each.hits.times)) for name, each in self._watched.items()}
        try:
            state.write_hits(folder, hits)
        except RolloutError as error:
            self._dirty = True
            self._save_at = now + 60 * _SAVE
            self._log.warning("hits of rollouts are not kept", why=str(error))
