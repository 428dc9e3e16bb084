"""A device, a gateway and an internet, each a namespace of a test's own: `device - gateway - internet`.

The internet has every address there is. Rules are the test's, or those of a blocker that it runs in the gateway.
"""

import contextlib
import multiprocessing
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.egress.namespace import Namespace

DEVICE: Final = "10.0.0.2"
OTHER: Final = "10.0.0.3"  # the device's second address
GATEWAY: Final = "10.0.0.1"
UPSTREAM: Final = "192.0.2.53"
DEVICE_6: Final = "fd00::2"
SERVED: Final = 443  # where every host answers
GATEWAY_6: Final = "fd00::1"
_AAAA: Final = 28
_EVERYTHING: Final = 0x0B000000  # 11.0.0.0/8
_EVERYTHING_6: Final = b"\x20\1\x0d\xb8"  # 2001:db8::/32


class Network:
    """The three namespaces, connected."""

    def __init__(self, device: Namespace, gateway: Namespace, internet: Namespace) -> None:
        self.device = device
        self.gateway = gateway
        self.internet = internet
        _cable(device, "lan0", gateway, "lan")
        _cable(internet, "wan0", gateway, "wan")
        for each, commands in (
            (device, (f"addr add {DEVICE}/24 dev lan0", f"addr add {OTHER}/24 dev lan0",
                      f"addr add {DEVICE_6}/64 dev lan0 nodad",
                      f"route add default via {GATEWAY}", f"-6 route add default via {GATEWAY_6}")),
            (gateway, (f"addr add {GATEWAY}/24 dev lan", f"addr add {GATEWAY_6}/64 dev lan nodad",
                       "addr add 192.0.2.1/24 dev wan", "addr add fd01::1/64 dev wan nodad",
                       f"route add default via {UPSTREAM}", "-6 route add default via fd01::2")),
            (internet, (f"addr add {UPSTREAM}/24 dev wan0", "addr add fd01::2/64 dev wan0 nodad",
                        "route add default via 192.0.2.1", "-6 route add default via fd01::1",
                        "route add local 11.0.0.0/8 dev lo", "-6 route add local 2001:db8::/32 dev lo")),
        ):  # fmt: skip
            for command in commands:
                each.ip(command)
        for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            gateway.run(lambda path=path: Path("/proc/sys/net", path).write_text("1"))  # the thread's own


@contextlib.contextmanager
def connected() -> Iterator[Network]:
    """Yield the three, connected."""
    with Namespace() as device, Namespace() as gateway, Namespace() as internet:
        yield Network(device, gateway, internet)


def _cable(one: Namespace, name: str, other: Namespace, its: str) -> None:
    path = other.run(lambda: f"/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net")
    one.ip(f"link add {name} type veth peer name {its} netns {path}")
    one.ip(f"link set {name} up")
    other.ip(f"link set {its} up")


def bound(namespace: Namespace, kind: socket.SocketKind, address: str, port: int = 0) -> socket.socket:
    """Return a socket of `namespace` at `address`."""

    def make() -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        return sock

    return namespace.run(make)


@contextlib.contextmanager
def answering(net: Network) -> Iterator[None]:
    """Let the internet's resolver answer every question with an address of its own, and its hosts every connection."""
    context = multiprocessing.get_context("fork")
    with contextlib.ExitStack() as stack:
        asked = stack.enter_context(bound(net.internet, socket.SOCK_DGRAM, UPSTREAM, 53))
        running = [context.Process(target=_resolve, args=(asked,), daemon=True)]
        for address in ("0.0.0.0", "::"):
            served = stack.enter_context(bound(net.internet, socket.SOCK_STREAM, address, SERVED))
            served.listen(1024)
            running.append(context.Process(target=_serve, args=(served,), daemon=True))
        for each in running:
            each.start()
            stack.callback(each.join)
            stack.callback(each.kill)
        yield


def _resolve(sock: socket.socket) -> None:
    number = 0
    while True:
        query, peer = sock.recvfrom(4096)
        end = query.index(b"\0", 12) + 5
        number += 1
        if query[end - 3] == _AAAA:
            record = b"\0\x1c\0\1\0\0\1\x2c\0\x10" + _EVERYTHING_6 + number.to_bytes(12)
        else:
            record = b"\0\1\0\1\0\0\1\x2c\0\4" + (_EVERYTHING + number).to_bytes(4)
        sock.sendto(query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:end] + b"\xc0\x0c" + record, peer)


def _serve(sock: socket.socket) -> None:
    while True:
        connection, _ = sock.accept()
        connection.close()
