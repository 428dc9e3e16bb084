"""First bytes as real libraries write them, and protection for QUIC packets that no library would write."""

import itertools
import ssl

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicProtocolVersion
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from blocker.egress.hello import quic

V1 = QuicProtocolVersion.VERSION_1
V2 = QuicProtocolVersion.VERSION_2

# citizenlab/wechat-security-report, docs/mmtls-network-format.md: the heads as there, keys and tickets left zero.
MMTLS_CLIENT = bytes.fromhex("16f104016e0000016a0103f102c02b00a8") + bytes(354)
MMTLS_EARLY = bytes.fromhex("19f10400a10000009d0103f10100a8") + bytes(151)
MMTLS_SERVER = bytes.fromhex("16f10400d4000000d00203f1c02b") + bytes(204)
MMTLS_REQUEST = (
    b"POST /mmtls/00112233 HTTP/1.1\r\nAccept: */*\r\nHost: sgshort.wechat.com\r\nUpgrade: mmtls\r\n"
    b"User-Agent: MicroMessenger Client\r\nContent-Length: 0\r\n\r\n"
)


def client_hello(name="www.tiktok.com", alpn=("h2", "http/1.1")):
    """Return what OpenSSL sends first."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(list(alpn))
    context.check_hostname = name is not None
    said = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        return said.read()
    raise AssertionError("nobody answered")


def handshake(*extensions, name=b"example.com"):
    """Return a ClientHello message with the server name and `extensions`, (kind, data) each, in front of it."""
    inside = b"".join(
        kind.to_bytes(2) + len(data).to_bytes(2) + data for kind, data in (*extensions, (0, listed(name)))
    )
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + len(inside).to_bytes(2) + inside
    return b"\1" + len(body).to_bytes(3) + body


def listed(name, kind=0):
    """Return a server name list of one."""
    entry = bytes((kind,)) + len(name).to_bytes(2) + name
    return len(entry).to_bytes(2) + entry


def records(message, size):
    """Return `message` in TLS records of `size` octets."""
    pieces = (message[at : at + size] for at in range(0, len(message), size))
    return b"".join(b"\x16\x03\1" + len(piece).to_bytes(2) + piece for piece in pieces)


def quic_client(name="www.tiktok.com", version=V1, alpn=("h3",)):
    """Return the datagrams that a QUIC client sends first."""
    client = QuicConnection(
        configuration=QuicConfiguration(
            is_client=True,
            server_name=name,
            alpn_protocols=list(alpn),
            original_version=version,
            supported_versions=[version],
        )
    )
    client.connect(("192.0.2.1", 443), now=0.0)
    return [data for data, _ in client.datagrams_to_send(now=0.0)]


def crypto(message, *cuts, order=None):
    """Return CRYPTO frames that carry `message`, cut at `cuts`, in `order`."""
    edges = [0, *cuts, len(message)]
    frames = [frame(start, message[start:end]) for start, end in itertools.pairwise(edges)]
    return b"".join(frames[at] for at in order or range(len(frames)))


def frame(offset, data):
    return b"\6" + varint(offset) + varint(len(data)) + data


def varint(number):
    return (0x4000 | number).to_bytes(2)


def initial(payload, number=0, dcid=bytes(8), version=quic.V1, keys=None, token=b"", size=1162, greased=False):
    """Return an Initial packet that carries the frames `payload`, padded to `size`."""
    payload = payload + bytes(max(0, size - len(payload)))
    keys = keys or quic.derive(version, dcid)
    first = (0x83 if greased else 0xC3) | (0x10 if version == quic.V2 else 0)
    head = bytes((first,)) + version.to_bytes(4) + bytes((len(dcid),)) + dcid + b"\0" + bytes((len(token),)) + token
    head += varint(4 + len(payload) + 16)
    associated = head + number.to_bytes(4)
    nonce = (int.from_bytes(keys.iv) ^ number).to_bytes(12)
    sealed = AESGCM(keys.key).encrypt(nonce, payload, associated)
    cipher = Cipher(algorithms.AES(keys.header), modes.ECB()).encryptor()
    mask = cipher.update(sealed[:16])
    hidden = bytes(a ^ b for a, b in zip(associated[-4:], mask[1:5], strict=True))
    return bytes((first ^ mask[0] & 0x0F,)) + head[1:] + hidden + sealed
