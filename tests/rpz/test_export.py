"""The text of a zone, against dnspython's reader."""

import dns.zone

from blocker import names
from blocker.answer import Wording
from blocker.rpz import export
from blocker.rpz.zone import Report, told
from tests.rpz.lists import compiled

LISTS = """\
app: a
entries:
  - {value: b.example, kind: suffix}
  - {value: a.b.example, kind: suffix, action: allow}
  - {value: none.example, kind: exact, answer: nodata}
  - {value: local.example, kind: exact, answer: loopback}
"""


def text(tmp_path, wording):
    index, policies = compiled(tmp_path, {"a.yaml": LISTS})
    origin = names.from_text("rpz.example")
    report = Report()
    lines = export.records(index, policies["default"], wording, origin, report)
    return export.header(origin, 7, 60) + "".join(lines), report


def test_a_zone_file_that_others_read(tmp_path):
    wording = Wording(sinkhole_v4=(bytes((192, 0, 2, 1)),), sinkhole_v6=(bytes(15) + b"\2",))
    found, report = text(tmp_path, wording)
    zone = dns.zone.from_text(found, origin="rpz.example", relativize=False)
    soa = zone.get_soa()
    assert (soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum) == (7, 300, 60, 2_592_000, 60)
    said = {
        f"{owner} {rdata}"
        for owner, node in zone.nodes.items()
        for rdataset in node
        for rdata in rdataset
        if owner != zone.origin
    }
    assert said == {
        "b.example.rpz.example. 192.0.2.1", "b.example.rpz.example. ::2",
        "*.b.example.rpz.example. 192.0.2.1", "*.b.example.rpz.example. ::2",
        "a.b.example.rpz.example. rpz-passthru.", "*.a.b.example.rpz.example. rpz-passthru.",
        "none.example.rpz.example. *.",
        "local.example.rpz.example. 127.0.0.1", "local.example.rpz.example. ::1",
    }  # fmt: skip
    assert list(told(report)) == [
        "triggers: 1 loopback, 1 nodata, 2 passthru, 2 sinkhole",
        "1 exceptions also spare the aliases and addresses in the answer, which are looked at here",
    ]


def test_without_sinkhole_addresses_a_name_has_no_records(tmp_path):
    assert "b.example CNAME *.\n" in text(tmp_path, Wording(sinkhole_v4=(), sinkhole_v6=()))[0]


def test_the_header_is_as_long_as_it_says(tmp_path):
    assert export.header(names.from_text("rpz.example"), 1, 60).count("\n") == export.HEADER_LINES
