"""What can be seen from outside of the capture: packets that came, packets that were lost, what connections were."""

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from blocker.sinks.region import Region

WATCH: Final = "watch"  # the process


class Seen(IntEnum):
    """The words of the process's region that count what it sees."""

    PACKETS = 256  # that the kernel's filter let through
    LOST = 257  # of them, those that found no room
    EARLY = 258  # connections forgotten before they had said what they are, for want of room
    MISSING = 259  # interfaces that are not there; a gauge
    UNCUT = 260  # findings that nobody could be told to cut, or that the kernel did not cut; of two processes
    TLS = 261
    QUIC = 262
    HTTP = 263
    MMTLS = 264
    DNS = 265
    OTHER = 266
    PIECES = 267  # packets in fragments that were refused or never whole
    UNFINISHED = 268


KINDS: Final = (Seen.TLS, Seen.QUIC, Seen.HTTP, Seen.MMTLS, Seen.DNS, Seen.OTHER, Seen.UNFINISHED)


def count(
    region: Region, kinds: Counter[str], *, packets: int, lost: int, early: int, pieces: int, missing: int
) -> None:
    """Add what was seen since the last time; `kinds` is what connections turned out to be. Clears `kinds`."""
    words = region.words
    words[Seen.PACKETS] += packets
    words[Seen.LOST] += lost
    words[Seen.EARLY] += early
    words[Seen.PIECES] += pieces
    words[Seen.MISSING] = missing
    for kind in KINDS:
        words[kind] += kinds[kind.name.lower()]
    kinds.clear()


def uncut(region: Region, count: int) -> None:
    """Count connections that were found out and go on; in the region of who could not end them."""
    region.words[Seen.UNCUT] += count


def collect(beside: Mapping[str, Region]) -> Iterator[Metric]:
    """Yield the metrics of the capture among the processes `beside` the workers; nothing without it."""
    region = beside.get(WATCH)
    if region is None:
        return
    words = region.words
    yield CounterMetricFamily(
        "blocker_egress_capture_packets", "Packets that the kernel's filter let through.", value=words[Seen.PACKETS]
    )
    yield CounterMetricFamily(
        "blocker_egress_capture_lost", "Of them, packets that found no room: nobody looked at them.",
        value=words[Seen.LOST],
    )  # fmt: skip
    kinds = CounterMetricFamily("blocker_egress_connections", "Connections that said what they are.", labels=("kind",))
    for kind in KINDS:
        kinds.add_metric((kind.name.lower(),), words[kind])
    yield kinds
    yield CounterMetricFamily(
        "blocker_egress_connections_forgotten",
        "Connections forgotten before they had said what they are, for want of room.",
        value=words[Seen.EARLY],
    )
    yield CounterMetricFamily(
        "blocker_egress_fragments_lost",
        "Packets in fragments that were never whole, overlapped, or found no room: nobody looked into them.",
        value=words[Seen.PIECES],
    )
    yield CounterMetricFamily(
        "blocker_egress_uncut", "Findings that were to be cut, and go on.",
        value=sum(each.words[Seen.UNCUT] for each in beside.values()),
    )  # fmt: skip
    yield GaugeMetricFamily(
        "blocker_egress_interfaces_missing", "Interfaces to look at that are not there.", value=words[Seen.MISSING]
    )
