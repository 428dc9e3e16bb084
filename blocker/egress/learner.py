"""Finds out which addresses banned names have, and lets the kernel refuse those that only they have: a thread.

Has names looked up by the workers, whose packets from strangers it never sees, hears from them what allowed names have,
and changes the sets `learned_<app>`. What it decides and why stands in a file, for people and for metrics.
"""

import errno
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from blocker.config import Learning as Bounds
from blocker.egress import learned, sets, talk
from blocker.egress.elements import Change, Drop, Element, Put
from blocker.egress.gatekeeper import Kernel, Reply
from blocker.egress.known import Known
from blocker.egress.learned import Learned
from blocker.egress.learning import Change as Verdict
from blocker.egress.learning import Found, Learning, Reason
from blocker.egress.questions import Question, Questions
from blocker.egress.talk import Banned, LookedUp, Message, Met, Status
from blocker.errors import KernelError
from blocker.names import Name
from blocker.sinks import oplog

_AGAIN: Final = 1.0  # seconds until what no worker would take is asked again
_STEP: Final = 0.2  # seconds between looks at what is due
_TELL: Final = 5.0  # seconds between two writings of the file
_WAITING: Final = 1000  # messages; what workers say beyond that is dropped
_SAY_EVERY: Final = 60.0  # seconds between two log lines about trouble


class _Heard(NamedTuple):
    """What a worker said."""

    message: Message
    reply: Reply


class _Adoption(NamedTuple):
    """What is in force from now on."""

    known: Known | None
    bounds: Bounds


class Learner:
    """Everything that is learned."""

    def __init__(
        self, kernel: Kernel, look_up: Callable[[Question], bool], announce: Callable[[bytes], None], folder: Path
    ) -> None:
        """`look_up` has a worker ask, and tells whether there was one; `announce` tells all of them something.

        The file goes into `folder`.
        """
        self._kernel = kernel
        self._look_up = look_up
        self._announce = announce
        self._folder = folder
        self._log = oplog.get("learner")
        self._known: Known | None = None
        self._bounds = Bounds()
        self._learning = Learning(self._bounds.probation, self._bounds.keep, self._bounds.recent)
        self._questions = Questions(self._bounds.rate, self._bounds.names)
        self._inbox: queue.SimpleQueue[_Heard | _Adoption | None] = queue.SimpleQueue()
        # What workers say before we know what is in force waits for that: at a restart they are faster. None: we know.
        self._early: deque[Message] | None = deque(maxlen=_WAITING)
        self._restored: set[str] = set()  # apps whose sets were read
        self._listed: frozenset[Name] = frozenset()  # names that are asked for whether or not anybody has asked us
        self._tell_at = self._say_at = 0.0
        self._thread = threading.Thread(target=self._run, name="learner", daemon=True)

    def start(self) -> None:
        """Start the thread; it does nothing before `adopt`."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what the sets hold stays."""
        self._inbox.put(None)
        self._thread.join()

    def adopt(self, known: Known | None, bounds: Bounds) -> None:
        """Go on with what is in force, the sets having been made; None: do not learn. From any thread."""
        self._inbox.put(_Adoption(known, bounds))

    def hear(self, message: Message, reply: Reply) -> None:
        """Take what a worker says, from any thread; never waits."""
        if self._inbox.qsize() < _WAITING:
            self._inbox.put(_Heard(message, reply))

    def step(self, now: float, timeout: float | None = None) -> bool:
        """Take what has come, having waited for it up to `timeout` seconds; False: it is time to end."""
        try:
            said = self._inbox.get(timeout=timeout) if timeout else self._inbox.get_nowait()
        except queue.Empty:
            return True
        if said is None:
            return False
        if isinstance(said, _Adoption):
            self._adopt(said.known, said.bounds, now)
        else:
            self._take(*said, now)
        return True

    def look(self, now: float) -> None:
        """Ask what is due, and refuse what was watched for long enough."""
        if self._known is None:
            return
        self._apply(self._learning.look(now))
        questions = self._questions.take(now)
        for at, question in enumerate(questions):
            if not self._look_up(question):
                self._questions.defer(questions[at:], now + _AGAIN)
                break
        if now >= self._tell_at:
            self._tell_at = now + _TELL
            self.tell(now)

    def tell(self, now: float) -> None:
        """Write down what is known."""
        guarded = {f"{app} {reason}": count for (app, reason), count in sorted(self._learning.guarded.items())}
        addresses = learned.shown(self._learning.suspects(), now)
        try:
            learned.write(Learned(time.time(), len(self._questions), guarded, addresses), self._folder)
        except OSError as error:
            self._say(f"what was learned cannot be written to {self._folder}: {error.strerror}")

    def _run(self) -> None:
        look_at = 0.0
        while True:
            try:
                now = time.monotonic()
                if now >= look_at:
                    look_at = now + _STEP
                    self.look(now)
                if not self.step(now, _STEP):
                    return
            except Exception as error:  # noqa: BLE001 a bug of ours must not end what was learned so far
                self._say("a bug of ours", error)

    def _adopt(self, known: Known | None, bounds: Bounds, now: float) -> None:
        self._known, self._bounds = known, bounds
        learning, questions = self._learning, self._questions
        learning.probation, learning.keep, learning.recent = bounds.probation, bounds.keep, bounds.recent
        questions.rate, questions.most = bounds.rate, bounds.names
        early, self._early = self._early or (), None
        before = set(self._refused())
        learning.forget(() if known is None else known.apps)
        self._let_go(before - set(self._refused()))
        if known is None:
            questions.keep(())
            self._restored.clear()  # the sets went with the rules
            self.tell(now)
            return
        questions.keep(name for name in questions.names() if known.wants(name))
        listed = list(known.names())
        self._listed = frozenset(listed)
        for name in listed:
            questions.add(name, now)
        for app in known.apps - self._restored:
            self._restore(app, now)
        self._restored |= known.apps
        self._apply(learning.again(now))
        for message in early:
            self._apply(list(self._heard(message, known, now)))

    def _restore(self, app: str, now: float) -> None:
        """Take over what a former process of ours had learned."""
        for version in sets.VERSIONS:
            try:
                held = self._kernel.dump(sets.learned(app, version))
            except KernelError:
                continue
            for key, left in held:
                self._learning.restore(app, key, left / 1000, now)

    def _take(self, message: Message, reply: Reply, now: float) -> None:
        if self._early is not None:
            self._early.append(message)
        elif self._known is not None:
            self._apply(list(self._heard(message, self._known, now)))
        if isinstance(message, Met) and message.number:  # whatever came of it: answers wait
            reply(talk.done(message.number, Status.OPEN))
        elif isinstance(message, Met) and not message.answers:  # a new worker: what is refused already
            for each in talk.refused(self._refused(), refused=True):
                reply(each)

    def _refused(self) -> Iterator[bytes]:
        return (suspect.address for suspect in self._learning.suspects() if suspect.refused)

    def _heard(self, said: Message, known: Known, now: float) -> Iterator[Verdict]:
        if isinstance(said, Met):
            for answer in said.answers:
                if answer.excepted or known.banned(answer.name) is None:
                    yield from self._learning.allow(answer.name, answer.addresses, answer.ttl, now)
        elif isinstance(said, Banned):
            for name in said.names:
                if known.banned(name) is not None:
                    self._questions.add(name, now)
        elif isinstance(said, LookedUp):
            name, ttl, addresses, aliases, _ = said.answer
            if addresses or name in self._listed:
                self._questions.answered(Question(name, said.qtype), ttl, now)
            else:  # devices can ask for names without end: those that lead nowhere take no room
                self._questions.drop(Question(name, said.qtype))
            app = known.banned(name)
            if known.needed(name):
                yield from self._learning.allow(name, addresses, ttl, now, Reason.NEEDED)
            elif app is not None:
                found = Found(app, name, addresses, ttl, known.shared_at((name, *aliases)))
                yield from self._learning.find(found, filter(known.is_own, addresses), now)

    def _apply(self, verdicts: Sequence[Verdict]) -> None:
        """Change the kernel's sets, each in a transaction of its own: one that is not there stops no other."""
        wanted: dict[str, dict[bytes, int]] = {}
        for message in talk.refused({each.address for each in verdicts if each.seconds}, refused=True):
            self._announce(message)  # before it is so: an allowed name that turns up meanwhile waits for us
        for app, address, seconds in verdicts:
            wanted.setdefault(sets.learned(app, 4 if len(address) == 4 else 6), {})[address] = seconds
        for name, some in wanted.items():
            changes: list[Change] = []
            if put := [Element(address, seconds * 1000) for address, seconds in some.items() if seconds]:
                changes.append(Put(name, put))
            if drop := [address for address, seconds in some.items() if not seconds]:
                changes.append(Drop(name, drop))
            try:
                self._kernel.apply(changes)
            except KernelError as error:
                if error.number != errno.ENOENT:  # it comes with the next rules, and everything is said again
                    self._say(f"cannot refuse what was learned: {error}")
        gone = {each.address for each in verdicts if not each.seconds}
        self._let_go(gone - set(self._refused()) if gone else gone)

    def _let_go(self, addresses: set[bytes]) -> None:
        for message in talk.refused(addresses, refused=False):
            self._announce(message)

    def _say(self, what: str, error: Exception | None = None) -> None:
        now = time.monotonic()
        if now >= self._say_at:
            self._say_at = now + _SAY_EVERY
            self._log.error(what, exc_info=error)
