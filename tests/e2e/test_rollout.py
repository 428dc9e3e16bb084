"""Staged rollouts of a running blocker: nobody, some, all; and back by themselves when they hit what must resolve."""

import json
import os
import signal
import time

import pytest

from tests.e2e.client import addresses
from tests.e2e.daemon import eventually
from tests.e2e.test_reload import IN_FORCE
from tests.e2e.upstream import V4, answer

BLOCKED = ["0.0.0.0"]
TRIAL = "app: trial\nentries:\n  - {value: new.example, kind: suffix}\n  - {value: tracker.canada.ca, kind: suffix}\n"
LISTS = {"trial.yaml": TRIAL, "banned.txt": "banned.example\n"}
PILOT, OTHER = "127.0.0.2", "127.0.0.3"  # clients


def plan(**said):
    return {"name": "trial", "file": "trial.yaml", "return_after": 5, "within": 60} | said


def config(*plans, **more):
    groups = [{"name": "pilot", "clients": [PILOT]}]
    return {"rollout": {"plans": list(plans) or [plan()]}, "groups": groups, **more}


def told(daemon, source, name="www.new.example"):
    """Return what each worker tells the client at `source`: new sockets reach all of them."""
    return {tuple(addresses(daemon.ask(name, source=source))) for _ in range(8)}


def move(daemon, *arguments):
    """Run a command that moves a rollout; it must be in force when it returns, and within the time."""
    began = time.monotonic()
    done = daemon.run("rollout", *arguments, "--reason", "a test", "--by", "somebody", "--config", str(daemon.path))
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began, done.stdout


def stage(daemon):
    (each,) = daemon.tell("rollouts")["rollouts"]
    return each["stage"]


def hit(daemon, upstream, times, at=0):
    """Ask for names that must resolve, and that a provider has moved to where the rollout's entry is."""
    for number in range(at, at + times):
        name = f"n{number}.canada.ca"
        upstream.scripts[name] = answer(f"{name}. 300 CNAME x.new.example.", f"x.new.example. 300 A {V4}")
        daemon.ask(name, source=OTHER)


def test_from_nobody_to_everybody_without_compiling(start):
    daemon = start(config(plan(groups=["pilot"], percent=50)), lists=LISTS)
    compiled = {path: path.stat().st_mtime_ns for path in (daemon.folder / "state").glob("lists-*.index")}
    assert told(daemon, PILOT) == told(daemon, OTHER) == {(V4,)}
    assert told(daemon, OTHER, "banned.example") == {tuple(BLOCKED)}  # no rollout is about it
    line = eventually(lambda: [each for each in daemon.attempts() if each["qname"] == "www.new.example"])[0]
    assert (line["action"], line["rollout"], line["app"]) == ("shadow", "trial", "trial")
    assert daemon.count("blocker_shadowed_total", app="trial") == 16
    assert daemon.count("blocker_rollout_stage", rollout="trial", stage="shadow") == 1

    took, said = move(daemon, "advance", "trial")
    assert "groups pilot, in force" in said
    assert took < IN_FORCE
    assert (told(daemon, PILOT), told(daemon, OTHER)) == ({tuple(BLOCKED)}, {(V4,)})

    move(daemon, "advance", "trial")
    assert stage(daemon) == "percent 50 and groups pilot"
    assert told(daemon, PILOT) == {tuple(BLOCKED)}  # whom it has reached it does not leave
    sources = [f"127.0.1.{number}" for number in range(1, 41)]
    reached = {source for source in sources if told(daemon, source) == {tuple(BLOCKED)}}
    assert 8 <= len(reached) <= 32  # half of forty
    move(daemon, "advance", "trial", "--percent", "80")
    more = {source for source in sources if told(daemon, source) == {tuple(BLOCKED)}}
    assert reached < more

    move(daemon, "advance", "trial")
    assert told(daemon, PILOT) == told(daemon, OTHER) == {tuple(BLOCKED)}
    move(daemon, "return", "trial")
    assert told(daemon, PILOT) == told(daemon, OTHER) == {(V4,)}
    assert daemon.count("blocker_rollout_attempts_total", rollout="trial", result="blocked") > 0
    assert {path: path.stat().st_mtime_ns for path in (daemon.folder / "state").glob("lists-*.index")} == compiled
    assert daemon.count("blocker_worker_restarts_total") == 0


def test_it_goes_back_by_itself_and_only_a_person_lifts_it(start, upstream):
    daemon = start(config(plan(stage="all")), lists=LISTS)
    assert told(daemon, OTHER) == {tuple(BLOCKED)}
    hit(daemon, upstream, 4)
    assert addresses(daemon.ask("sub.tracker.canada.ca", source=OTHER)) == BLOCKED  # the fifth: listed itself
    began = time.monotonic()
    eventually(lambda: told(daemon, OTHER) == {(V4,)})
    assert time.monotonic() - began < 5.0
    assert told(daemon, OTHER, "banned.example") == {tuple(BLOCKED)}
    assert "a rollout was taken back to shadow" in daemon.log
    assert daemon.count("blocker_rollout_must_resolve_hits_total", rollout="trial") == 5
    eventually(lambda: daemon.count("blocker_rollout_stage", rollout="trial", stage="shadow") == 1)
    returned = daemon.count("blocker_rollout_returned_timestamp_seconds", rollout="trial")
    assert abs(returned - time.time()) < 30

    daemon.configure({"rollout": {"plans": [plan(stage="percent", percent=99)]}})  # no edit lifts it
    assert daemon.reload().returncode == 0
    assert stage(daemon) == "shadow"
    daemon.configure({"rollout": {"plans": []}})  # nor does taking it out
    assert daemon.reload().returncode == 0
    assert (stage(daemon), told(daemon, OTHER)) == ("shadow", {(V4,)})
    assert daemon.stop() == 0
    again = start(config(plan(stage="all")), folder=daemon.folder, lists=LISTS)  # nor a restart
    assert told(again, OTHER) == {(V4,)}
    shown = again.run("rollout", "show", "trial", "--config", str(again.path)).stdout
    assert "5 hits on names that must resolve within 60 s" in shown
    explained = again.run("explain", "new.example", "--client", OTHER, "--config", str(again.path)).stdout
    assert "stage shadow and has not reached this client; it was taken back: 5 hits" in explained
    move(again, "advance", "trial", "--to", "all")
    assert told(again, OTHER) == {tuple(BLOCKED)}
    hit(again, upstream, 4, at=10)  # the former hits are settled: these are too few
    eventually(lambda: again.count("blocker_rollout_must_resolve_hits_total", rollout="trial") == 9)
    assert stage(again) == "all"


def test_hits_count_on_when_who_counts_is_killed(start, upstream):
    daemon = start(config(plan(stage="all")), lists=LISTS)
    hit(daemon, upstream, 3)
    kept = daemon.folder / "state" / "rollout-hits.json"
    eventually(lambda: kept.exists() and json.loads(kept.read_text())["trial"][0] == 3)
    control = daemon.children()["control"]
    os.kill(control, signal.SIGKILL)
    hit(daemon, upstream, 2, at=3)
    eventually(lambda: daemon.children().get("control") not in (None, control))
    eventually(lambda: told(daemon, OTHER) == {(V4,)})
    assert "5 hits on names that must resolve" in daemon.log


def test_a_return_does_not_wait_for_a_configuration_that_is_broken(start, upstream):
    daemon = start(config(plan(stage="all")), lists=LISTS)
    daemon.path.write_text("listen: nonsense\n")
    hit(daemon, upstream, 5)
    eventually(lambda: told(daemon, OTHER) == {(V4,)})
    assert told(daemon, OTHER, "banned.example") == {tuple(BLOCKED)}
    eventually(lambda: daemon.count("blocker_reload_last_successful") == 0)  # and the mistake is told


@pytest.mark.parametrize("log", ["off", "nowhere"])
def test_it_goes_back_whether_or_not_attempts_are_logged(start, upstream, log):
    """Without a log, and with evidence that cannot be written: then it waits, but it is counted."""
    if log == "off":
        daemon = start(config(plan(stage="all"), log={"attempts": "off"}), lists=LISTS)
    else:
        evidence = {"chain": True}
        daemon = start(config(plan(stage="all"), log={"attempts": "/dev/full"}, evidence=evidence), lists=LISTS)
    hit(daemon, upstream, 5)
    eventually(lambda: told(daemon, OTHER) == {(V4,)})


def test_a_damaged_file_holds_everything_in_shadow(start):
    daemon = start(config(plan(stage="all")), lists=LISTS)
    assert told(daemon, OTHER) == {tuple(BLOCKED)}
    (daemon.folder / "state" / "rollout.json").write_text("{")
    assert daemon.reload().returncode == 0
    assert told(daemon, OTHER) == {(V4,)}
    assert "all rollouts are held in shadow" in daemon.log
