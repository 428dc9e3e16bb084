"""A node that trusts a key: a good bundle is in force at once, anything else changes nothing."""

import json
import time

import pytest

from blocker.bundle import granted, signature
from blocker.bundle.manifest import EXCEPTIONS
from blocker.exceptions.entry import Entry, Grant, Person, State
from tests.bundle import node
from tests.bundle.publisher import DAY, NAME, A, B, bundle, signed
from tests.e2e.client import addresses
from tests.e2e.daemon import eventually
from tests.e2e.test_reload import IN_FORCE, generations
from tests.e2e.upstream import V4

CONFIG = {"bundles": {"keys": [str(A.public)]}, "lists": {"directories": [], "watch": False}}
BLOCKED = ["0.0.0.0"]
MORE = {NAME: b"banned.example\nnew.example\n"}


def at(seconds=0):
    return int(time.time()) + seconds


def put(daemon, octets, *signers):
    """Lay a bundle and its signatures beside each other, as a courier does; return its path."""
    path = daemon.folder / "in.bundle"
    path.write_bytes(octets)
    path.with_name("in.bundle.minisig").write_bytes(signature.joined(signed(octets, *signers)) if signers else b"")
    return path


def install(daemon, octets, *signers):
    return daemon.run("bundle", "install", str(put(daemon, octets, *signers)), "--config", str(daemon.path))


@pytest.fixture
def serving(start, tmp_path):
    """Return what starts a daemon in whose state folder serial 1 is installed already."""

    def make(config=CONFIG, age=3600, **how):
        folder = tmp_path / "node"
        created = at(-age)
        node.put(node.config(folder / "state"), bundle(1, created=created, expires=created + 30 * DAY), now=created)
        return start(config, folder=folder, **how)

    return make


def test_a_new_bundle_is_in_force_when_the_command_returns(serving):
    daemon = serving()
    assert addresses(daemon.ask("www.banned.example")) == BLOCKED
    assert addresses(daemon.ask("www.new.example")) == [V4]
    (before,) = generations(daemon)
    found = install(daemon, bundle(2, MORE, created=at(), expires=at(DAY)), A)
    assert found.returncode == 0, found.stderr
    assert daemon.everywhere("www.new.example", BLOCKED)
    (after,) = generations(daemon)
    assert after > before
    assert f"in force, generation {after}" in found.stdout
    assert daemon.count("blocker_bundle_serial") == 2
    assert daemon.tell("status")["bundle"]["serial"] == 2
    line = eventually(lambda: [each for each in daemon.attempts() if each["qname"] == "www.new.example"])[0]
    assert line["entry"].endswith("/state/bundles/2/lists/00-own/own.txt:2")


def test_exceptions_in_a_bundle_hold_on_the_node_for_their_time(serving):
    daemon = serving()
    assert addresses(daemon.ask("help.banned.example")) == BLOCKED
    ends = at(20)
    grant = Grant("7", "T-1", "suffix", "help.banned.example", "", "", "", 0, ends, "omar")
    entry = Entry(grant, State.APPROVED, "a hearing", Person("ines"), at(-60), Person("omar"), at(-60))
    files = {NAME: b"banned.example\n", EXCEPTIONS: granted.octets([entry])}
    found = install(daemon, bundle(2, files, created=at(), expires=at(DAY)), A)
    assert found.returncode == 0, found.stderr
    assert daemon.everywhere("help.banned.example", [V4])
    assert addresses(daemon.ask("www.banned.example")) == BLOCKED
    said = daemon.run("explain", "help.banned.example", "--config", str(daemon.path), "--json")
    assert json.loads(said.stdout)["exception"]["id"] == "bundle:7"
    eventually(lambda: daemon.everywhere("help.banned.example", BLOCKED), within=40)
    assert time.time() >= ends


def test_a_bundle_whose_exceptions_nobody_approved_is_not_installed(serving):
    daemon = serving()
    grant = Grant("7", "", "suffix", "help.banned.example", "", "", "", 0, at(600), "ines")
    entry = Entry(grant, State.APPROVED, "a hearing", Person("ines"), at(), Person("Ines"), at())
    files = {NAME: b"banned.example\n", EXCEPTIONS: granted.octets([entry])}
    found = install(daemon, bundle(2, files, created=at(), expires=at(DAY)), A)
    assert (found.returncode, daemon.count("blocker_bundle_serial")) == (1, 1), found.stderr
    assert "no second person has approved" in found.stdout + found.stderr


def test_a_node_whose_socket_cannot_be_reached_notices_by_itself(serving):
    daemon = serving({**CONFIG, "lists": {"directories": [], "watch": True}})
    time.sleep(0.3)  # until it watches, which nobody can see from outside
    began = time.monotonic()
    octets = bundle(2, MORE, created=at(-60), expires=at(DAY))
    node.put(node.config(daemon.folder / "state"), octets, now=at())  # as from another container
    eventually(lambda: daemon.everywhere("www.new.example", BLOCKED))
    assert time.monotonic() - began < IN_FORCE


@pytest.mark.parametrize("what", ["tampered", "unsigned", "another key", "older", "expired"])
def test_anything_else_changes_nothing(serving, what):
    daemon = serving()
    good = bundle(2, MORE, created=at(), expires=at(DAY))
    if what == "tampered":
        path = put(daemon, good, A)
        path.write_bytes(good.replace(b"new.example", b"old.example"))
        found = daemon.run("bundle", "install", str(path), "--config", str(daemon.path))
    else:
        found = {
            "unsigned": lambda: install(daemon, good),
            "another key": lambda: install(daemon, good, B),
            "older": lambda: install(daemon, bundle(1, MORE, created=at(), expires=at(DAY)), A),
            "expired": lambda: install(daemon, bundle(2, MORE, created=at(-2 * DAY), expires=at(-DAY)), A),
        }[what]()
    assert found.returncode == 1
    assert found.stderr.startswith("refused: ")
    assert addresses(daemon.ask("www.new.example")) == [V4]
    assert addresses(daemon.ask("www.banned.example")) == BLOCKED
    assert daemon.count("blocker_bundle_serial") == 1
    why = {"tampered": "tampered", "unsigned": "key", "another key": "key", "older": "serial", "expired": "expired"}
    assert daemon.count("blocker_bundle_refused_total", reason=why[what]) == 1
    assert daemon.count("blocker_bundle_refused_total") == 1


def test_an_expired_bundle_stays_in_force_and_says_so(serving):
    daemon = serving(age=40 * DAY)
    assert addresses(daemon.ask("www.banned.example")) == BLOCKED
    assert "lists come from a bundle that has expired" in daemon.log
    assert daemon.count("blocker_bundle_expiry_timestamp_seconds") < time.time()
    assert "expired" in daemon.tell("status")["bundle"]["state"]


def test_what_was_changed_on_disk_never_comes_into_force(serving):
    daemon = serving()
    own = daemon.folder / "state" / "bundles" / "1" / NAME
    own.write_text("harmless.example\n")
    found = daemon.reload()
    assert found.returncode == 1
    assert "own.txt: is not what was signed" in found.stderr
    assert addresses(daemon.ask("www.banned.example")) == BLOCKED
    daemon.run("bundle", "install", "/nowhere", "--config", str(daemon.path))  # does no harm either
    assert addresses(daemon.ask("www.banned.example")) == BLOCKED


def test_without_a_bundle_it_does_not_start(start):
    daemon = start(CONFIG, wait=False)
    assert daemon.ended() != 0
    assert "none is installed. Run: blocker bundle install FILE" in daemon.log
