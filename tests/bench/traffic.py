"""How connections begin in a network, as a file of packets: TLS, QUIC, HTTP, mmtls, questions; some of them banned."""

import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.egress.hello import messages

_LINK: Final = bytes.fromhex("020000000002 020000000001 0800".replace(" ", ""))
_IP: Final = struct.Struct("!BBHHHBBH4s4s")
_TCP: Final = struct.Struct("!HHIIBBHHH")
_UDP: Final = struct.Struct("!HHHH")
_SYN, _ACK, _PUSH = 0x02, 0x10, 0x08
_SEGMENT: Final = 1400  # octets of a full one
_SHAPES: Final = 64  # hellos of each kind; the rest differ in addresses and ports
BANNED: Final = ("www.tiktok.com", "log.tiktokv.com", "dns.weixin.qq.com")
_KINDS: Final = (("tls", 40), ("tls-long", 15), ("quic", 20), ("http", 10), ("mmtls", 3), ("dns", 12))
_SEED: Final = 11


def write(path: Path, connections: int) -> int:
    """Write `connections` to a pcap file at `path`; return how many of them a policy that bans all apps bans."""
    chance = random.Random(_SEED)  # the same traffic each time
    shapes = _shapes(chance)
    kinds = chance.choices([kind for kind, _ in _KINDS], [share for _, share in _KINDS], k=connections)
    banned = 0
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for number, kind in enumerate(kinds):
            payloads, counts = chance.choice(shapes[kind])
            banned += counts
            for frame in _connection(number, kind, payloads):
                file.write(struct.pack("=IIII", number // 20_000, 0, len(frame), len(frame)))
                file.write(frame)
    return banned


def _shapes(chance: random.Random) -> dict[str, list[tuple[list[bytes], int]]]:
    """Return for each kind what clients send first, and whether it is banned."""
    found: dict[str, list[tuple[list[bytes], int]]] = {kind: [] for kind, _ in _KINDS}
    for number in range(_SHAPES):
        is_banned = number % 20 == 0
        name = chance.choice(BANNED) if is_banned else f"www.site{number}.example"
        hello = messages.client_hello(name)
        long = messages.records(
            messages.handshake((51, chance.randbytes(1220)), (43, bytes(9)), name=name.encode()), 16_384
        )
        found["tls"].append(([hello], is_banned))
        found["tls-long"].append(([long[:_SEGMENT], long[_SEGMENT:]], is_banned))
        found["quic"].append((messages.quic_client(name), is_banned))
        head = f"GET / HTTP/1.1\r\nHost: {name}\r\nUser-Agent: {'x' * 80}\r\nAccept: */*\r\n\r\n"
        found["http"].append(([head.encode()], is_banned))
        found["mmtls"].append(([messages.MMTLS_CLIENT], 1))
        question = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
        found["dns"].append(([b"\0\7\1\0\0\1\0\0\0\0\0\0" + question + b"\0\0\1\0\1"], 1))  # to another resolver
    return found


def _connection(number: int, kind: str, payloads: list[bytes]) -> Iterator[bytes]:
    """Yield the frames that the device of connection `number` sends first."""
    device = (0x0A000000 | number % 4000 + 2).to_bytes(4)
    server = (0xC6336400 | number // 4000 % 256).to_bytes(4)
    ports = 20_000 + number % 40_000, {"http": 80, "mmtls": 8080, "dns": 53}.get(kind, 443)
    if kind in ("quic", "dns"):
        for payload in payloads:
            yield _frame(device, server, 17, _UDP.pack(*ports, 8 + len(payload), 0) + payload)
        return
    yield _frame(device, server, 6, _TCP.pack(*ports, number, 0, 5 << 4, _SYN, 64240, 0, 0))
    sequence = number + 1
    for payload in payloads:
        head = _TCP.pack(*ports, sequence, 1, 5 << 4, _ACK | _PUSH, 64240, 0, 0)
        yield _frame(device, server, 6, head + payload)
        sequence += len(payload)


def _frame(device: bytes, server: bytes, protocol: int, inside: bytes) -> bytes:
    return _LINK + _IP.pack(0x45, 0, 20 + len(inside), 0, 0, 64, protocol, 0, device, server) + inside
