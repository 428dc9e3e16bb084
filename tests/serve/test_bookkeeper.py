"""Who writes down what has ended: once, whatever the clock says, and told of when it cannot."""

import json

import pytest
import structlog
from structlog.testing import capture_logs

from blocker import config
from blocker.config import Config
from blocker.exceptions import entry, store
from blocker.exceptions.entry import Grant, Person, State
from blocker.exceptions.snapshot import Snapshot
from blocker.serve.bookkeeper import Bookkeeper

NOW = 1_795_608_000


@pytest.fixture(autouse=True)
def no_log_setting_is_left():
    yield
    structlog.reset_defaults()


class Rig:
    """A bookkeeper, the store that it keeps, and the supervisor that it asks."""

    def __init__(self, folder):
        self.config = Config.model_validate({"process": {"state_dir": folder / "state"}})
        self.path = folder / "generation-1.json"
        self.path.write_text(json.dumps({"config": self.config.model_dump(mode="json")}))
        self.now = float(NOW)
        self.asked = 0
        self.brought = ""
        self.reply = {"ok": True}
        self.keeper = Bookkeeper(self._amend, lambda: self.now)

    def _amend(self):
        self.asked += 1
        return self.reply

    def add(self, *, approved=True, ends=NOW + 100):
        with store.opened(self.config) as kept:
            grant = Grant("", "", "suffix", "x.example", "", "", "", 0, ends)
            number = kept.add(entry.request(grant, "a drill", Person("ines"), NOW, longest=10**9), NOW).grant.id
            if approved:
                kept.change(number, "approved", lambda each: entry.approve(each, Person("omar"), NOW), NOW)
            return number

    def hear(self, seq, ends=None):
        standing = {"generation": str(self.path), "exceptions": self.brought, "moment": self.now, "ends": ends or {}}
        self.keeper.adopt({"standing": standing, "exceptions": {"seq": seq}})
        self.keeper.look()

    def bring(self, *granted):
        target = self.path.parent / "exceptions-1.json"
        target.write_text(json.dumps(Snapshot(granted).said()))
        self.brought = str(target)

    def states(self):
        with store.opened(self.config) as kept:
            return [(each.state.value, each.grant.ends - NOW, each.why_closed) for each in kept.entries(every=True)]

    def events(self):
        lines = config.exceptions_audit(self.config).read_text().splitlines()
        return [json.loads(line)["event"] for line in lines]


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def test_without_a_store_there_is_nothing_to_keep(rig):
    rig.hear(-1)
    assert (rig.asked, rig.keeper.trouble) == (0, "")
    assert not (rig.path.parent / "state").exists()


@pytest.mark.parametrize(
    ("later", "ends", "states", "event"),
    [
        (99.9, {}, ("approved", 100, ""), "approved"),
        (100, {}, ("ended", 100, "its time is over"), "ended"),
        (10, {"1": NOW + 50.7}, ("approved", 50, ""), "shortened"),
        (60, {"1": NOW + 50.7}, ("ended", 100, "its time is over"), "ended"),
        (10, {"1": 0.0}, ("ended", 100, "its time is over"), "ended"),  # it had ended before the clock was set back
        (10, {"1": NOW + 500.0, "7": 0.0}, ("approved", 100, ""), "approved"),
    ],
)
def test_what_time_does_is_written_down(rig, later, ends, states, event):
    rig.add()
    rig.now += later
    rig.hear(2, ends)
    assert rig.states() == [states]
    assert rig.events()[-1] == event
    assert rig.asked == (event != "approved")  # what is in force is read anew only if it differs
    rig.hear(3)
    assert rig.states() == [states]  # and once


def test_no_clock_brings_back_what_has_ended(rig):
    rig.add()
    rig.now += 100
    rig.hear(2)
    rig.now -= 3600
    rig.hear(3)
    assert rig.states()[0][0] == "ended"
    assert store.snapshot(rig.config).granted == ()


@pytest.mark.parametrize("store_before", [False, True])
def test_no_clock_brings_back_what_a_bundle_brought_and_has_ended(rig, store_before):
    """The store is made if nobody on this node has ever asked for an exception."""
    if store_before:
        rig.add(ends=NOW + 10_000)
    brought = Grant("bundle:7", "", "suffix", "x.example", "", "", "", NOW - 50, NOW + 100, "omar")
    rig.bring(brought)
    rig.hear(2 if store_before else -1)
    assert rig.asked == 0
    rig.now += 100
    rig.hear(2 if store_before else -1)
    assert rig.asked == 1
    assert rig.events()[-1] == "ended"
    assert brought not in store.snapshot(rig.config, [brought]).granted


def test_a_request_lapses(rig):
    rig.add(approved=False)
    rig.now += 100
    rig.hear(1)
    assert rig.states() == [("ended", 100, "not approved in time")]


def test_what_nobody_told_of_is_read(rig):
    rig.add()
    rig.hear(1)
    assert rig.asked == 1
    rig.hear(2)
    assert rig.asked == 1


def test_trouble_is_told_once_and_ends(rig):
    number = rig.add()
    file = config.exceptions_file(rig.config)
    whole = file.read_bytes()
    file.write_bytes(b"nonsense" * 1000)
    with capture_logs() as told:
        rig.hear(2)
        rig.hear(2)
    assert [line["event"] for line in told] == ["exceptions cannot be kept; those in force end all the same"]
    assert "exceptions.db: cannot be used" in rig.keeper.trouble
    file.write_bytes(whole)
    rig.hear(2)
    assert rig.keeper.trouble == ""
    with store.opened(rig.config) as kept:
        assert kept.entry(number).state is State.APPROVED


def test_what_is_refused_is_not_asked_for_without_end(rig):
    """Each refusal is told to everybody as news, to us too: asking anew at once would never end."""
    rig.add()
    rig.reply = {"ok": False, "problems": ["the store is older than its log"]}
    with capture_logs():
        rig.hear(1)
        rig.hear(1)
        rig.hear(1)
    assert rig.asked == 1
    rig.add()  # a further change may mend it
    with capture_logs():
        rig.hear(1)
        rig.hear(1)
    assert rig.asked == 2
    rig.keeper._again_at = 0.0
    rig.reply = {"ok": True}
    rig.hear(1)
    assert rig.asked == 3


def test_a_store_that_is_gone_is_trouble(rig):
    rig.add()
    config.exceptions_file(rig.config).unlink()
    with capture_logs() as told:
        rig.hear(2)
    assert "is gone, and its log" in rig.keeper.trouble
    assert [line["event"] for line in told] == ["exceptions cannot be kept; those in force end all the same"]
    assert not config.exceptions_file(rig.config).exists()  # an empty one would pass for the whole


def test_a_refusal_is_told(rig):
    rig.add()
    rig.reply = {"ok": False, "problems": ["no process left"]}
    with capture_logs() as told:
        rig.hear(1)
    assert [(line["event"], line["why"]) for line in told] == [
        ("changed exceptions are not in force", "no process left")
    ]
