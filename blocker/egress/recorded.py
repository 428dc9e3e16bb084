"""Files of packets (pcap, pcapng, compressed or not), read by scapy, which knows their formats and rare link layers.

A shell, and the only file that imports scapy: it is an extra (`observe`), under the GPL, and stays in the process
that looks at packets. What it finds inside tunnels goes through our own readers as everything does.
"""

import gzip
from collections.abc import Iterator
from importlib import import_module
from io import BufferedReader
from typing import Any, Final, cast

from blocker.egress import packets
from blocker.egress.packets import Fragment, Packet
from blocker.errors import CaptureError

_GZIP: Final = b"\x1f\x8b"
_HELP: Final = "reading files of packets needs scapy: pip install 'blocker[observe]'"
_DIRECT: Final = frozenset((packets.ETHERNET, packets.RAW, packets.COOKED, packets.COOKED_2, packets.NULL))
_OTHER_RAW: Final = frozenset((12, 14, 228, 229))  # numbers for IP without a link layer, by other systems
_NOT_DIRECT: Final = frozenset((0x8847, 0x8848, 0x8864, 0x6558))  # ethertypes: MPLS, PPPoE, transparent bridging
_VXLAN: Final = frozenset((4789, 8472))  # ports of UDP; the second is Linux's own
_LAYERS: Final = (
    "scapy.layers.inet6",
    "scapy.layers.l2",
    "scapy.layers.ppp",
    "scapy.layers.vxlan",
    "scapy.contrib.mpls",
)
_TUNNELS: Final = frozenset((4, 41, 47))  # protocols: IPv4, IPv6, GRE


def read(file: BufferedReader) -> Iterator[tuple[float, Packet | Fragment | None]]:
    """Yield the packets of `file` with their unix times; None for one that is neither TCP nor UDP.

    Raises CaptureError when it is no file of packets, or scapy is not installed. A file that ends in the middle of a
    packet ends with what is there of it.
    """
    reader = _reader(file)
    part = 1e9 if getattr(reader, "nano", False) else 1e6
    when = 0.0
    while True:
        try:
            frame, about = next(reader)
        except StopIteration:
            return
        except Exception as error:  # scapy raises what its parser happens to meet
            raise CaptureError(f"{file.name}: damaged: {error}") from error
        link = getattr(about, "linktype", None)  # of pcapng, where each interface has its own
        when = _when(about, part, when)
        yield when, decoded(bytes(frame), reader.linktype if link is None else link)


def decoded(frame: bytes, link: int) -> Packet | Fragment | None:
    """Return the packet in `frame`, by scapy where it lies in a tunnel or below a link layer that we do not read."""
    if link in _OTHER_RAW:
        link = packets.RAW
    found = packets.read(frame, link)
    if link in _DIRECT and not _may_be_tunnelled(frame, link, found):
        return found
    prepare()
    inside = _innermost(frame, link)
    return None if inside is None else packets.read_ip(inside, 0)


def prepare() -> None:
    """Load what is needed of scapy, while files may still be read. Raises CaptureError when it is not installed."""
    try:
        for layer in ("scapy.config", "scapy.utils", *_LAYERS):  # each layer makes itself known to those below it
            import_module(layer)
    except ImportError as error:
        raise CaptureError(f"{_HELP} ({error})") from error


def _reader(file: BufferedReader) -> Any:  # noqa: ANN401 (scapy's)
    prepare()
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapReader

    # Looked at, not read: what comes by a pipe is there once.
    packed = file.peek(2)[:2] == _GZIP
    try:
        return RawPcapReader(cast(str, gzip.open(file) if packed else file))  # takes files too
    except (Scapy_Exception, EOFError, OSError) as error:
        raise CaptureError(f"{file.name}: no file of packets: {error}. Give pcap or pcapng.") from error


def _when(about: Any, part: float, former: float) -> float:  # noqa: ANN401 (scapy's: of pcap or of pcapng)
    if hasattr(about, "sec"):
        return float(about.sec) + float(about.usec) / part
    # A simple packet of pcapng has no time.
    return float(about.tshigh << 32 | about.tslow) / float(about.tsresol) if about.tshigh is not None else former


def _may_be_tunnelled(frame: bytes, link: int, found: Packet | Fragment | None) -> bool:
    if isinstance(found, Fragment):
        return False
    if found is not None:
        return found.protocol == packets.UDP and found.port in _VXLAN
    if link != packets.ETHERNET or len(frame) < 34:
        return False
    kind = frame[12] << 8 | frame[13]
    if kind == 0x0800:
        return frame[23] in _TUNNELS
    return kind in _NOT_DIRECT or (kind == 0x86DD and frame[20] in _TUNNELS)


def _innermost(frame: bytes, link: int) -> bytes | None:
    """Return the innermost IP packet of a frame as scapy takes it apart."""
    from scapy.config import conf
    from scapy.layers import inet, inet6

    try:
        layers = conf.l2types[link](frame)
    except Exception:  # noqa: BLE001 whatever hostile octets do to scapy: there is nothing to be seen then
        return None
    found: bytes | None = None
    while layers and layers.name != "NoPayload":
        if isinstance(layers, inet.IP | inet6.IPv6):
            found = layers.original
        layers = layers.payload
    return found
