"""What Prometheus sees of policy zones, read at each scrape from the status that the zones process keeps.

Zone names come from the configuration, so the series stay bounded. An import that nothing is known of counts as
expired: its alert must not depend on the process that failed to say so.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from blocker.rpz import status
from blocker.rpz.status import ImportStatus
from blocker.sinks.facts import Zones

_NOTHING = ImportStatus(0, 0, 0.0, 0.0)


def collect(zones: Zones | None, now: float) -> Iterator[Metric]:
    """Yield the metrics of policy zones at `now`, unix seconds; nothing where none is configured."""
    if zones is None:
        return
    said = status.read(Path(zones.state))
    ours = {name: said.zones[name] for name in zones.served if name in said.zones}
    theirs = {name: said.imports.get(name, _NOTHING) for name in zones.imported}
    yield _gauge("zone_serial", "Serial of a zone that we serve.", {name: each.serial for name, each in ours.items()})
    yield _gauge(
        "zone_records", "Records of a zone that we serve.", {name: each.records for name, each in ours.items()}
    )
    yield _gauge(
        "zone_exceptions_left_out",
        "Exceptions in force that a zone we serve cannot say: its followers go on blocking.",
        {name: each.unsaid for name, each in ours.items()},
    )
    yield _transfers("transfers", "Transfers of our zones to others.", said.transfers)
    yield CounterMetricFamily(
        "blocker_rpz_notify_failures", "Secondaries that never answered a NOTIFY.", value=said.notify_failures
    )
    yield _gauge(
        "import_serial", "Serial of a zone taken over; 0: none.", {n: each.serial for n, each in theirs.items()}
    )
    yield _gauge("import_records", "Records of a zone taken over.", {n: each.records for n, each in theirs.items()})
    yield _gauge(
        "import_last_success_timestamp_seconds",
        "When a primary last said that our version is current, 0: never.",
        {name: each.confirmed for name, each in theirs.items()},
    )
    yield _gauge(
        "import_expired",
        "1 while no primary has confirmed the zone for as long as its SOA allows.",
        {name: float(now >= each.expires) for name, each in theirs.items()},
    )
    yield _transfers("import_transfers", "Transfers of others' zones to us.", said.import_transfers)


def _gauge(name: str, text: str, values: Mapping[str, float]) -> Metric:
    metric = GaugeMetricFamily(f"blocker_rpz_{name}", text, labels=("zone",))
    for zone, value in sorted(values.items()):
        metric.add_metric((zone,), value)
    return metric


def _transfers(name: str, text: str, counts: Mapping[str, int]) -> Metric:
    metric = CounterMetricFamily(f"blocker_rpz_{name}", text, labels=("zone", "kind", "result"))
    for labels, count in sorted(counts.items()):
        metric.add_metric(labels.rsplit(" ", 2), count)
    return metric
