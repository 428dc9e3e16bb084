"""Exceptions as people use them: asked for, approved, in force on every worker, over by themselves."""

import json
import os
import signal
import sqlite3
import subprocess
import time

import pytest

from tests.e2e.client import addresses
from tests.e2e.daemon import BLOCKER, eventually, records
from tests.e2e.test_reload import IN_FORCE, generations
from tests.e2e.upstream import V4

NAME = "www.banned.example"
BLOCKED = ["0.0.0.0"]
ENDS = 4.25  # seconds after its end in which an exception may still be heard: a look at the clock, and a busy machine


def act(daemon, command, *arguments, who="ines"):
    """Run a command as the person `who`, and return what it says."""
    done = daemon.run("exceptions", command, *arguments, "--as", who, "--config", str(daemon.path), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def request(daemon, *arguments, lasts="1h"):
    what = arguments or ("--name", "banned.example")
    return act(daemon, "add", *what, "--for", lasts, "--reason", "a drill", "--ticket", "INC-1")["grant"]["id"]


def approve(daemon, number):
    return act(daemon, "approve", number, who="omar")


def audit(daemon):
    return [each["event"] for each in records(daemon.folder / "state" / "exceptions.audit.jsonl")]


def asked_for_ever(daemon, until, name=NAME, every=0.02):
    """Ask until `until` is heard; return everything that was heard, with its time."""
    heard = []
    with daemon.client() as client:
        while not heard or heard[-1][1] != until:
            found = addresses(client.ask(name))
            heard.append((time.time(), found))
            assert len(heard) < 2000
            time.sleep(every)
    return heard


def test_from_the_request_to_its_end(start, upstream):
    """In force within two seconds on every worker, used, told of, and over by itself; no answer is lost meanwhile."""
    daemon = start()
    assert addresses(daemon.ask(NAME)) == BLOCKED
    (before,) = generations(daemon)
    number = request(daemon, lasts="20s")
    assert daemon.everywhere(NAME, BLOCKED)  # a request changes nothing
    eventually(lambda: daemon.count("blocker_exceptions", state="requested") == 1)
    began = time.monotonic()
    said = approve(daemon, number)
    assert time.monotonic() - began < IN_FORCE
    assert said["running"]["in_force"]
    assert said["running"]["seconds"] < IN_FORCE
    assert daemon.everywhere(NAME, [V4])
    assert addresses(daemon.ask("other.example")) == [V4]
    assert generations(daemon) == {before}  # nothing was compiled or read but the exceptions
    assert daemon.count("blocker_exceptions", state="active") == 1
    assert daemon.count("blocker_policy_turn_timestamp_seconds") == said["grant"]["ends"]
    explained = daemon.run("explain", NAME, "--config", str(daemon.path))
    assert explained.returncode == 0
    assert "excepted" in explained.stdout
    assert "approved by omar, ticket INC-1" in explained.stdout
    ends = said["grant"]["ends"]
    heard = asked_for_ever(daemon, BLOCKED)
    assert {each for _, (each,) in heard[:-1]} == {V4}
    assert ends <= heard[-1][0] < ends + ENDS
    eventually(lambda: daemon.everywhere(NAME, BLOCKED))
    assert time.time() < ends + ENDS
    eventually(lambda: audit(daemon) == ["start", "requested", "approved", "ended"])
    eventually(lambda: daemon.count("blocker_exceptions_closed_total", how="ended") == 1)
    assert daemon.count("blocker_exceptions", state="active") == 0
    assert daemon.count("blocker_excepted_total", app="banned", group="default") >= len(heard) - 1
    used = [each for each in daemon.attempts() if each["action"] == "except"]
    assert used
    assert {(each["exception"], each["ticket"], each["entry"].rpartition("/")[2]) for each in used} == {
        (number, "INC-1", "banned.yaml:9")
    }
    verified = daemon.run("exceptions", "verify", "--config", str(daemon.path))
    assert verified.returncode == 0, verified.stdout
    assert daemon.count("blocker_errors_total") == daemon.count("blocker_reload_total", result="refused") == 0


def test_it_ends_on_time_whatever_has_been_broken_meanwhile(start):
    """A list that nobody can read, a store that nobody can read, workers and control process killed."""
    daemon = start()
    number = request(daemon, lasts="20s")
    ends = approve(daemon, number)["grant"]["ends"]
    assert daemon.everywhere(NAME, [V4])
    (daemon.lists / "banned.yaml").write_text("nonsense: [\n")
    (daemon.folder / "state" / "exceptions.db").write_bytes(b"nonsense" * 1000)
    for each in (daemon.folder / "state").glob("exceptions.db-*"):
        each.unlink()
    refused = daemon.reload()
    assert refused.returncode == 1
    for name, pid in daemon.children().items():
        if name != "supervisor":
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: daemon.get("/readyz")[0] == 200)
    assert daemon.everywhere(NAME, [V4])  # who starts anew starts with what is in force
    time.sleep(max(0.0, ends - time.time() - 1.5))
    victim = daemon.workers()[0]
    os.kill(victim, signal.SIGKILL)  # around the time of the end
    heard = asked_for_ever(daemon, BLOCKED, every=0.05)
    assert heard[-1][0] < ends + ENDS
    eventually(lambda: daemon.everywhere(NAME, BLOCKED))
    eventually(lambda: daemon.count("blocker_exceptions_readable") == 0)
    assert "cannot be kept; those in force end all the same" in daemon.log


def test_revoking_is_in_force_when_the_command_returns(start):
    daemon = start()
    number = request(daemon, "--exact", NAME)
    approve(daemon, number)
    assert daemon.everywhere(NAME, [V4])
    assert daemon.everywhere("banned.example", BLOCKED)
    assert act(daemon, "revoke", number, "--reason", "no longer needed")["state"] == "revoked"
    assert daemon.everywhere(NAME, BLOCKED)
    assert audit(daemon) == ["start", "requested", "approved", "revoked"]


def test_for_a_group_for_a_client_for_an_app(start):
    groups = [{"name": "press", "clients": ["127.0.0.8/29"]}]
    daemon = start({"groups": groups})
    of_client = request(daemon, "--app", "banned", "--client", "127.0.0.9", "--group", "press")
    approve(daemon, of_client)
    heard = {source: addresses(daemon.ask(NAME, source=source)) for source in ("127.0.0.9", "127.0.0.10", "127.0.0.1")}
    assert heard == {"127.0.0.9": [V4], "127.0.0.10": BLOCKED, "127.0.0.1": BLOCKED}
    approve(daemon, request(daemon, "--pattern", "www.bann*.example", "--group", "press"))
    heard = {source: addresses(daemon.ask(NAME, source=source)) for source in ("127.0.0.9", "127.0.0.10", "127.0.0.1")}
    assert heard == {"127.0.0.9": [V4], "127.0.0.10": [V4], "127.0.0.1": BLOCKED}
    assert addresses(daemon.ask("banned.example", source="127.0.0.10")) == BLOCKED


def test_nobody_approves_what_he_asked_for(start):
    daemon = start()
    number = request(daemon)
    for who in ("ines", "INES", "Ｉnes"):
        done = daemon.run("exceptions", "approve", number, "--as", who, "--config", str(daemon.path))
        assert done.returncode == 2
        assert "another person must approve it" in done.stderr
    assert addresses(daemon.ask(NAME)) == BLOCKED
    assert audit(daemon) == ["start", "requested"]


def test_a_change_that_nobody_told_the_blocker_of_is_noticed(start):
    """As when the command was killed between the store and the control socket."""
    daemon = start()
    number = request(daemon)
    other = daemon.folder / "elsewhere.yaml"
    other.write_text(
        daemon.path.read_text().replace("state_dir:", f"control: {daemon.folder}/nobody.sock\n  state_dir:")
    )
    done = daemon.run("exceptions", "approve", number, "--as", "omar", "--config", str(other))
    assert done.returncode == 0, done.stderr
    assert "no blocker runs" in done.stdout
    eventually(lambda: daemon.everywhere(NAME, [V4]))


def test_what_was_approved_holds_over_a_restart_and_what_has_ended_does_not(start, tmp_path):
    daemon = start(folder=tmp_path / "same")
    kept, over = request(daemon), request(daemon, "--name", "also.banned.example", lasts="20s")
    approve(daemon, kept)
    ends = approve(daemon, over)["grant"]["ends"]
    assert daemon.stop() == 0
    time.sleep(max(0.0, ends - time.time()))
    again = start(folder=tmp_path / "same")
    assert again.everywhere(NAME, [V4])
    act(again, "revoke", kept)
    assert again.everywhere("also.banned.example", BLOCKED)
    eventually(lambda: "ended" in audit(again))


def test_without_a_store_it_starts_and_excepts_nothing(start, tmp_path):
    daemon = start(folder=tmp_path / "same")
    approve(daemon, request(daemon))
    assert daemon.stop() == 0
    state = tmp_path / "same" / "state"
    with sqlite3.connect(state / "exceptions.db") as db:
        db.execute("UPDATE exceptions SET entry = 'nonsense'")
    db.close()
    again = start(folder=tmp_path / "same")
    assert again.everywhere(NAME, BLOCKED)
    assert again.count("blocker_exceptions_readable") == 0
    assert "none is in force" in again.log


def test_an_altered_log_is_found(start):
    daemon = start()
    approve(daemon, request(daemon))
    log = daemon.folder / "state" / "exceptions.audit.jsonl"
    whole = log.read_text()
    for altered, status in (
        (whole, 0),
        (whole.replace("a drill", "a whim"), 1),
        ("".join(whole.splitlines(True)[::2]), 1),
    ):
        log.write_text(altered)
        for command in (("evidence", "verify", str(log)), ("exceptions", "verify", "--config", str(daemon.path))):
            assert daemon.run(*command).returncode == status, command
    assert daemon.everywhere(NAME, [V4])


def test_schedules_turn_by_themselves(start):
    """Windows that open at the next full minute, the smallest unit that people can write."""
    now = time.time()
    minute = now + 70 - (now + 10) % 60  # there is time to start
    opens = time.gmtime(minute)
    hours = f"{opens.tm_hour:02}:{opens.tm_min:02}-{(opens.tm_hour + 2) % 24:02}:00"
    groups = [
        {"name": name, "clients": [client], "schedules": [{"apps": ["banned"], "hours": hours, **what}]}
        for name, client, what in (
            ("work", "127.0.0.1", {"inside": "block", "outside": "allow"}),
            ("lunch", "127.0.0.2", {"inside": "allow", "outside": "block"}),
        )
    ]
    daemon = start({"groups": groups})

    def heard():
        return [addresses(daemon.ask(NAME, source=source)) for source in ("127.0.0.1", "127.0.0.2")]

    assert heard() == [[V4], BLOCKED]
    eventually(lambda: daemon.count("blocker_policy_turn_timestamp_seconds") == pytest.approx(minute, abs=1))
    eventually(lambda: heard() == [BLOCKED, [V4]], within=80)
    assert minute <= time.time() < minute + ENDS
    for client, does in (("127.0.0.1", "block"), ("127.0.0.2", "allow")):
        explained = daemon.run("explain", NAME, "--client", client, "--config", str(daemon.path))
        assert f"inside, so {does} until" in explained.stdout
    then = daemon.run(
        "explain", NAME, "--client", "127.0.0.1", "--at", f"{int(minute) - 1}", "--config", str(daemon.path)
    )
    assert "is not a time" in then.stderr
    told = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(minute - 1))}Z"
    then = daemon.run("explain", NAME, "--client", "127.0.0.1", "--at", told, "--config", str(daemon.path))
    assert "outside, so allow until" in then.stdout


def test_the_command_tells_who_may_not_act_for_others(start):
    daemon = start({"exceptions": {"delegates": ["helpdesk"]}})
    done = daemon.run(
        "exceptions", "add", "--name", "banned.example", "--for", "1h", "--reason", "x", "--as", "ines",
        "--config", str(daemon.path),
    )  # fmt: skip
    assert done.returncode == 2
    assert "may not act for others" in done.stderr
    plain = subprocess.run(
        [*BLOCKER, "exceptions", "list", "--config", str(daemon.path)], env=daemon.environment, capture_output=True,
        text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "there are none" in plain.stdout
