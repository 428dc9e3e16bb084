"""Other lists, other policy, the same processes: nothing is lost, nothing is forgotten, nothing bad gets in."""

import signal
import threading
import time

import pytest

from tests.e2e.client import addresses, query, rcode
from tests.e2e.daemon import eventually
from tests.e2e.upstream import V4

WATCHED = {"lists": {"watch": True}}
IN_FORCE = 6.0  # seconds, three times what a change may take on every worker: other work may share the machine


def generations(daemon):
    return {worker["generation"] for worker in daemon.tell("status")["workers"]}


@pytest.mark.parametrize("how", ["a file", "a line", "replaced"])
def test_a_changed_list_is_in_force_by_itself(start, upstream, how):
    daemon = start(WATCHED, lists={"own.txt": "raffle.example\n"})
    with daemon.client() as client:
        assert addresses(client.ask("www.new.example")) == [V4]
        assert addresses(client.ask("warm.example")) == [V4]
        (before,) = generations(daemon)
        time.sleep(0.3)  # until it watches, which nobody can see from outside
        began = time.monotonic()
        if how == "a file":
            (daemon.lists / "more.txt.new").write_text("new.example\n")
            (daemon.lists / "more.txt.new").rename(daemon.lists / "more.txt")
        elif how == "a line":
            with (daemon.lists / "own.txt").open("a") as file:
                file.write("new.example\n")
        else:
            (daemon.lists / "own.txt.new").write_text("raffle.example\nnew.example\n")
            (daemon.lists / "own.txt.new").rename(daemon.lists / "own.txt")
        eventually(lambda: daemon.everywhere("www.new.example", ["0.0.0.0"]))
        assert time.monotonic() - began < IN_FORCE
        (after,) = generations(daemon)
        assert after > before
        assert addresses(client.ask("www.raffle.example")) == ["0.0.0.0"]
        asked = len(upstream.seen("warm.example"))
        assert addresses(client.ask("warm.example")) == [V4]
        assert len(upstream.seen("warm.example")) == asked == 1  # what upstreams said is still known
    assert upstream.seen("raffle.example") == []
    eventually(lambda: daemon.count("blocker_reload_total", result="success") == 1)
    assert daemon.count("blocker_list_entries", app="own") == (1 if how == "a file" else 2)


def test_a_cached_answer_is_blocked_by_a_new_list_and_told_again_by_an_old_one(start, upstream):
    daemon = start()
    with daemon.client() as client:
        assert addresses(client.ask("www.new.example")) == [V4]
        (daemon.lists / "more.txt").write_text("new.example\n")
        assert daemon.reload().returncode == 0
        assert addresses(client.ask("www.new.example")) == ["0.0.0.0"]
        (daemon.lists / "more.txt").unlink()
        assert daemon.reload().returncode == 0
        assert addresses(client.ask("www.new.example")) == [V4]
    assert len(upstream.seen("new.example")) == 1


def test_a_bad_list_changes_nothing_and_is_named(start, upstream):
    daemon = start()
    (before,) = generations(daemon)
    with (daemon.lists / "banned.yaml").open("a") as file:
        file.write("  - {value: raffle.example, kind: suffix}\n  - {value: not a name, kind: suffix}\n")
    found = daemon.reload()
    assert found.returncode == 1
    assert "reload refused" in found.stderr
    assert f"{daemon.lists / 'banned.yaml'}:11: " in found.stderr
    assert addresses(daemon.ask("www.banned.example")) == ["0.0.0.0"]
    assert addresses(daemon.ask("www.raffle.example")) == [V4]
    assert generations(daemon) == {before}
    assert daemon.count("blocker_reload_total", result="refused") == 1
    assert daemon.count("blocker_reload_last_successful") == 0
    assert "banned.yaml:11" in daemon.log
    assert daemon.tell("status")["reloads"]["last_problems"]
    text = (daemon.lists / "banned.yaml").read_text()
    (daemon.lists / "banned.yaml").write_text(text.replace("not a name", "a.name.example"))
    assert daemon.reload().returncode == 0
    assert addresses(daemon.ask("www.raffle.example")) == ["0.0.0.0"]
    assert daemon.count("blocker_reload_last_successful") == 1


def test_a_bad_configuration_changes_nothing_and_is_named(start):
    daemon = start()
    good = daemon.path.read_text()
    daemon.path.write_text(good + "colour: blue\n")
    daemon.signal(signal.SIGHUP)
    eventually(lambda: "colour" in daemon.log)
    assert addresses(daemon.ask("www.banned.example")) == ["0.0.0.0"]
    daemon.path.write_text(good)
    assert daemon.reload().returncode == 0


def test_other_groups_are_in_force_after_a_signal(start, upstream):
    daemon = start()
    assert addresses(daemon.ask("www.banned.example", source="127.0.0.9")) == ["0.0.0.0"]
    guests = {"name": "guests", "clients": ["127.0.0.9"], "block": [], "monitor": ["banned"]}
    daemon.configure({"groups": [guests], "unlisted": {"action": "nxdomain"}})
    daemon.signal(signal.SIGHUP)
    eventually(lambda: rcode(daemon.ask("www.banned.example")) == "NXDOMAIN")
    heard = eventually(
        lambda: (found := addresses(daemon.ask("www.banned.example", source="127.0.0.9"))) == [V4] and found
    )
    assert heard == [V4]
    assert len(upstream.seen("banned.example")) <= 2  # one for each worker
    assert daemon.count("blocker_monitored_total", app="banned", group="guests") >= 1
    line = eventually(lambda: [each for each in daemon.attempts() if each["action"] == "monitor"])[0]
    assert (line["client"], line["group"], line["qname"]) == ("127.0.0.9", "guests", "www.banned.example")


def test_other_upstreams_are_asked_after_a_reload(start, upstream, more_upstreams):
    daemon = start()
    other = more_upstreams()
    with daemon.client() as client:
        client.ask("www.before.example")
        daemon.configure({"upstream": {"servers": [str(other)]}})
        assert daemon.reload().returncode == 0
        assert addresses(client.ask("www.after.example")) == [V4]
        client.ask("www.before.example")
    assert [seen.name for seen in other.seen()] == ["www.after.example"]
    assert [seen.name for seen in upstream.seen()] == ["www.before.example"]


def test_an_upstream_that_is_gone_is_gone_from_the_metrics(start, upstream, more_upstreams):
    """Else an alert on its health would never end."""
    other = more_upstreams()
    daemon = start({"process": {"workers": 1}, "upstream": {"strategy": "ordered"}}, upstreams=[other, upstream])
    daemon.ask("www.before.example")
    daemon.configure({"upstream": {"servers": [str(upstream)]}})
    assert daemon.reload().returncode == 0
    daemon.ask("www.after.example")
    eventually(lambda: daemon.count("blocker_upstream_queries_total") == 1)
    assert daemon.count("blocker_upstream_queries_total", upstream=str(upstream)) == 1
    assert f'upstream="{other}"' not in daemon.get("/metrics")[1]


def test_a_stream_of_queries_loses_nothing(start, upstream):
    daemon = start()
    reloads = []

    def reload_thrice():
        for number in range(3):
            (daemon.lists / "more.txt").write_text(f"new{number}.example\n")
            reloads.append(daemon.tell("reload"))

    counts = {"sent": 0, "heard": 0, "wrong": 0}
    thread = threading.Thread(target=reload_thrice)
    with daemon.client() as one, daemon.client() as another:
        thread.start()
        number = 0
        while thread.is_alive() or number < 3000:
            messages = [
                query(("www.banned.example", "warm.example", f"n{number + at}.cold.example")[at % 3])
                for at in range(300)
            ]
            number += len(messages)
            for client, part in ((one, messages[::2]), (another, messages[1::2])):
                heard = client.ask_all(part, window=100)
                counts["sent"] += len(part)
                counts["heard"] += len(heard)
                counts["wrong"] += sum(wire[3] & 0xF != 0 for wire in heard.values())
        thread.join()
    assert [reply["ok"] for reply in reloads] == [True] * 3
    assert counts["heard"] == counts["sent"] >= 2000
    assert counts["wrong"] == 0
    assert len(upstream.seen("warm.example")) <= 2  # once for each worker, whatever was reloaded
    assert daemon.count("blocker_queries_total") >= counts["sent"]
    assert daemon.count("blocker_worker_restarts_total") == 0


def test_reloads_asked_for_at_the_same_time(start):
    daemon = start()
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(daemon.tell("reload"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply["ok"] for reply in replies] == [True] * 6
    assert len(generations(daemon)) == 1
