"""Binds what we listen on, before any privilege is dropped; closed by nobody while we run.

One socket per worker and address (SO_REUSEPORT): the kernel spreads clients over them, and closing one would
discard what is queued in it.
"""

import contextlib
import errno
import grp
import os
import pwd
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from blocker.config import Endpoint, Process
from blocker.egress import framing, reports, ruleset
from blocker.errors import BlockerError
from blocker.serve.stream import BACKLOG
from blocker.serve.worker import Sockets

_RECEIVE_BUFFER: Final = 4 << 20  # octets: a burst of some 5,000 queries survives a busy moment
_NETFILTER: Final = 12  # NETLINK_NETFILTER
_REPORTS: Final = 5.0  # seconds the kernel may take to agree
_SO_RCVBUFFORCE: Final = 33  # socket(7); beyond net.core.rmem_max, for CAP_NET_ADMIN only


def bind(listen: Sequence[Endpoint], workers: int) -> list[Sockets]:
    """Return each worker's sockets, all addresses bound. Raises BlockerError naming the address and the cure."""
    for end in listen:
        # With SO_REUSEPORT two blockers of one account would share clients and not notice. TCP tells; over UDP
        # programs for multicast DNS, browsers too, may lawfully have the port 5353 beside us.
        _bound(end, socket.SOCK_STREAM, shared=False).close()
    shares: list[Sockets] = []
    for _ in range(workers):
        udp = [_bound(end, socket.SOCK_DGRAM) for end in listen]
        tcp = [_bound(end, socket.SOCK_STREAM) for end in listen]
        shares.append(Sockets(udp, tcp))
    return shares


def present(listen: Sequence[Endpoint]) -> list[Endpoint]:
    """Return those of `listen` whose address this machine has: containers often lack ::1. All, if it has none."""
    found = []
    for end in listen:
        with contextlib.suppress(OSError), socket.socket(_family(end), socket.SOCK_DGRAM) as sock:
            sock.bind((str(end.address), 0))
            found.append(end)
    return found or list(listen)


def handed_over(sockets: Sequence[socket.socket], workers: int) -> list[Sockets]:
    """Return each worker's share of the sockets that systemd bound: all of them, for every worker."""
    for sock in sockets:
        sock.setblocking(False)
    udp = [sock for sock in sockets if sock.type == socket.SOCK_DGRAM]
    tcp = [sock for sock in sockets if sock.type == socket.SOCK_STREAM]
    return [Sockets(udp, tcp)] * workers


def addresses(shares: Sequence[Sockets]) -> tuple[Endpoint, ...]:
    """Return where the sockets are bound, each address once."""
    names = (sock.getsockname() for share in shares for sock in share.udp)
    return tuple(dict.fromkeys(Endpoint(ip_address(name[0]), name[1]) for name in names))


def listen_tcp(end: Endpoint) -> socket.socket:
    """Return a listening socket for HTTP or zone transfers. Raises BlockerError."""
    return _bound(end, socket.SOCK_STREAM, shared=False)


def listen_udp(end: Endpoint) -> socket.socket:
    """Return a bound socket for NOTIFY and SOA queries. Raises BlockerError."""
    return _bound(end, socket.SOCK_DGRAM, shared=False)


def listen_control(path: Path) -> socket.socket:
    """Return the listening control socket at `path`, for our own user and group. Raises BlockerError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if path.is_socket():
            _refuse_running(path)
            path.unlink()
        os.fchmod(sock.fileno(), 0o660)  # before the file is there: nobody else may connect for a moment (unix(7))
        sock.bind(str(path))
        path.chmod(0o660)  # whatever the umask
        sock.listen(16)
    except BlockerError:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise BlockerError(f"control socket {path}: {error.strerror or error}. Set process.control.") from error
    return sock


def listen_packets(path: Path) -> socket.socket:
    """Return a listening socket at `path` for packets between processes of our own user. Raises BlockerError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        path.unlink(missing_ok=True)  # of a former run: listen_control has seen to it that nobody runs here
        os.fchmod(sock.fileno(), 0o600)
        sock.bind(str(path))
        path.chmod(0o600)  # whatever the umask
        sock.listen(64)
    except OSError as error:
        sock.close()
        raise BlockerError(f"socket {path}: {error.strerror or error}. Set process.state_dir.") from error
    return sock


def subscribe(group: int) -> socket.socket:
    """Return a socket that the kernel's reports of the netlink `group` come to. Raises BlockerError.

    Whoever holds it may read on without the privilege that this needs.
    """
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
    try:
        _enlarge(sock)
        sock.settimeout(_REPORTS)
        sock.sendto(reports.subscription(group, ruleset.SNAP), (0, 0))
        answered = 0
        while answered < 2:
            for kind, _, payload in framing.messages(sock.recv(1 << 16)):
                if kind == framing.ERROR:
                    answered += 1
                    if number := framing.error(payload):
                        raise OSError(number, os.strerror(number))
    except OSError as error:
        sock.close()
        taken = error.errno == errno.EBUSY
        other = (
            "Another program has it: if that is a blocker, stop it (two cannot share a machine), else set egress.nflog"
        )
        cure = other if taken else "It needs CAP_NET_ADMIN (docs/egress.md)"
        raise BlockerError(f"egress.nflog: group {group}: {error.strerror or error}. {cure}.") from error
    return sock


def _refuse_running(path: Path) -> None:
    """Raise BlockerError when another daemon answers at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, contextlib.suppress(ConnectionRefusedError):
        probe.connect(str(path))
        cure = "Stop it, or set process.state_dir or process.control"
        raise BlockerError(f"control socket {path}: another blocker is running on it. {cure}.")


def drop_privileges(process: Process, owned: Sequence[Path]) -> None:
    """Become the configured user and group for good; `owned` are given to them first. Raises BlockerError."""
    if not process.user and not process.group:
        return
    try:
        account = pwd.getpwnam(process.user) if process.user else None
        gid = grp.getgrnam(process.group).gr_gid if process.group else account.pw_gid if account else os.getgid()
    except KeyError as error:
        cure = "Create the account, or change it"
        raise BlockerError(f"process.user, process.group: {error.args[0]}. {cure}.") from error
    uid = account.pw_uid if account else os.getuid()
    if os.geteuid() == uid and os.getegid() == gid:
        return
    try:
        for path in owned:
            os.chown(path, uid, gid, follow_symlinks=False)
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        who = process.user or process.group
        raise BlockerError(f"cannot become {who}: {error.strerror}. Start as root, or leave it out.") from error


def _bound(end: Endpoint, kind: socket.SocketKind, *, shared: bool = True) -> socket.socket:
    family = _family(end)
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:  # IPv4 clients have sockets of their own, and appear with IPv4 addresses
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            _enlarge(sock)
        sock.bind((str(end.address), end.port))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        taken = error.errno == errno.EADDRINUSE
        cure = "Another program listens there" if taken else "Check the address, and the permission to bind"
        raise BlockerError(f"listen {end}: {error.strerror}. {cure}.") from error
    return sock


def _family(end: Endpoint) -> socket.AddressFamily:
    return socket.AF_INET6 if end.address.version == 6 else socket.AF_INET


def _enlarge(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
