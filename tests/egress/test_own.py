import socket
from pathlib import Path

from blocker.egress import own
from tests.egress.namespace import Namespace


def test_the_addresses_of_this_machine():
    with Namespace() as space:
        space.ip("link add a0 type veth peer name b0")
        space.ip("addr add 192.0.2.9/24 dev a0")
        space.ip("addr add 2001:db8::9/64 dev a0 nodad")
        for name in ("a0", "b0"):
            space.ip(f"link set {name} up")
        found = space.run(lambda: own.addresses(Path("/proc/thread-self/net")))
    assert {socket.inet_aton("192.0.2.9"), socket.inet_aton("127.0.0.1")} <= found
    assert {socket.inet_pton(socket.AF_INET6, each) for each in ("2001:db8::9", "::1")} <= found
    assert socket.inet_aton("192.0.2.255") not in found  # the network's, not ours


def test_nothing_where_nothing_can_be_read(tmp_path):
    assert own.addresses(tmp_path) == frozenset()
