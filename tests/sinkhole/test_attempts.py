"""What a visit is recorded as: by the visitor's policy, in the words of all attempts, once for those that repeat."""

import json
from types import SimpleNamespace

import pytest

from blocker import names
from blocker.clients import Clients
from blocker.config import Config
from blocker.egress.attempt import Flow
from blocker.egress.hello.seen import Hello, Record, Request
from blocker.events import Basis
from blocker.sinkhole.attempts import Attempts, Force
from blocker.sinkhole.page import Blocked
from blocker.sinkhole.visit import Kind, Visit
from blocker.sinks.region import Region
from tests.oracle import Table, rule

STAFF, PRESS, STRANGER = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 17)), bytes((203, 0, 113, 1))
HERE = bytes((192, 0, 2, 80))
CONFIG = Config.model_validate({
    "groups": [
        {"name": "staff", "clients": ["192.0.2.0/28"]},
        {"name": "press", "clients": ["192.0.2.16/28"], "block": [], "monitor": ["tiktok"]},
    ],
})  # fmt: skip


class Lists(Table):
    judges_clients = False

    def __init__(self, *rules):
        super().__init__(*rules)
        self.apps = {rule.app: SimpleNamespace(decision=f"Decision on {rule.app}") for rule in rules}
        self.references = {"wechat": "ca-2"}


LISTS = Lists(
    rule("tiktok.com", reference="ca-1", reason="Banned.", title="TikTok"),
    rule("help.tiktok.com", allow=True),
    rule("localhost", app="special", quiet=True),
    rule("wechat.com", app="wechat"),
)
FORCE = Force(Clients(CONFIG, LISTS, 0), LISTS, Basis("l1", "p1"))


def flow(client=STAFF, port=80):
    return Flow(client, HERE, port, "tcp")


def recorded(region):
    return [json.loads(b"{" + record.tail + b"}") for record in region.read()]


def asked(name, path=b"/"):
    return Visit(Kind.HTTP, Request(b"GET", path, name and names.from_text(name)))


def greeted(name):
    return Visit(Kind.TLS, Hello(name and names.from_text(name)))


def visited(visit, client=STAFF):
    """Return what is known of a visit, and the record."""
    region = Region()
    judged = Attempts(region, 10.0).record(FORCE, flow(client), visit, 100.0)
    (line,) = recorded(region)
    return judged, line


def test_a_protocol_of_its_own_rests_on_the_decision_of_its_app():
    _, line = visited(Visit(Kind.OTHER, Record(0x16, 0xF104, from_server=False)))
    assert (line["app"], line["trigger"], line["reference"]) == ("wechat", "mmtls", "ca-2")


TIKTOK, ADDRESS = ("staff", "tiktok", "http-host", "refused"), ("staff", "sinkhole", "address", "refused")


@pytest.mark.parametrize(("visit", "client", "expected", "known", "shown"), [
    (asked("www.tiktok.com"), STAFF, TIKTOK, True, True),
    (greeted("www.tiktok.com"), STRANGER, ("default", "tiktok", "sni", "refused"), True, False),  # nobody would see it
    (asked("www.tiktok.com"), PRESS, ("press", "tiktok", "http-host", "monitor"), True, False),
    (asked("help.tiktok.com"), STAFF, ADDRESS, False, False),  # allowed since a moment ago
    (asked("innocent.example"), STAFF, ADDRESS, False, False),  # its alias was blocked
    (asked("localhost"), STAFF, ADDRESS, False, False),
    (asked(None), STAFF, ADDRESS, False, False),
    (greeted(None), STAFF, ADDRESS, False, False),
    (Visit(Kind.OTHER), STAFF, ADDRESS, False, False),
    (Visit(Kind.OTHER, Record(0x16, 0xF104, from_server=False)), STAFF, ("staff", "wechat", "mmtls", "refused"), True,
     False),
    (asked("innocent.example", b"/mmtls/1"), STAFF, ("staff", "wechat", "mmtls", "refused"), True, False),
])  # fmt: skip
def test_recorded(visit, client, expected, known, shown):
    judged, line = visited(visit, client)
    assert (line["group"], line["app"], line["trigger"], line["action"]) == expected
    assert (line["destination"], line["port"], line["transport"]) == ("192.0.2.80", 80, "tcp")
    assert (line["list"], line["policy"]) == ("l1", "p1")
    assert (judged.blocked, judged.shown is not None) == (known, shown)


def test_the_name_is_in_the_record_whatever_it_is():
    assert visited(asked("innocent.example"))[1]["qname"] == "innocent.example"
    assert "qname" not in visited(asked(None))[1]


def test_what_the_page_is_told():
    judged, line = visited(asked("www.tiktok.com"))
    assert judged.shown == Blocked(
        "www.tiktok.com", "TikTok", "Banned.", "ca-1", "Decision on tiktok", line["entry_id"]
    )


def test_repeated_visits_have_one_line_and_are_all_counted():
    region = Region()
    attempts = Attempts(region, 10.0)
    visit, other = asked("www.tiktok.com"), asked("m.tiktok.com")
    for now in (0.0, 0.1, 9.9, 10.0, 10.1):
        attempts.record(FORCE, flow(), visit, now)
    assert len(recorded(region)) == 2
    attempts.record(FORCE, flow(), other, 10.2)
    attempts.record(FORCE, flow(port=443), visit, 10.2)
    attempts.record(FORCE, flow(client=PRESS), visit, 10.2)
    assert len(region.read()) == 5
    assert sum(count for _, _, count in region.cells()) == 8


def test_every_visit_where_the_operator_wants_it():
    region = Region()
    attempts = Attempts(region, 0.0)
    for _ in range(3):
        attempts.record(FORCE, flow(), Visit(Kind.OTHER), 5.0)
    assert len(region.read()) == 3


def test_strangers_cannot_make_it_grow():
    attempts = Attempts(Region(), 10.0)
    for number in range(40_000):
        attempts.record(FORCE, flow(), greeted(f"n{number}.example"), 1.0)
    assert len(attempts.lines._next) <= 16384
