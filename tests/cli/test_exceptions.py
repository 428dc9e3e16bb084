"""`blocker exceptions` without a running blocker: who may, what is refused, what is printed."""

import json
import re
import shutil
import time

import pytest
import yaml
from click.testing import CliRunner

from blocker import config
from blocker.bundle import current
from blocker.cli import blocker
from blocker.exceptions.audit import copies_of
from blocker.exceptions.entry import Grant
from tests.evidence.records import new_key

GROUPS = [{"name": "press", "clients": ["192.0.2.0/24"]}]
ASKED = ("--name", "help.tiktok.com", "--for", "3d", "--reason", "a visit")


class Rig:
    """A configuration of its own, and people at the keyboard."""

    def __init__(self, folder):
        self.path = folder / "b.yaml"
        self.configure()

    def configure(self, **settings):
        said = {"process": {"state_dir": "state"}, "groups": GROUPS, "exceptions": settings}
        self.path.write_text(yaml.safe_dump(said))

    def bundles(self, **settings):
        self.add(bundles=settings)

    def add(self, **sections):
        self.path.write_text(yaml.safe_dump(yaml.safe_load(self.path.read_text()) | sections))

    def run(self, *arguments, who="ines"):
        acting = ("--as", who) if who and arguments[0] in ("add", "approve", "revoke") else ()
        return CliRunner().invoke(blocker, ["exceptions", *arguments, *acting, "--config", str(self.path)])

    @property
    def log(self):
        return config.exceptions_audit(config.load(self.path))


@pytest.fixture
def rig(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "account", lambda: "root")
    return Rig(tmp_path)


def test_a_request_is_shown_and_waits(rig):
    found = rig.run("add", *ASKED, "--group", "press", "--ticket", "INC-1")
    assert found.exit_code == 0, found.output
    for text in (
        "exception 1: requested", "help.tiktok.com and all below it", "group press", "3 days", "a visit", "INC-1",
        "by ines (root)", "another person: blocker exceptions approve 1",
    ):  # fmt: skip
        assert text in found.output
    assert "press" in rig.run("list").output
    approved = rig.run("approve", "1", who="omar")
    assert approved.exit_code == 0, approved.output
    assert "exception 1: active" in approved.output
    assert "by omar (root)" in approved.output
    assert "no blocker runs; it holds from the start on" in approved.output
    (said,) = json.loads(rig.run("list", "--json").output)
    assert (said["now"], said["grant"]["approved_by"], said["state"]) == ("active", "omar", "approved")
    revoked = rig.run("revoke", "1", "--reason", "over")
    assert "exception 1: revoked" in revoked.output
    assert "by ines (root)" in revoked.output
    assert rig.run("list").output == "there are none\n"
    assert "revoked" in rig.run("list", "--all").output
    said = json.loads(rig.run("verify", "--json").output)
    assert (said["whole"], said["lines"], said["problems"]) == (True, 4, [])


def test_where_policy_comes_signed_nobody_on_the_node_makes_exceptions(rig):
    """Nobody who can read the node's disk but not the publisher's key lifts a ban there, unless it was meant so."""
    public = "RWSFayVJGxRMvk/Au6/q2kcyJU3WBL3UVPvVuTrmzKVNrtZbalWqXLVg"
    rig.configure()
    rig.run("add", *ASKED)
    rig.bundles(keys=[public])
    for command in (("add", *ASKED), ("approve", "1")):
        refused = rig.run(*command, who="omar")
        assert (refused.exit_code, "exceptions.local: true" in refused.output) == (2, True)
    assert rig.run("revoke", "1").exit_code == 0
    rig.bundles(keys=[public], allow_local=True)
    assert rig.run("add", *ASKED).exit_code == 0
    rig.configure(local=True)
    rig.bundles(keys=[public])
    assert rig.run("approve", "2", who="omar").exit_code == 0
    rig.configure(local=False)
    assert rig.run("add", *ASKED).exit_code == 2


def test_a_signed_log_is_verified_with_its_key(rig, tmp_path):
    key = new_key(tmp_path / "evidence")
    rig.configure()
    rig.add(evidence={"node": "dns1", "key_file": str(key.with_suffix(".key"))})
    rig.run("add", *ASKED)
    rig.run("approve", "1", who="omar")
    found = rig.run("verify", "--key", str(key))
    assert (found.exit_code, found.output.splitlines()[-1]) == (0, "whole, and the store agrees")
    assert "dns1.exceptions: lines 0 to 4: 2 signed checkpoints" in found.output
    other = rig.run("verify", "--key", str(new_key(tmp_path / "other")))
    assert other.exit_code == 1
    assert "which was not given" in other.output
    away = tmp_path / "away"
    away.write_bytes(copies_of(rig.log).read_bytes())
    shutil.rmtree(rig.log.parent)
    rig.run("add", *ASKED, who="mallory")
    rig.run("approve", "1", who="omar")
    assert rig.run("verify", "--key", str(key)).exit_code == 0  # its own copies were written anew too
    anew = rig.run("verify", "--key", str(key), "--checkpoints", str(away))
    assert (anew.exit_code, "not the line that a checkpoint covered" in anew.output) == (1, True)
    rig.log.unlink()
    gone = rig.run("verify", "--key", str(key), "--checkpoints", str(away))
    assert (gone.exit_code, "is not there" in gone.output) == (1, True)


def test_a_later_start_is_shown(rig):
    rig.run("add", "--app", "tiktok", "--from", "2099-01-01T08:00Z", "--for", "2h", "--reason", "x")
    found = rig.run("approve", "1", who="omar")
    assert "approved, from 2099-01-01" in found.output
    assert "app tiktok" in found.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--for", "3d", "--reason", "x"), "say for what"),
        (("--name", "a.example", "--exact", "b.example", "--for", "3d", "--reason", "x"), "say for what: one of"),
        (("--name", "a.example", "--reason", "x"), "say how long"),
        (("--name", "a.example", "--for", "3d", "--until", "2099-01-01T00:00", "--reason", "x"), "say how long"),
        (("--name", "a.example", "--for", "3d"), "--reason"),
        (("--name", "a.example", "--for", "3 days", "--reason", "x"), "is not a length of time"),
        (("--name", "a.example", "--until", "friday", "--reason", "x"), "is not a time"),
        (("--name", "a.example", "--until", "2001-01-01T00:00", "--reason", "x"), "it would end before it begins"),
        (("--name", "a.example", "--for", "91d", "--reason", "x"), "it would last 91 days"),
        (("--name", "co.uk", "--for", "3d", "--reason", "x"), "co.uk is a public suffix"),
        (("--name", "com", "--for", "3d", "--reason", "x"), "com is a public suffix"),
        (("--name", "a.example.com", "--group", "pres", "--for", "3d", "--reason", "x"),
         "there is no group 'pres'; did you mean 'press'?"),
        (("--name", "a.example", "--client", "192.0.2.7/24", "--for", "3d", "--reason", "x"), "is not a client"),
        (("--name", "http://a.example", "--for", "3d", "--reason", "x"), "not a URL"),
        (("--app", "special", "--for", "3d", "--reason", "x"), "special-use names have no exceptions"),
    ],
)  # fmt: skip
def test_what_is_refused(rig, arguments, why):
    found = rig.run("add", *arguments)
    assert found.exit_code == 2
    assert why in re.sub(r"\s+", " ", found.output)
    assert not rig.log.exists()


@pytest.mark.parametrize(
    ("settings", "command", "who", "why"),
    [
        ({"requesters": ["omar"]}, ("add", *ASKED), "ines", "ines (root) may not request"),
        ({"approvers": ["omar"]}, ("approve", "1"), "ada", "ada (root) may not approve"),
        ({"delegates": []}, ("approve", "1"), "omar", "root may not act for others"),
        ({}, ("approve", "1"), "INES", "another person must approve it"),
        ({}, ("approve", "7"), "omar", "there is no exception 7"),
        ({}, ("revoke", "x"), "omar", "is not the number of an exception"),
    ],
)
def test_who_may_what(rig, settings, command, who, why):
    rig.run("add", *ASKED)
    rig.configure(**settings)
    found = rig.run(*command, who=who)
    assert found.exit_code == 2
    assert why in found.output


def test_two_accounts_are_two_people(rig, monkeypatch):
    monkeypatch.setattr(config, "account", lambda: "ines")
    rig.run("add", *ASKED, who="")
    assert "another person" in rig.run("approve", "1", who="").output
    monkeypatch.setattr(config, "account", lambda: "omar")
    assert "exception 1: active" in rig.run("approve", "1", who="").output


def test_one_whose_time_is_over_is_shown_as_that(rig, monkeypatch):
    rig.run("add", *ASKED)
    rig.run("approve", "1", who="omar")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 4 * 86400)
    assert json.loads(rig.run("list", "--json").output)[0]["now"] == "ended"


@pytest.mark.parametrize(
    ("alter", "problem"),
    [
        (lambda text: text.replace("a visit", "a whim"), "changed: altered"),
        (lambda text: "".join(text.splitlines(keepends=True)[1:]), "was altered"),
        (lambda text: "".join(text.splitlines(keepends=True)[:-1]), "is missing"),
        (lambda text: text + text.splitlines()[-1], "the line has no end"),
    ],
)
def test_verify_finds_what_was_altered(rig, alter, problem):
    rig.run("add", *ASKED)
    rig.run("approve", "1", who="omar")
    rig.log.write_text(alter(rig.log.read_text()))
    found = rig.run("verify")
    assert found.exit_code == 1
    assert problem in found.output
    assert "NOT WHOLE" in found.output


def test_verify_finds_what_was_put_into_the_store(rig):
    import sqlite3

    rig.run("add", *ASKED)
    with sqlite3.connect(config.exceptions_file(config.load(rig.path))) as db:
        (text,) = db.execute("SELECT entry FROM exceptions").fetchone()
        db.execute(
            "UPDATE exceptions SET state = 'approved', entry = ?", (text.replace('"requested"', '"approved"', 1),)
        )
    db.close()
    found = rig.run("verify")
    assert (found.exit_code, "exception 1: the store holds what no line of the log says" in found.output) == (1, True)


def test_where_there_is_nothing_nothing_is_said(rig):
    assert rig.run("list").output == "there are none\n"
    assert rig.run("verify").exit_code == 1


def test_a_store_that_is_gone_is_not_taken_for_an_empty_one(rig):
    rig.run("add", *ASKED)
    config.exceptions_file(config.load(rig.path)).unlink()
    for command in (("list",), ("add", *ASKED), ("approve", "1"), ("revoke", "1")):
        found = rig.run(*command)
        assert (found.exit_code, "is gone, and its log" in found.output) == (2, True)


def test_what_a_policy_zone_cannot_say_is_said_at_once(rig):
    rig.add(rpz={"listen": ["127.0.0.1:5399"], "zones": [{"name": "press.rpz.example", "group": "press"}]})
    unsayable = ("add", "--name", "help.tiktok.com", "--client", "192.0.2.7", "--for", "1d", "--reason", "x")
    said = "press.rpz.example cannot say it"
    assert said in rig.run(*unsayable).output
    assert said in rig.run("approve", "1", who="omar").output
    assert said not in rig.run("revoke", "1").output
    assert said not in rig.run("add", *ASKED, "--group", "press").output


def test_what_is_approved_and_lifts_nothing_is_said(rig):
    rig.run("add", *ASKED, "--group", "press")
    rig.run("approve", "1", who="omar")
    (said,) = json.loads(rig.run("list", "--json").output)
    assert said["now"] == "active"
    rig.add(groups=[])
    assert "approved, but there is no group press" in rig.run("list").output
    rig.configure(local=False)
    assert "approved, but only signed ones count here" in rig.run("list").output


def test_those_of_a_bundle_are_listed(rig, monkeypatch):
    rig.run("add", *ASKED)
    now = int(time.time())
    brought = Grant("bundle:7", "T-1", "suffix", "x.example", "", "press", "", now - 5, now + 60, "omar")
    monkeypatch.setattr(current, "in_force", lambda found: current.InForce(found.lists, granted=(brought,)))
    own, bundled = json.loads(rig.run("list", "--json").output)
    assert (own["grant"]["id"], bundled["grant"]["id"], bundled["now"]) == ("1", "bundle:7", "active")
    assert bundled["approved_by"]["account"] == "omar"
    rig.bundles(keys=["RWSFayVJGxRMvk/Au6/q2kcyJU3WBL3UVPvVuTrmzKVNrtZbalWqXLVg"])
    monkeypatch.undo()
    monkeypatch.setattr(config, "account", lambda: "root")
    found = rig.run("list")
    assert (found.exit_code, "none is installed" in found.stderr, "help.tiktok.com" in found.stdout) == (0, True, True)
