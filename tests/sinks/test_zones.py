"""What Prometheus sees of policy zones."""

from blocker.rpz import status
from blocker.rpz.status import ImportStatus, Status, ZoneStatus
from blocker.sinks import zones
from blocker.sinks.facts import Zones

NOW = 1000.0


def samples(tmp_path, said, served=("ours.example",), imported=("theirs.example",)):
    if said is not None:
        status.write(said, tmp_path)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in zones.collect(Zones(str(tmp_path), served, imported), NOW)
        for sample in family.samples
    }


def test_zones(tmp_path):
    said = Status(
        {"ours.example": ZoneStatus(7, 2, 3), "former.example": ZoneStatus(1, 1)},
        {"theirs.example": ImportStatus(8, 3, 900.0, 1001.0)},
        {"ours.example ixfr success": 4}, {"theirs.example axfr failed": 5}, 6,
    )  # fmt: skip
    assert samples(tmp_path, said) == {
        ("blocker_rpz_zone_serial", "ours.example"): 7,
        ("blocker_rpz_zone_records", "ours.example"): 2,
        ("blocker_rpz_zone_exceptions_left_out", "ours.example"): 3,
        ("blocker_rpz_transfers_total", "ours.example", "ixfr", "success"): 4,
        ("blocker_rpz_notify_failures_total",): 6,
        ("blocker_rpz_import_serial", "theirs.example"): 8,
        ("blocker_rpz_import_records", "theirs.example"): 3,
        ("blocker_rpz_import_last_success_timestamp_seconds", "theirs.example"): 900,
        ("blocker_rpz_import_expired", "theirs.example"): 0,
        ("blocker_rpz_import_transfers_total", "theirs.example", "axfr", "failed"): 5,
    }


def test_it_expires_by_the_clock_even_if_nobody_writes_the_status_any_more(tmp_path):
    said = Status(imports={"theirs.example": ImportStatus(8, 3, 900.0, 1000.0)})
    assert samples(tmp_path, said)["blocker_rpz_import_expired", "theirs.example"] == 1


def test_an_import_that_nothing_is_known_of_has_expired(tmp_path):
    assert samples(tmp_path, None)["blocker_rpz_import_expired", "theirs.example"] == 1


def test_without_zones_nothing_is_exposed():
    assert list(zones.collect(None, NOW)) == []
