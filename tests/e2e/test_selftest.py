"""The self-test beside a blocker that serves: what it asks, what it tells, and that it is nobody's attempt."""

import json
import os
import re
import signal
import socket
import threading

import pytest

from blocker.wire.query import parse_query
from tests.e2e.daemon import LIST, eventually
from tests.e2e.upstream import answer

NEEDED = "must_resolve:\n  - {value: needed.example, why: a test}\n"
CONFIG = {"selftest": {"interval": 1}, "log": {"queries": "off"}}


@pytest.fixture
def daemon(start):
    """A blocker that asks itself each second."""
    made = start(CONFIG)
    (made.lists / "must_resolve.yaml").write_text(NEEDED)
    assert made.reload().returncode == 0
    eventually(lambda: made.count("blocker_enforcement_ok", app="banned"))
    return made


def test_what_is_banned_is_blocked_and_nobody_asked_for_it(daemon, upstream):
    assert daemon.count("blocker_enforcement_ok", app="banned") == 1
    assert daemon.count("blocker_resolution_ok") == 1
    assert daemon.count("blocker_blocked_total", app="banned", group="selftest") >= 2  # over UDP and over TCP
    daemon.ask("banned.example")
    eventually(daemon.attempts)
    assert {line["group"] for line in daemon.attempts()} == {"default"}
    assert "NOT ENFORCED" not in daemon.log


def test_an_upstream_that_is_gone_is_told_and_readiness_does_not_mind(daemon, upstream):
    upstream.close()
    eventually(lambda: not daemon.count("blocker_resolution_ok"), within=30)
    assert daemon.count("blocker_enforcement_ok", app="banned") == 1
    assert daemon.get("/readyz")[0] == 200
    eventually(lambda: "names that must resolve do not" in daemon.log)


def test_what_stands_behind_a_name_that_must_resolve_is_seen_at_once(start, upstream):
    """One of very many; the rounds, one name each, would come to it in minutes."""
    upstream.scripts["behind.example"] = answer(
        "behind.example. 300 CNAME edge.banned.example.", "edge.banned.example. 300 A 203.0.113.9"
    )
    needed = ["behind.example", *(f"n{number}.needed.example" for number in range(200))]
    entries = "".join(f"  - {{value: {name}, why: a test}}\n" for name in needed)
    daemon = start(
        CONFIG | {"selftest": {"interval": 2}},
        lists={"banned.yaml": LIST, "must_resolve.yaml": "must_resolve:\n" + entries},
    )
    said = f"names that must resolve do not: behind.example at 127.0.0.1:{daemon.port}: it is blocked"
    eventually(lambda: said in daemon.log)
    eventually(lambda: "blocker_resolution_ok 0.0" in daemon.get("/metrics")[1])
    done = daemon.run("selftest", "--all", "--config", str(daemon.path), "--json")
    resolution = json.loads(done.stdout)["resolution"]
    assert (done.returncode, resolution["name"], len(resolution["failures"])) == (1, "behind.example", 1)
    assert resolution["asked"] >= len(needed)
    (daemon.lists / "banned.yaml").write_text(LIST.replace("banned.example", "other.example"))
    assert daemon.reload().returncode == 0
    eventually(lambda: daemon.count("blocker_resolution_ok") == 1)
    assert "the self-test passes again" in daemon.log
    assert daemon.run("selftest", "--all", "--config", str(daemon.path)).returncode == 0


def test_a_reload_does_not_look_like_a_hole(daemon):
    checked = daemon.count("blocker_enforcement_checked_timestamp_seconds", app="banned")
    for number in range(5):
        daemon.configure({"answers": {"sinkhole_v4": [f"192.0.2.{number + 1}"]}})
        assert daemon.tell("reload")["ok"]
    eventually(lambda: daemon.count("blocker_enforcement_checked_timestamp_seconds", app="banned") > checked + 1)
    assert daemon.count("blocker_enforcement_ok", app="banned") == 1
    assert "NOT ENFORCED" not in daemon.log


def test_another_one_takes_its_place(daemon):
    former = daemon.children()["selftest"]
    os.kill(former, signal.SIGKILL)
    checked = daemon.count("blocker_enforcement_checked_timestamp_seconds", app="banned")
    eventually(lambda: daemon.count("blocker_enforcement_checked_timestamp_seconds", app="banned") > checked)
    assert daemon.children()["selftest"] != former


def test_it_ends_with_the_configuration(daemon):
    daemon.configure({"selftest": {"interval": 0}})
    assert daemon.reload().returncode == 0
    eventually(lambda: "selftest" not in daemon.children())
    assert "blocker_enforcement_ok" not in daemon.get("/metrics")[1]


def test_the_command_asks_now(daemon):
    done = daemon.run("selftest", "--config", str(daemon.path), "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["ok"], said["apps"]["banned"]["asked"]) == (0, True, 2), done.stderr
    assert daemon.run("selftest", "--config", str(daemon.path)).stdout.count(" ok ") >= 2


def test_a_worker_that_is_silent_does_not_hide_behind_the_other(daemon):
    for _ in range(4):  # once in 128 times the kernel gives all ports to one of the two
        worker = daemon.children()["worker 0"]
        os.kill(worker, signal.SIGSTOP)
        try:
            done = daemon.run("selftest", "--config", str(daemon.path), "--json")
        finally:
            os.kill(worker, signal.SIGCONT)
        failures = json.loads(done.stdout)["apps"]["banned"]["failures"]
        if found := [each for each in failures if re.search(r"over udp: it gave no answer \(\d of 8 times\)", each)]:
            break
    assert found, failures
    assert done.returncode == 1


def test_where_nothing_banned_can_be_asked_nothing_is_said_to_be_well(start):
    daemon = start(CONFIG, hosts=("::1",))
    done = daemon.run("selftest", "--config", str(daemon.path), "--json")
    assert (done.returncode, json.loads(done.stdout)["unknown"]) == (2, ["banned"])
    assert "selftest.source_v6" in done.stderr
    eventually(lambda: "selftest.source_v6" in daemon.log)


def test_one_who_took_the_address_is_found_out(daemon):
    """Somebody answers in our place: every answer is the truth, and that is what is wrong."""
    assert daemon.stop() == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(daemon.address)
        udp.settimeout(20)

        def body():
            for _ in range(2 * 8):  # the app's name, and one that must resolve, from the ports for two workers
                packet, peer = udp.recvfrom(4096)
                record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xcb\0\x71\x09"
                end = parse_query(packet).question_end
                head = packet[:2] + b"\x81\x80\0\1\0\1\0\0\0\1"
                udp.sendto(head + packet[12:end] + record + packet[end:], peer)

        thread = threading.Thread(target=body)
        thread.start()
        done = daemon.run("selftest", "--config", str(daemon.path), "--json")
        thread.join()
    said = json.loads(done.stdout)
    assert (done.returncode, said["resolution"]["failures"][:-1]) == (1, [])
    by_udp, by_tcp = said["apps"]["banned"]["failures"]
    assert by_udp.endswith("over udp: it answered 203.0.113.9, not 0.0.0.0")
    assert by_tcp.endswith("over tcp: Connection refused")
