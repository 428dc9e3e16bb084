"""The process that reads along: what it keeps, what it misses, and lists that change under it."""

import json
import socket
import threading

import pytest

from blocker import events, names
from blocker.candidates.store import FILE, Store
from blocker.config import Config
from blocker.lists import compile as compiling
from blocker.policy import PASSTHRU
from blocker.serve.link import Link
from blocker.serve.relatives import Relatives
from blocker.sinks.region import Region

V4 = bytes((192, 0, 2, 1))
LIST = "app: tiktok\nbrand: [tiktok]\nentries:\n  - {value: tiktok.com, kind: suffix}\n"


@pytest.fixture
def made(tmp_path):
    """A search over two journals, driven by the test."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    regions = [Region(), Region()]
    search = Relatives(Store(tmp_path), Link(theirs), regions)
    search.supervisor, search.regions = ours, regions
    yield search
    ours.close()
    theirs.close()


def generation(folder, number=1, text=LIST, **candidates):
    lists = folder / f"lists-{number}"
    lists.mkdir()
    (lists / "tiktok.yaml").write_text(text)
    config = Config.model_validate({
        "lists": {"built_in": False, "directories": [str(lists)]},
        "candidates": {"enabled": True} | candidates,
    })  # fmt: skip
    index = folder / f"{number}.index"
    compiling.build(compiling.gather(config.lists), index)
    path = folder / f"generation-{number}.json"
    said = {"number": number, "config": config.model_dump(mode="json"), "servers": [], "index": str(index)}
    path.write_text(json.dumps(said))
    return told_of(path, str(folder))


def told_of(path, candidates):
    """Return what the supervisor says of a generation."""
    standing = {"generation": str(path), "exceptions": "", "moment": 0.0, "ends": {}}
    return {"event": "generation", "standing": standing, "candidates": candidates}


def ask(region, text):
    region.journal(
        events.SEARCH, 1.0, V4, events.tail("default", names.from_text(text), 1, "udp", 0, "cache", PASSTHRU)
    )


def kept(search):
    return [each.finding.name for each in search._store.all()]


def test_it_finds_what_is_asked_from_now_on(made, tmp_path):
    ask(made.regions[0], "tiktok-former.example")  # asked before any search: a restart tells nothing twice
    made._look()
    made._hear(generation(tmp_path))
    made._adopt()
    ask(made.regions[0], "tiktok-a.example")
    ask(made.regions[1], "tiktok-b.example")
    assert made._look() == 1
    made.tell(2.0)
    assert sorted(kept(made)) == ["tiktok-a.example", "tiktok-b.example"]


def test_the_journal_does_not_wait_for_it(made, tmp_path):
    made._hear(generation(tmp_path))
    made._adopt()
    region = made.regions[0]
    for number in range(60_000):
        ask(region, f"name{number}.example")
        if not number % 10_000:
            region.read(100_000)
            region.release()
    assert region.words[2] == 0  # nothing was dropped
    ask(region, "tiktok-a.example")
    while made._look():
        pass
    made.tell(2.0)
    assert kept(made) == ["tiktok-a.example"]
    assert made._store.counts().missed > 0


def test_listed_names_are_passed_over_at_once_and_memory_stays(made, tmp_path):
    made._hear(generation(tmp_path))
    made._adopt()
    ask(made.regions[0], "tiktok-a.example")
    ask(made.regions[0], "tiktok-b.example")
    made._look()
    made._hear(generation(tmp_path, 2, LIST + "  - {value: tiktok-a.example, kind: suffix}\n"))
    made._adopt()
    made.tell(2.0)
    assert kept(made) == ["tiktok-b.example"]


def test_a_candidate_that_is_listed_otherwise_waits_no_longer(made, tmp_path):
    made._hear(generation(tmp_path))
    made._adopt()
    ask(made.regions[0], "tiktok-a.example")
    made._look()
    made.tell(2.0)
    assert kept(made) == ["tiktok-a.example"]
    made._hear(generation(tmp_path, 2, LIST + "  - {value: tiktok-a.example, kind: suffix}\n"))
    made._adopt()
    assert kept(made) == []


def test_a_generation_that_is_gone_leaves_the_former(made, tmp_path):
    made._hear(generation(tmp_path))
    made._adopt()
    made._hear(told_of(tmp_path / "gone", "x"))
    made._adopt()
    ask(made.regions[0], "tiktok-a.example")
    made._look()
    made.tell(2.0)
    assert kept(made) == ["tiktok-a.example"]


def test_a_damaged_file_is_moved_aside(made, tmp_path):
    (tmp_path / FILE).write_bytes(b"nonsense" * 1000)
    made._hear(generation(tmp_path))
    made._adopt()
    made.tell(2.0)
    assert (tmp_path / "candidates.damaged").exists()
    made.tell(3.0)
    assert made._store.counts().looked == 3.0


@pytest.mark.parametrize("last", [{"event": "stop"}, told_of("/x", None)])
def test_it_ends_when_nobody_wants_it(made, tmp_path, last):
    made.supervisor.send(json.dumps(generation(tmp_path)).encode() + b"\n")
    made.supervisor.send(json.dumps(last).encode() + b"\n")
    ended = []
    thread = threading.Thread(target=lambda: ended.append(made.serve()))
    thread.start()
    thread.join(15)
    assert ended == [0]
