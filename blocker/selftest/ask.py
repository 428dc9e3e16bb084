"""Asks one listener as a client does, over UDP and TCP, within bounded time; decides nothing."""

import errno
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from blocker.config import Endpoint

_LARGEST: Final = 65535  # octets of a message

Address = IPv4Address | IPv6Address


def reachable(end: Endpoint) -> Endpoint:
    """Return where the listener at `end` can be asked from this machine."""
    if not end.address.is_unspecified:
        return end
    return Endpoint(ip_address("127.0.0.1" if end.address.version == 4 else "::1"), end.port)


def over_udp(
    end: Endpoint, source: Address | None, packets: Sequence[bytes], timeout: float, ports: Sequence[int] = (0,)
) -> list[list[bytes | None]]:
    """Return what comes back for each of `packets` within `timeout` seconds, a row for each of our `ports`.

    The kernel gives all that comes from one port to the same worker. Ports that are taken are left out, 0 is any; what
    is lost is sent once more. Raises OSError when nothing can be sent from `source`.
    """
    with ExitStack() as stack:
        found = {stack.enter_context(sock): dict[bytes, bytes]() for sock in _udp(end, source, ports)}
        selector = stack.enter_context(selectors.DefaultSelector())
        for sock in found:
            selector.register(sock, selectors.EVENT_READ)
        for share in (0.5, 0.5):
            deadline = time.monotonic() + timeout * share
            for sock, replies in found.items():
                for packet in packets:
                    if packet[:2] not in replies:
                        sock.send(packet)
            while any(len(replies) < len(packets) for replies in found.values()):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                for key, _ in selector.select(left):
                    assert isinstance(key.fileobj, socket.socket)
                    reply = key.fileobj.recv(_LARGEST)
                    found[key.fileobj].setdefault(reply[:2], reply)
    return [[replies.get(packet[:2]) for packet in packets] for replies in found.values()]


def over_tcp(end: Endpoint, source: Address | None, packets: Sequence[bytes], timeout: float) -> list[bytes | None]:
    """Return what comes back for each of `packets`, all on one connection, within `timeout` seconds.

    Raises OSError when there is no connection from `source`.
    """
    found: dict[bytes, bytes] = {}
    deadline = time.monotonic() + timeout
    with _socket(end, source, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect((str(end.address), end.port))
        sock.sendall(b"".join(len(packet).to_bytes(2) + packet for packet in packets))
        waiting = b""
        while len(found) < len(packets) and (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                data = sock.recv(_LARGEST)
            except TimeoutError:
                break
            if not data:
                break
            waiting += data
            while len(waiting) >= 2 and len(waiting) >= 2 + int.from_bytes(waiting[:2]):
                size = int.from_bytes(waiting[:2])
                reply, waiting = waiting[2 : 2 + size], waiting[2 + size :]
                found.setdefault(reply[:2], reply)
    return [found.get(packet[:2]) for packet in packets]


def _udp(end: Endpoint, source: Address | None, ports: Sequence[int]) -> Iterator[socket.socket]:
    for port in ports:
        try:
            sock = _socket(end, source, socket.SOCK_DGRAM, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and len(ports) > 1:
                continue
            raise
        sock.connect((str(end.address), end.port))
        yield sock


def _socket(end: Endpoint, source: Address | None, kind: socket.SocketKind, port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if end.address.version == 6 else socket.AF_INET, kind)
    if source is not None:
        try:
            sock.bind((str(source), port))
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"no query can be sent from {source}: {error.strerror}") from error
    return sock
