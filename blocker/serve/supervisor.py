"""Who runs, and who is replaced. Holds the sockets, no threads, and serves nothing itself.

    supervisor --fork--> worker 0..N-1   DNS
               --fork--> companions      control (HTTP, logs, control socket), and those of beside.py
               --fork--> preparer        reads configuration and lists, compiles; lives for seconds

Signal handlers only set a flag; the loop does the work. A reload changes nothing until the preparer has
succeeded; then each worker swaps its generation on its own.
"""

import contextlib
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import setproctitle

from blocker import config as configuration
from blocker.config import Config, Process
from blocker.serve import beside, capabilities, control, preparer, priority, sockets, statefile, worker
from blocker.serve.companion import Companion
from blocker.serve.reloads import Base, Reloads
from blocker.serve.slot import Slot
from blocker.serve.systemd import Systemd
from blocker.sinks import oplog, privacy
from blocker.sinks.region import Region, Word

_STEP: Final = 0.25  # seconds between looks at pulses and clocks
_TRY_AGAIN: Final = 2.0  # seconds until a process that could not be started is tried again
_GRACE: Final = 8.0  # seconds workers may take to drain

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)


class Supervisor:
    """The parent of all processes."""

    def __init__(self, path: Path | None, overrides: Mapping[str, object], config: Config) -> None:
        self._path = path
        self._overrides = overrides
        self._config = config
        self._log = oplog.get("supervisor")
        self._systemd = Systemd()
        self._selector = selectors.DefaultSelector()
        self._slots: list[Slot] = []
        self._signals: set[int] = set()
        self._companions: list[Companion] = []
        self._reloads = Reloads(self._selector, self._slots, self._start_preparer, self._tell, self._systemd)
        self._ready = False
        self._stopping = False
        self._stop_by = 0.0  # monotonic seconds
        self._feed_at = 0.0  # monotonic seconds: when the watchdog wants its next sign of life
        self._status = 0
        self._woken, self._waker = socket.socketpair()  # signals arrive as octets, so that they end a wait

    def run(self) -> int:
        """Serve until told to stop; return the exit status. Raises BlockerError when it cannot start."""
        setproctitle.setproctitle("blocker: supervisor")
        config = self._config
        count = configuration.workers(config)
        folder = configuration.state_dir(config)
        _raise_descriptor_limit()
        statefile.make(folder)
        handed = self._systemd.sockets
        listen = config.listen if "listen" in config.model_fields_set else sockets.present(config.listen)
        shares = sockets.handed_over(handed, count) if handed else sockets.bind(listen, count)
        control_path = configuration.control_socket(config)
        self._companions.append(self._control(config, sockets.listen_control(control_path)))
        self._companions += beside.companions(config)
        self._companions.append(beside.relatives(folder, lambda: [slot.region for slot in self._slots]))
        self._companions.append(beside.selftest(folder, sockets.addresses(shares)))
        gate = configuration.egress_socket(config) if config.egress.enabled else None
        self._slots.extend(Slot(number, Region(), share._replace(gate=gate)) for number, share in enumerate(shares))
        owned = [folder, control_path, configuration.egress_socket(config)]
        self._start_early(config.process, [path for path in owned if path.exists()])
        privacy.shown(config.log)  # refuses a key that our account cannot read, before anything starts
        self._catch_signals()
        try:
            self._reloads.first()
            gc.collect()
            gc.freeze()  # what is there now is shared with the children: let no collection copy its pages
            self._start_companions(time.monotonic())
            for slot in self._slots:
                self._start(slot)
            while not (self._stopping and self._gone()):
                self._step()
        finally:
            with contextlib.suppress(OSError):  # its folder may be closed to the account that we became
                control_path.unlink(missing_ok=True)
        self._end_companions()
        return self._status

    # The loop.

    def _step(self) -> None:
        for key, _ in self._selector.select(_STEP):
            handle: Callable[[Any], None] = key.data
            handle(key.fileobj)
        now = time.monotonic()
        self._look_at_pulses(now)  # before the dead are counted: one that had served is not one that could not
        self._handle_signals()
        now = time.monotonic()  # again: a worker that was found dead just now may start at once, not a step later
        self._reloads.look(now)
        if not self._stopping:
            for slot in self._slots:
                if not slot.pid and now >= slot.start_at:
                    self._start(slot)
            self._start_companions(now)
        elif now >= self._stop_by:
            for slot in self._slots:
                slot.kill(signal.SIGKILL)

    def _catch_signals(self) -> None:
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda number, _frame: self._signals.add(number))
        self._selector.register(self._woken, selectors.EVENT_READ, lambda sock: sock.recv(4096))

    def _handle_signals(self) -> None:
        caught, self._signals = self._signals, set()
        if caught & {signal.SIGTERM, signal.SIGINT}:
            self._stop()  # first: who told us may have told the children too, and they are no casualties then
        if signal.SIGCHLD in caught:
            self._reap()
        if signal.SIGHUP in caught and not self._stopping:
            self._reloads.begin()
        if signal.SIGUSR1 in caught:
            self._tell({"event": "reopen"})

    def _look_at_pulses(self, now: float) -> None:
        for slot in self._slots:
            if not self._stopping and slot.check_pulse(now):
                self._log.error("worker is silent; aborted it", worker=slot.number, pid=slot.pid)
        lively = all(slot.ready for slot in self._slots)
        if lively and not self._ready:
            self._ready = True
            self._systemd.ready()
            self._log.info(
                "serving",
                listen=", ".join(map(str, sockets.addresses([self._slots[0].share]))),
                workers=len(self._slots),
                lists=len(self._reloads.current["apps"]),
                metrics=str(self._config.metrics.listen or "none"),
            )
        if lively and self._systemd.watchdog and now >= self._feed_at:
            self._feed_at = now + self._systemd.watchdog
            self._systemd.alive()

    # Children.

    def _start(self, slot: Slot) -> None:
        try:
            self._fork_worker(slot)
        except OSError as error:  # no process or descriptor left: those that serve go on
            self._log.error("cannot start a worker; trying again", worker=slot.number, why=str(error))
            slot.start_at = time.monotonic() + _TRY_AGAIN

    def _fork_worker(self, slot: Slot) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        standing, told = self._reloads.standing, self._reloads.told
        words = slot.region.words
        words[Word.READY] = 0
        words[Word.PULSE] = time.monotonic_ns()
        pid = _fork()
        if not pid:
            ours.close()
            self._become(
                lambda: worker.main(slot.region, slot.share, theirs, standing, told, slot.number, len(self._slots)),
                keep=(theirs, *slot.share.udp, *slot.share.tcp),
            )
        theirs.close()
        ours.setblocking(False)
        slot.pid, slot.channel, slot.aborted = pid, ours, 0.0
        self._selector.register(ours, selectors.EVENT_READ, lambda sock: self._hear_worker(slot, sock))

    def _control(self, config: Config, listener: socket.socket) -> Companion:
        """Return the companion that keeps HTTP, logs and the control socket, with its sockets bound."""
        http = sockets.listen_tcp(config.metrics.listen) if config.metrics.listen is not None else None
        return Companion(
            "control",
            lambda channel: control.run(
                [slot.region for slot in self._slots],
                config,
                channel,
                http,
                listener,
                beside.regions(self._companions),
            ),
            (listener, *([http] if http else [])),
        )

    def _start_companions(self, now: float) -> None:
        for companion in self._companions:
            if companion.due(now, self._reloads.current, ready=self._ready):
                self._start_companion(companion)

    def _start_early(self, process: Process, owned: Sequence[Path]) -> None:
        """Start who keeps privileges, then give all of them up; `owned` are given to our account."""
        early = [companion for companion in self._companions if companion.early]
        for companion in early:
            self._fork_companion(companion)
        priority.allow_prompt()
        sockets.drop_privileges(process, owned)
        if early or self._config.egress.watch.interfaces:  # as root too: nobody else may touch the kernel's rules
            capabilities.limit(capabilities.held() - capabilities.EGRESS)

    def _start_companion(self, companion: Companion) -> None:
        try:
            self._fork_companion(companion)
        except OSError as error:
            self._log.error("cannot start a process; trying again", process=companion.name, why=str(error))
            companion.start_at = time.monotonic() + _TRY_AGAIN

    def _fork_companion(self, companion: Companion) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = _fork()
        if not pid:
            ours.close()
            self._become(lambda: companion.main(theirs), keep=(theirs, *companion.keep))
        theirs.close()
        ours.setblocking(False)
        companion.pid, companion.channel = pid, ours
        self._selector.register(ours, selectors.EVENT_READ, lambda sock: self._hear_companion(companion, sock))
        self._reloads.tell()

    def _become(self, main: Callable[[], int], keep: tuple[socket.socket, ...]) -> None:
        """Be a child: forget the parent's ways and run `main`. Never returns."""
        status = 70  # EX_SOFTWARE, unless main says otherwise
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all: the parent tells us
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            self._selector.close()
            kept = {sock.fileno() for sock in keep}
            others: list[socket.socket | None] = [self._woken, self._waker]
            for companion in self._companions:
                others += [companion.channel, *companion.keep]
            for slot in self._slots:
                others += [slot.channel, *slot.share.udp, *slot.share.tcp]
            for sock in others:
                if sock is not None and sock.fileno() not in kept:
                    sock.close()
            status = main()
        except BaseException as error:  # noqa: BLE001 a child must never run on in its parent's code
            self._log.error("process failed", exc_info=error)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            for slot in self._slots:
                if slot.pid == pid:
                    self._died(slot, code)
            for companion in self._companions:
                if companion.pid == pid:
                    companion.died(time.monotonic(), code)
                    companion.hang_up(self._selector)
                    if companion.early and not self._stopping:
                        cure = "restart the blocker"
                        self._log.error("process died, and nobody may replace it", process=companion.name, cure=cure)
                    elif not self._stopping and companion.wanted(self._reloads.current):
                        self._log.error("process died; starting another", process=companion.name, status=code)

    def _died(self, slot: Slot, code: int) -> None:
        was_ready = slot.ready
        slot.died(time.monotonic())
        slot.hang_up(self._selector)
        self._reloads.left(slot)
        if self._stopping:
            if code and self._ready:
                self._log.error("worker died before all was answered", worker=slot.number, status=code)
            self._status = self._status or (1 if code else 0)
        elif not was_ready and not self._ready:
            self._log.error("a worker died before it served; not starting", worker=slot.number, status=code)
            self._status = 1
            self._stop()
        else:
            self._log.error("worker died; starting another", worker=slot.number, status=code)
            if code == worker.UNOPENED:
                self._reloads.mend(time.monotonic())

    def _gone(self) -> bool:
        return not any(slot.pid for slot in self._slots)

    def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._stop_by = time.monotonic() + _GRACE
        self._systemd.stopping()
        self._log.info("stopping: answering what is under way")
        for slot in self._slots:
            slot.tell({"stop": True})

    def _end_companions(self) -> None:
        """Let the companions do what is left, and wait for them.

        If who writes the logs was killed, another one does: what is in the journals has been answered.
        """
        self._tell({"event": "stop"})
        deadline = time.monotonic() + _GRACE
        writer = self._companions[0]
        while time.monotonic() < deadline:
            if not writer.pid and writer.crashed:
                self._start_companion(writer)
                writer.tell({"event": "stop"})
            if not any(companion.pid for companion in self._companions):
                break
            self._selector.select(_STEP)
            self._reap()
        for companion in self._companions:
            if companion.pid:
                os.kill(companion.pid, signal.SIGKILL)
                os.waitpid(companion.pid, 0)

    # Talking.

    def _start_preparer(self, number: int, before: Base) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair()
        pid = _fork()
        if not pid:
            if before is None:
                priority.give_way()  # first of all: until then it takes turns with the workers
                work = preparer.everything(self._path, self._overrides, number, self._reloads.current)
            else:  # read in no time, and somebody waits for them
                work = preparer.exceptions(number, before)
            ours.close()
            self._become(lambda: preparer.main(theirs, *work), keep=(theirs,))
        theirs.close()
        return pid, ours

    def _hear_worker(self, slot: Slot, channel: socket.socket) -> None:
        try:
            message = channel.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:  # killed before it had read what we told it
            message = b""
        if message:
            self._reloads.heard(slot, json.loads(message))
        else:  # it is dying: SIGCHLD comes next
            slot.hang_up(self._selector)

    def _tell(self, message: Mapping[str, object]) -> None:
        for companion in self._companions:
            companion.tell(message)

    def _hear_companion(self, companion: Companion, channel: socket.socket) -> None:
        try:
            message = channel.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:  # as above
            message = b""
        if not message:
            companion.hang_up(self._selector)
        elif not self._stopping:
            command = json.loads(message)
            if command.get("command") in ("reload", "exceptions"):
                ask = command.get("ask")
                self._reloads.begin(
                    lambda reply: companion.tell({**reply, "ask": ask}), amends=command["command"] == "exceptions"
                )
            elif command.get("command") == "generation":
                self._reloads.tell()


def _fork() -> int:
    """Fork; what is still to be written is written once."""
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()


def _raise_descriptor_limit() -> None:
    """Take all the descriptors we may have: upstream ports alone are hundreds under load."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
