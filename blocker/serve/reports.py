"""The process that hears what the kernel's rules saw, and records it as the attempts that it is.

    kernel -> NFLOG -> verdict -> region -> attempt log, evidence, metrics

Reads what strangers sent for a living, and holds no privilege: its socket was subscribed before they were dropped.
"""

import errno
import signal
import socket
import threading
from typing import Final

import setproctitle

from blocker import config as configuration
from blocker.config import Config
from blocker.egress import reports
from blocker.errors import BlockerError, KernelError
from blocker.serve import confine, priority
from blocker.serve.excepted import Standing
from blocker.serve.generation import Generation
from blocker.serve.link import Link
from blocker.sinks import companions, oplog
from blocker.sinks.region import Region, Word

_LARGEST: Final = 1 << 18  # octets that the kernel brings at once
_BEAT: Final = 1.0  # seconds between signs of life


def run(config: Config, supervisor: socket.socket, subscribed: socket.socket, region: Region) -> int:
    """Be the process: the body of a forked child. Returns its exit status."""
    setproctitle.setproctitle("blocker: reports")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when
    priority.give_way()
    confine.confine("", confine.readable(configuration.state_dir(config)))
    return Reports(Link(supervisor), subscribed, region).serve()


class Reports:
    """Everything this process does, tied together."""

    def __init__(self, link: Link, subscribed: socket.socket, region: Region) -> None:
        """Record in `region` what comes by the socket `subscribed`."""
        self._link = link
        self._socket = subscribed
        self._region = region
        self._log = oplog.get("reports")
        self._generation: Generation | None = None
        self._force: reports.InForce | None = None
        self._known = threading.Event()  # there is one
        self._next = -1  # number of the next report; -1: any

    def serve(self) -> int:
        """Serve until the supervisor says stop, or is gone."""
        self._region.report = lambda error: self._log.error("a bug of ours", exc_info=error)
        companions.begin(self._region)
        threading.Thread(target=self._hear, name="reports", daemon=True).start()
        for event in self._link.events():
            if event["event"] == "stop":
                break
            if event["event"] == "generation":
                self._adopt(Standing.of(event["standing"]))
        return 0

    def _adopt(self, standing: Standing) -> None:
        try:
            opened = self._generation = Generation.open(standing, self._generation)
            self._force = reports.InForce(opened.clients, opened.index, opened.basis)
            self._known.set()
        except BlockerError as error:
            self._log.error("attempts go on to be judged by the former lists", why=str(error))

    def _hear(self) -> None:
        self._socket.settimeout(_BEAT)
        while not self._known.wait(_BEAT):  # what comes meanwhile waits in the socket
            companions.beat(self._region)
        while True:
            companions.beat(self._region)
            try:
                self._take(self._socket.recv(_LARGEST))
            except TimeoutError:
                continue
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # that much is counted by the gap in the numbers
                    self._log.error("reports cannot be read", why=str(error))
                    return
            except KernelError as error:
                self._log.error("a report cannot be read", why=str(error))
            except Exception as error:  # noqa: BLE001 a bug of ours must not end the thread
                self._region.bug(error)

    def _take(self, wire: bytes) -> None:
        force = self._force
        assert force is not None
        for report in reports.read(wire):
            if 0 <= self._next < report.number:
                self._region.words[Word.DROPPED] += report.number - self._next
            self._next = report.number + 1
            if not reports.record(self._region, report, force):
                self._region.words[Word.DROPPED] += 1
