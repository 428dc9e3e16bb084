"""The internet of the laboratory: every address answers, on the ports that apps use, by what it is spoken to.

    53 UDP, TCP     a resolver: names of TABLE, else ANSWER
    853 UDP, TCP    the same, over TLS (a certificate of its own) and over something like QUIC
    80 443 8080 8443 TCP   TLS, plain HTTP, or anything else (mmtls): told apart by the first octet, answered "passed",
                           a request for SLOW after LATE seconds
    443 UDP         something like QUIC: says what it heard

What arrived is kept in `heard`, as (transport, port, address that was asked, first octets).
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dnslib import AAAA, QTYPE, RR, A, DNSRecord

from tests.egress.namespace import Namespace

PASSED: Final = b"passed\n"
ANSWER: Final = {"A": "11.9.9.9", "AAAA": "2001:db8:9::9"}
SLOW: Final = b"/slow"
LATE: Final = 1.5
WEB: Final = (80, 443, 8080, 8443)

_IP_PKTINFO: Final = 8
_IPV6_RECVPKTINFO: Final = 49
_IPV6_PKTINFO: Final = 50
_IPV6_FREEBIND: Final = 78
_VERBS: Final = (b"GET ", b"POST", b"HEAD")


class Servers:
    """Everything that listens in one namespace, on all of its addresses."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace = namespace
        self.heard: list[tuple[str, int, str, bytes]] = []
        self.table: dict[tuple[str, str], list[str]] = {}  # (name, type): addresses
        self._sockets: list[socket.socket] = []
        self._tls = _server_context(folder)
        for family in (socket.AF_INET, socket.AF_INET6):
            for port in (53, 443, 853):
                self._datagrams(namespace, family, port)
            for port in (53, 853, *WEB):
                self._streams(namespace, family, port)

    def close(self) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def arrived(self, address: str, port: int = 0) -> list[tuple[str, int, str, bytes]]:
        """Return what came to an address."""
        wanted = str(ip_address(address))
        return [each for each in self.heard if each[2] == wanted and port in (0, each[1])]

    def _bound(self, namespace: Namespace, family: int, kind: socket.SocketKind, port: int) -> socket.socket:
        def make() -> socket.socket:
            sock = socket.socket(family, kind)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(("", port))
            return sock

        sock = namespace.run(make)
        self._sockets.append(sock)
        return sock

    def _datagrams(self, namespace: Namespace, family: int, port: int) -> None:
        sock = self._bound(namespace, family, socket.SOCK_DGRAM, port)
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)  # it answers from addresses that it has by a route
        threading.Thread(target=self._echo, args=(sock, family, port), daemon=True).start()

    def _echo(self, sock: socket.socket, family: int, port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, control, _, peer = sock.recvmsg(65535, 256)
                if not control:  # shut down
                    return
                level, kind, info = control[0]
                asked = info[8:12] if family == socket.AF_INET else info[:16]
                self.heard.append(("udp", port, str(ip_address(asked)), data[:64]))
                said = self.answered(data) if port == 53 else PASSED + data
                # From the address that was asked, as a server of its own would.
                source = struct.pack("=i4s4x", 0, asked) if family == socket.AF_INET else asked + bytes(4)
                sock.sendmsg([said], [(level, kind, source)], 0, peer)

    def _streams(self, namespace: Namespace, family: int, port: int) -> None:
        sock = self._bound(namespace, family, socket.SOCK_STREAM, port)
        sock.listen(256)
        threading.Thread(target=self._accept, args=(sock, port), daemon=True).start()

    def _accept(self, sock: socket.socket, port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = sock.accept()
                threading.Thread(target=self._serve, args=(connection, port), daemon=True).start()

    def _serve(self, connection: socket.socket, port: int) -> None:
        """Answer each message of a connection until its end, by what it is."""
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            connection.settimeout(60)
            first = connection.recv(4096, socket.MSG_PEEK)
            self.heard.append(("tcp", port, connection.getsockname()[0].partition("%")[0], first[:64]))
            if first[:2] == b"\x16\x03":  # mmtls has f1 there
                with self._tls.wrap_socket(connection, server_side=True) as secure:
                    self._talk(secure, port)
            else:
                self._talk(connection, port)

    def _talk(self, connection: socket.socket, port: int) -> None:
        while data := connection.recv(4096):
            if port in (53, 853) and len(data) > 14:
                said = self.answered(data[2:])
                connection.sendall(len(said).to_bytes(2) + said)
            elif data.startswith(_VERBS):
                if data.split()[1] == SLOW:
                    time.sleep(LATE)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PASSED), PASSED))
            else:
                connection.sendall(PASSED)

    def answered(self, query: bytes) -> bytes:
        """Return what the resolver says."""
        asked = DNSRecord.parse(query)
        name, kind = str(asked.q.qname).rstrip("."), QTYPE[asked.q.qtype]
        reply = asked.reply()
        default = [ANSWER[kind]] if kind in ANSWER else []
        for address in self.table.get((name, kind), default):
            data = A(address) if kind == "A" else AAAA(address)
            reply.add_answer(RR(asked.q.qname, asked.q.qtype, ttl=60, rdata=data))
        return reply.pack()


def _server_context(folder: Path) -> ssl.SSLContext:
    """Return the context of a server with a certificate of its own, for every name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "laboratory")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "laboratory.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
