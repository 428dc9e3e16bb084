"""The control process's line to the supervisor: JSON lines, events from there and commands to there."""

import contextlib
import json
import os
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any, Final

Message = dict[str, Any]

_STEP: Final = 1.0  # seconds between looks whether the supervisor lives
_LARGEST: Final = 1 << 20  # octets read at once; a message of a packet socket must fit
_CLOSED: Final[Message] = {"ok": False, "problems": ["the supervisor is gone"]}


class Link:
    """A connected socket to the supervisor. One thread reads `events`, any may ask."""

    def __init__(self, sock: socket.socket) -> None:
        """Talk over `sock`, packets or stream."""
        self._socket = sock
        self._socket.settimeout(_STEP)
        self._parent = os.getppid()
        self._lock = threading.Lock()
        self._asking: dict[int, queue.SimpleQueue[Message]] = {}
        self._asked = 0
        self._open = True

    def events(self) -> Iterator[Message]:
        """Yield the supervisor's events until it is gone; replies go to those who asked."""
        waiting = b""
        while data := self._receive():
            *lines, waiting = (waiting + data).split(b"\n")
            for line in filter(None, lines):
                message = _message(line)
                if "event" in message:
                    yield message
                else:
                    self._reply(message)
        with self._lock:
            self._open = False
            askers, self._asking = self._asking, {}
        for asker in askers.values():
            asker.put(_CLOSED)

    def inquire(self) -> None:
        """Have the supervisor say once more what is in force, as an event; for one who began later than others."""
        with self._lock, contextlib.suppress(OSError):  # it is gone: `events` ends
            self._socket.sendall(b'{"command":"generation"}\n')

    def ask(self, command: str, timeout: float) -> Message:
        """Ask for a reload, of everything or of the `exceptions`; return the reply, `ok` and perhaps `problems`.

        Waits `timeout` seconds at the most.
        """
        answer: queue.SimpleQueue[Message] = queue.SimpleQueue()
        with self._lock:
            if not self._open:
                return _CLOSED
            self._asked += 1
            number = self._asked
            try:
                self._socket.sendall(json.dumps({"command": command, "ask": number}).encode() + b"\n")
            except OSError as error:
                return {"ok": False, "problems": [f"the supervisor cannot be asked: {error}"]}
            self._asking[number] = answer
        try:
            return answer.get(timeout=timeout)
        except queue.Empty:
            return {"ok": False, "problems": [f"the supervisor gave no reply within {timeout:g} s; see the log"]}
        finally:
            with self._lock:
                self._asking.pop(number, None)

    def reload(self, timeout: float) -> Message:
        """Ask for a reload of everything, as `ask` does."""
        return self.ask("reload", timeout)

    def _receive(self) -> bytes:
        """Return what the supervisor says next; nothing when it is gone."""
        while True:
            try:
                return self._socket.recv(_LARGEST)
            except TimeoutError:
                if os.getppid() != self._parent:  # its end may live on in other children
                    return b""
            except OSError:
                return b""

    def _reply(self, message: Message) -> None:
        number = message.pop("ask", None)
        with self._lock:
            asker = self._asking.get(number) if isinstance(number, int) else None
        if asker is not None:
            asker.put(message)


def _message(line: bytes) -> Message:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"event": "unreadable", "line": line[:200].decode(errors="replace")}
