"""The egress process's side of the gate: opens the kernel's sets to what workers are about to tell their clients.

A thread of its own with a netlink socket of its own: an answer waits, whatever else the process does. All that has
arrived goes into one transaction, so that the more there is, the less each costs. What the sets hold survives this
process: a new one serves at once, and reads back beside that what its bounds must count.
"""

import contextlib
import errno
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

from blocker.config import Gating
from blocker.egress import elements, sets, talk
from blocker.egress.book import Book, Pair
from blocker.egress.elements import Change, Drop, Element, Put
from blocker.egress.neighbours import Neighbours
from blocker.egress.questions import Question
from blocker.egress.talk import Ask, Asks, Message, Met, Status
from blocker.errors import KernelError, TalkError
from blocker.sinks import oplog
from blocker.sinks.region import Region, Word

_AT_ONCE: Final = 256  # messages of one worker in one transaction
_STEP: Final = 0.5  # seconds between looks at what has ended
_EXPIRE: Final = 200  # devices per look: well below a millisecond
_EARLY: Final = 4096  # requests that wait for the first rules; workers give up within seconds
_SAY_EVERY: Final = 60.0  # seconds between two log lines about the same trouble
_VERSION: Final = {4: 4, 16: 6}  # octets of an address: IP version

Request = tuple[socket.socket, Asks]
Reply = Callable[[bytes], None]  # to whoever said something; never waits


class Kernel(Protocol):
    """What netlink.Netlink does."""

    def apply(self, changes: Sequence[Change]) -> None: ...
    def holds(self, name: str, key: bytes) -> bool: ...
    def dump(self, name: str) -> list[Element]: ...


class Devices(Protocol):
    """What rtnetlink.Rtnetlink does."""

    socket: socket.socket
    known: Neighbours

    def read(self) -> list[bytes]: ...


class Gatekeeper:
    """Serves the workers that come to one socket."""

    def __init__(
        self,
        listener: socket.socket,
        kernel: Kernel,
        reader: Kernel,
        devices: Devices,
        config: Gating,
        region: Region,
        learn: Callable[[Message, Reply], None] = lambda _message, _reply: None,
    ) -> None:
        """`listener` takes the workers' packets; it outlives us, so that they need not wait for the next of us.

        `kernel` is for the thread, `reader` for the one that reads back; `learn` takes what workers say of names.
        """
        self._kernel = kernel
        self._reader = reader
        self._devices = devices
        self._words = region.words
        self._log = oplog.get("gate")
        self._book = Book(config.per_device, config.pairs)
        self._listener = listener
        self._workers: set[socket.socket] = set()
        self._learn = learn
        self._teachers: list[socket.socket] = []  # who can be asked to look names up, the next one first
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        for sock in (listener, devices.socket, self._woken):
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ)
        self._wishes: deque[Callable[[], None]] = deque()  # of other threads, done one at a time between answers
        self._latest: dict[int, tuple[Pair, float]] = {}  # by octets: what the kernel must hold, and until when
        self._early: list[Request] | None = []  # what there are no sets for yet; None: rules have been made
        self._stopping = False
        self._say_at = 0.0
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)

    def start(self) -> None:
        """Start the thread, and another that reads what the sets hold."""
        self._thread.start()
        threading.Thread(target=self.restore, name="restore", daemon=True).start()

    def adopt(self, config: Gating) -> None:
        """Go on with another configuration, the rules having been made; from any thread."""
        self._wishes.append(partial(self._adopt, config))
        self._wake()

    def announce(self, message: bytes) -> None:
        """Tell all workers that learn, from any thread."""
        for sock in list(self._teachers):
            _send(sock, message)

    def look_up(self, question: Question) -> bool:
        """Have a worker look a name up, and tell whether there was one that could; from any thread."""
        for _ in range(len(self._teachers)):
            with contextlib.suppress(OSError, IndexError):  # gone meanwhile
                sock = self._teachers.pop(0)
                self._teachers.append(sock)
                sock.send(talk.look_up(*question))
                return True
        return False

    def stop(self) -> None:
        """End the thread; what the sets hold stays."""
        self._stopping = True
        self._wake()
        self._thread.join()
        self.close()

    def close(self) -> None:
        """Close what is ours; the listener is for whoever comes next."""
        self._selector.close()
        for sock in (*self._workers, self._woken, self._waker):
            sock.close()

    def restore(self) -> None:
        """Read back what the sets hold, which takes seconds where that is much; from any thread."""
        for size, version in _VERSION.items():
            try:
                held = self._reader.dump(sets.sized(sets.GATE, version))
            except KernelError as error:
                if error.number != errno.ENOENT:  # without a set it holds nothing: no rules have been applied yet
                    self._say(f"cannot read what the gate holds: {error}")
                continue
            now = time.monotonic()
            pairs = [(Pair(key[:size], key[size : 2 * size]), now + left / 1000) for key, left in held]
            self._wishes.extend(partial(self._take_over, some) for some in _batches(pairs))
            self._wake()

    def step(self, timeout: float | None = None) -> None:
        """Serve what has arrived, having waited for it up to `timeout` seconds."""
        requests: list[Request] = []
        for key, _ in self._selector.select(timeout):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            if sock is self._woken:
                sock.recv(4096)
            elif sock is self._listener:
                self._accept()
            elif sock is self._devices.socket:
                self._met(self._devices.read())
            else:
                requests += self._read(sock)
        if requests:
            self._serve(requests)
        self._words[Word.GATE_PAIRS] = self._book.pairs

    def tend(self, now: float) -> None:
        """Forget what has ended, and notice when somebody has emptied the sets or made them anew."""
        self._book.expire(now, _EXPIRE)
        for size, (pair, until) in list(self._latest.items()):
            if until <= now + _STEP:
                del self._latest[size]
            elif not self._kernel.holds(sets.sized(sets.GATE, _VERSION[size]), elements.concatenated(*pair)):
                self._log.warning("the gate's sets were emptied; devices ask again")
                self._book.clear()
                self._latest.clear()
                self._tell(talk.forget_all())
                return

    def _run(self) -> None:
        tend_at = 0.0
        while not self._stopping:
            try:
                self.step(0 if self._wishes else _STEP)
                if self._wishes:
                    self._wishes.popleft()()
                if (now := time.monotonic()) >= tend_at:
                    tend_at = now + _STEP
                    self.tend(now)
            except KernelError as error:
                self._say(str(error))
            except Exception as error:  # noqa: BLE001 a bug of ours: answers must not wait for a thread that is dead
                self._words[Word.ERRORS] += 1
                self._say("a bug of ours", error)

    def _adopt(self, config: Gating) -> None:
        self._book.per_device, self._book.most = config.per_device, config.pairs
        early, self._early = self._early, None
        if early:
            self._serve(early)
        self.tend(time.monotonic())

    def _take_over(self, pairs: Sequence[tuple[Pair, float]]) -> None:
        """Count in what a former process has opened."""
        gone: dict[Pair, int] = {}
        for pair, until in pairs:
            self._book.open(pair, until)
            gone |= dict.fromkeys(self._book.surplus(pair.device), 0)
        self._make(gone)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # gone already, or no descriptor left: the listener stays readable
            sock, _ = self._listener.accept()
            sock.setblocking(False)
            self._workers.add(sock)
            self._selector.register(sock, selectors.EVENT_READ)

    def _read(self, sock: socket.socket) -> list[Request]:
        found: list[Request] = []
        for _ in range(_AT_ONCE):
            try:
                message = sock.recv(talk.MAX_MESSAGE)
            except OSError:
                break
            if not message:  # the worker is gone
                self._selector.unregister(sock)
                self._workers.remove(sock)
                if sock in self._teachers:
                    self._teachers.remove(sock)
                sock.close()
                break
            try:
                said = talk.read(message)
            except TalkError as error:
                self._words[Word.ERRORS] += 1
                self._say(str(error))
                continue
            if isinstance(said, Asks):
                found.append((sock, said))
                continue
            if isinstance(said, Met) and sock not in self._teachers:
                self._teachers.append(sock)
            self._learn(said, partial(_send, sock))
        return found

    def _serve(self, requests: Sequence[Request]) -> None:
        """Open what is asked in one transaction; if that fails, each request in one of its own."""
        try:
            self._open([ask for _, asks in requests for ask in asks.asks])
        except KernelError as error:
            if len(requests) > 1:
                for request in requests:
                    self._serve([request])
                return
            if error.number == errno.ENOENT and self._early is not None and len(self._early) < _EARLY:
                self._early += requests
                return
            self._say(f"cannot open the gate: {error}")
            status = Status.FULL if error.number == errno.ENFILE else Status.FAILED
        else:
            status = Status.OPEN
        for sock, asks in requests:
            _send(sock, talk.done(asks.number, status))

    def _open(self, asks: Sequence[Ask]) -> None:
        now = time.monotonic()
        known = self._devices.known
        wanted: dict[Pair, int] = {}  # seconds; 0: it has to go
        for client, seconds, addresses in asks:
            for size in _VERSION:
                told = [address for address in addresses if len(address) == size]
                # Of the other IP version it is kept for the client too: its address of that version may turn up.
                for device in dict.fromkeys([client, *known.of(client, size)]) if told else ():
                    self._want(device, told, seconds, now, wanted)
        self._make(wanted)

    def _met(self, addresses: Sequence[bytes]) -> None:
        """Let devices reach from an address that turned up what they were told at another."""
        now = time.monotonic()
        wanted: dict[Pair, int] = {}
        for device in addresses:
            for donor in self._devices.known.donors(device):
                for address, until in list(self._book.of(donor)):
                    if len(address) == len(device) and until > now:
                        self._want(device, [address], int(until - now) + 1, now, wanted)
        try:
            self._make(wanted)
        except KernelError as error:
            self._say(f"cannot open the gate: {error}")

    def _want(
        self, device: bytes, addresses: Sequence[bytes], seconds: int, now: float, wanted: dict[Pair, int]
    ) -> None:
        """Note in the book, and in `wanted` for the kernel, what `device` may reach, and what makes room for it."""
        for address in addresses:
            pair = Pair(device, address)
            if self._book.open(pair, now + seconds) or pair in wanted:
                wanted[pair] = max(seconds, wanted.get(pair, 0))
        if gone := self._book.surplus(device):
            wanted |= dict.fromkeys(gone, 0)
            self._words[Word.GATE_EVICTED] += len(gone)
            for message in talk.forget({pair.device for pair in gone}):
                self._tell(message)

    def _make(self, wanted: dict[Pair, int]) -> None:
        try:
            self._kernel.apply(_changes(wanted))
        except KernelError:
            self._book.close(pair for pair, seconds in wanted.items() if seconds)
            raise
        now = time.monotonic()
        for pair, seconds in wanted.items():
            size = len(pair.device)
            if seconds and size == len(pair.address):
                self._latest[size] = pair, now + seconds
            elif self._latest.get(size, (None, 0))[0] == pair:
                del self._latest[size]

    def _tell(self, message: bytes) -> None:
        for sock in self._workers:
            _send(sock, message)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._waker.send(b"\0")

    def _say(self, what: str, error: Exception | None = None) -> None:
        now = time.monotonic()
        if now >= self._say_at:
            self._say_at = now + _SAY_EVERY
            self._log.error(what, exc_info=error)


def _send(sock: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):  # it is gone, or reads too slowly: what waits there goes on by itself
        sock.send(message)


def _batches(pairs: Sequence[tuple[Pair, float]]) -> Iterator[Sequence[tuple[Pair, float]]]:
    return (pairs[at : at + _AT_ONCE] for at in range(0, len(pairs), _AT_ONCE))


def _changes(wanted: dict[Pair, int]) -> list[Change]:
    """Return what is to be changed for pairs to be open for so many seconds, or not at all."""
    found: list[Change] = []
    for size, version in _VERSION.items():
        name = sets.sized(sets.GATE, version)
        mine = {pair: each for pair, each in wanted.items() if len(pair.device) == len(pair.address) == size}
        if put := [Element(elements.concatenated(*pair), each * 1000) for pair, each in mine.items() if each]:
            found.append(Put(name, put))
        if drop := [elements.concatenated(*pair) for pair, each in mine.items() if not each]:
            found.append(Drop(name, drop))
    return found
