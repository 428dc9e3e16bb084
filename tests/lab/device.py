"""What a device does to get past us, and how it went for it: passed, refused at once, or left hanging."""

import errno
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dnslib import DNSRecord

from tests.egress.namespace import Namespace
from tests.lab.servers import PASSED

PASS: Final = "passed"
REFUSED: Final = "refused"
HANG: Final = "hang"
PROMPT: Final = 2.0  # seconds within which a refusal must be heard
_PATIENCE: Final = 3.0
_NO: Final = {
    errno.EPERM,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.EACCES,
    errno.ENETUNREACH,
    errno.EPIPE,
}


@dataclass(frozen=True)
class Went:
    """How an attempt ended."""

    how: str
    seconds: float
    said: bytes = b""

    @property
    def visibly_refused(self) -> bool:
        return self.how == REFUSED and self.seconds < PROMPT


class Device:
    """A device in a namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def new_socket(self, address: str, kind: socket.SocketKind, source: str | None = None) -> socket.socket:
        """Return a socket that stays in the device, for talking with `address` from its address `source`."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = self.namespace.run(lambda: socket.socket(family, kind))
        sock.settimeout(_PATIENCE)
        if source is not None:
            sock.bind((source, 0))
        return sock

    def connected(self, address: str, port: int, source: str | None = None) -> socket.socket:
        """Return a connection. Raises OSError."""
        sock = self.new_socket(address, socket.SOCK_STREAM, source)
        try:
            sock.connect((address, port))
        except OSError:
            sock.close()
            raise
        return sock

    def tcp(self, address: str, port: int, message: bytes = b"hello", source: str | None = None) -> Went:
        """Connect, say something and hear the answer."""

        def talk() -> bytes:
            with self.connected(address, port, source) as sock:
                sock.sendall(message)
                return sock.recv(4096)

        return _went(talk)

    def tls(self, address: str, port: int, name: str, source: str | None = None) -> Went:
        """Shake hands for `name`, say something and hear the answer."""

        def talk() -> bytes:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with (
                self.connected(address, port, source) as sock,
                context.wrap_socket(sock, server_hostname=name) as secure,
            ):
                secure.sendall(b"hello")
                return secure.recv(4096)

        return _went(talk)

    def udp(self, address: str, port: int, message: bytes = b"hello", source: str | None = None) -> Went:
        """Send a datagram and hear the answer."""

        def talk() -> bytes:
            with self.new_socket(address, socket.SOCK_DGRAM, source) as sock:
                sock.connect((address, port))
                sock.send(message)
                return sock.recv(4096)

        return _went(talk)

    def ask(
        self, resolver: str, name: str, kind: str = "A", *, tcp: bool = False, port: int = 53, source: str | None = None
    ) -> list[str]:
        """Return what a resolver answers: addresses, or the rcode. Raises OSError."""
        query = bytes(DNSRecord.question(name, kind).pack())
        went = (
            self.tcp(resolver, port, len(query).to_bytes(2) + query, source)
            if tcp
            else self.udp(resolver, port, query, source)
        )
        if went.how != PASS:
            return [went.how]
        reply = DNSRecord.parse(went.said[2:] if tcp else went.said)
        return sorted(str(each.rdata) for each in reply.rr) or [f"rcode {reply.header.rcode}"]


def _went(talk: Callable[[], bytes]) -> Went:
    began = time.monotonic()
    try:
        said = talk()
    except TimeoutError:
        return Went(HANG, time.monotonic() - began)
    except ssl.SSLError:
        return Went(REFUSED, time.monotonic() - began)
    except OSError as error:
        if error.errno not in _NO:
            raise
        return Went(REFUSED, time.monotonic() - began)
    # An end instead of an answer: somebody closed the connection.
    return Went(PASS if said else REFUSED, time.monotonic() - began, said.removeprefix(PASSED) or said)
