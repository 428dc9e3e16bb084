"""A worker's line to the egress process: messages in whole packets, and a new line to whoever takes its place.

Never waits. What the socket does not take is the caller's to keep or to drop.
"""

import asyncio
import socket
from pathlib import Path
from typing import Final, Protocol

from blocker.egress import talk
from blocker.egress.talk import Message
from blocker.errors import TalkError
from blocker.sinks.region import Region, Word

_AT_ONCE: Final = 256  # messages read per wake-up
_RETRY: Final = 0.25  # seconds between attempts to find the egress process


class Talker(Protocol):
    """Who speaks over the line."""

    def begun(self) -> None:
        """The line is new: what was said over a former one may not have been read, and what was heard is old."""

    def ready(self) -> None:
        """The line takes messages again."""

    def heard(self, message: Message) -> None:
        """Somebody said this."""

    def heard_all(self) -> None:
        """And nothing else for now."""


class Channel:
    """One line."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: Path, region: Region, talker: Talker) -> None:
        """Lead to the socket at `path`, from the loop's next turn on."""
        self._loop = loop
        self._path = path
        self._words = region.words
        self._talker = talker
        self._socket: socket.socket | None = None
        self._closed = False
        self.full = False  # it takes no more for now
        loop.call_soon(self._connect)

    def send(self, message: bytes) -> bool:
        """Send, and tell whether that was possible."""
        if self._socket is None or self.full:
            return False
        try:
            self._socket.send(message)
        except BlockingIOError:
            self.full = True
            self._loop.add_writer(self._socket.fileno(), self._writable)
            return False
        except OSError:  # it has died: `_readable` comes next
            return False
        return True

    def close(self) -> None:
        """Close it for good."""
        self._closed = True
        self._hang_up()

    def _connect(self) -> None:
        if self._closed:
            return
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        sock.setblocking(False)
        try:
            sock.connect(str(self._path))
        except OSError:  # its socket outlives it, so this is rare
            sock.close()
            self._loop.call_later(_RETRY, self._connect)
            return
        self._socket = sock
        self._loop.add_reader(sock.fileno(), self._readable)
        self._talker.begun()

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket, self.full = None, False

    def _writable(self) -> None:
        assert self._socket is not None
        self._loop.remove_writer(self._socket.fileno())
        self.full = False
        self._talker.ready()

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            if self._socket is None:  # whoever heard the last message has closed it
                break
            try:
                message = self._socket.recv(talk.MAX_MESSAGE)
            except BlockingIOError:
                break
            except OSError:
                message = b""
            if not message:
                self._hang_up()
                self._connect()
                break
            try:
                said = talk.read(message)
            except TalkError:
                self._words[Word.ERRORS] += 1
                continue
            self._talker.heard(said)
        self._talker.heard_all()
