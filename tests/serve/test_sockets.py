"""What is bound, for whom, and what an operator hears when it cannot be."""

import os
import socket
import stat

import pytest

from blocker.config import Process, endpoint
from blocker.errors import BlockerError
from blocker.serve import sockets
from blocker.serve.worker import Sockets


def free(host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        port = sock.getsockname()[1]
    return endpoint(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def close(shares):
    for share in shares:
        for sock in (*share.udp, *share.tcp):
            sock.close()


def test_each_worker_has_a_socket_of_its_own_for_each_address():
    ends = [free(), free("::1")]
    shares = sockets.bind(ends, 3)
    assert len({sock.fileno() for share in shares for sock in (*share.udp, *share.tcp)}) == 12
    for share in shares:
        assert [sock.getsockname()[:2] for sock in share.udp] == [(str(end.address), end.port) for end in ends]
        assert [sock.getsockname()[:2] for sock in share.tcp] == [(str(end.address), end.port) for end in ends]
        assert not any(sock.getblocking() for sock in (*share.udp, *share.tcp))
        assert share.udp[1].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        assert share.udp[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 1 << 18
    close(shares)


@pytest.mark.parametrize(
    ("listen", "present"),
    [
        (["127.0.0.1:5353", "[2001:db8::1]:5353"], ["127.0.0.1:5353"]),  # as in a container without IPv6
        (["127.0.0.1:1"], ["127.0.0.1:1"]),  # whether we may have the port is another question
        (["192.0.2.1:53"], ["192.0.2.1:53"]),  # to be told so when it is bound
    ],
)
def test_only_addresses_that_are_there(listen, present):
    assert [str(end) for end in sockets.present([endpoint(text) for text in listen])] == present


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_that_is_taken_is_named(kind):
    end = free()
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((str(end.address), end.port))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        with pytest.raises(
            BlockerError, match=rf"listen {end}: Address already in use\. Another program listens there"
        ):
            close(sockets.bind([end], 2))


def test_a_port_that_another_blocker_shares_with_us_is_taken():
    end = free()
    shares = sockets.bind([end], 2)
    with pytest.raises(BlockerError, match="Another program listens there"):
        sockets.bind([end], 1)
    close(shares)


def test_a_program_that_shares_udp_alone_does_not_matter():
    end = free()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((str(end.address), end.port))
        close(sockets.bind([end], 1))


def test_an_address_that_is_not_ours_is_named():
    with pytest.raises(BlockerError, match=r"listen 192\.0\.2\.1:53: .*Check the address"):
        sockets.bind([endpoint("192.0.2.1:53")], 1)


def test_sockets_handed_over_are_everybodys():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        assert sockets.handed_over([udp, tcp], 2) == [Sockets([udp], [tcp])] * 2
        assert not udp.getblocking()


def test_http_is_not_shared():
    end = free()
    with sockets.listen_tcp(end), pytest.raises(BlockerError, match="Another program"):
        sockets.listen_tcp(end)


def test_the_control_socket_is_for_our_user_and_group(tmp_path):
    path = tmp_path / "state" / "control.sock"
    with sockets.listen_control(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert stat.S_IMODE(path.parent.stat().st_mode) & 0o007 == 0
        with pytest.raises(
            BlockerError, match=r"another blocker is running on it\. Stop it, or set process\.state_dir"
        ):
            sockets.listen_control(path)
    assert path.exists()  # left by a daemon that was killed
    with sockets.listen_control(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("what", ["file", "long"])
def test_a_control_socket_that_cannot_be_made_is_named(tmp_path, what):
    path = tmp_path / "control.sock" if what == "file" else tmp_path / ("x" * 120)
    if what == "file":
        path.write_text("mine")
    with pytest.raises((BlockerError, OSError), match=r"control socket .*Set process\.control"):
        sockets.listen_control(path)
    if what == "file":
        assert path.read_text() == "mine"


@pytest.mark.parametrize("process", [Process(user="no-such-account"), Process(group="no-such-group")])
def test_an_account_that_does_not_exist_is_named(process):
    with pytest.raises(BlockerError, match=r"process\.user, process\.group: .*no-such.*Create the account"):
        sockets.drop_privileges(process, [])


def test_without_an_account_nothing_changes(tmp_path):
    before = (os.getresuid(), os.getresgid(), os.getgroups())
    sockets.drop_privileges(Process(), [tmp_path])
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


def test_addresses_are_those_that_are_bound():
    ends = [free(), free("::1")]
    shares = sockets.bind(ends, 2)
    assert sockets.addresses(shares) == tuple(ends)
    close(shares)
