"""What lists cover: a corpus and lists with a known answer."""

import pytest

from blocker.config import Lists
from blocker.lists import compile as compiling
from blocker.lists.gather import gather
from blocker.lists.index import Index
from blocker.simulate.coverage import Overlap, coverage

GAMES = """app: games
title: Games
sources: {one: {what: x}, two: {what: y}}
switches: {off: {default: false, about: x}}
entries:
  - {value: game.example, kind: suffix, sources: [one, two]}
  - {value: help.game.example, kind: exact, action: allow, sources: [one]}
  - {value: "**.*gamecdn*.**", kind: pattern, sources: [two], confidence: 1}
  - {value: never.example, kind: suffix, role: web}
  - {value: off.example, kind: suffix, switch: off, sources: [one]}
  - {value: 203.0.113.0/24, kind: cidr, exclusive: true, sources: [one]}
"""
TRIED = "app: tried\nshadow: true\nentries:\n  - {value: plain.example, kind: suffix}\n"
FILES = {
    "games.yaml": GAMES,
    "games.txt": "game.example\nwww.never.example\nfile.example\nfile.example\n",
    "toys.hosts": "0.0.0.0 file.example\n",
    "tried.yaml": TRIED,
}
CORPUS = [("www.game.example", 5), ("help.game.example", 2), ("x.gamecdn1.example", 1), ("off.example", 9),
          ("file.example", 3), ("plain.example", 7), ("...", 4)]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coverage")
    for name, content in FILES.items():
        (folder / name).write_text(content)
    sources = gather(Lists(built_in=False, directories=(folder,)))
    compiling.build(sources, folder / "index")
    return Index.open(folder / "index"), sources, folder


def test_a_corpus_with_a_known_answer(made):
    index, sources, folder = made
    found = coverage(index, sources, CORPUS)
    assert (found.names, found.queries, found.bad, found.matched) == (6, 27, 4, 4)
    games, toys, tried = found.apps
    assert (tried.names, tried.hits[0].shadow, tried.hits[0].queries) == (0, True, 7)  # hit, and it covers nothing yet
    assert (games.app, games.names, games.queries, games.entries, games.hit) == ("games", 4, 11, 7, 5)
    assert [(hit.entry, hit.names, hit.queries, hit.allow) for hit in games.hits[:2]] == [
        ("game.example", 2, 7, False), ("game.example", 2, 7, False)]  # fmt: skip
    assert {(hit.entry, hit.queries, hit.allow) for hit in games.hits[2:]} == {
        ("file.example", 3, False), ("help.game.example", 2, True), ("**.*gamecdn*.**", 1, False)}  # fmt: skip
    assert [(each.entry, each.source, each.role) for each in games.never] == [
        ("never.example", f"{folder}/games.yaml:9", "web")
    ]
    assert games.never_in_files == 1  # www.never.example
    assert games.known_from == {"one": 2, "two": 2}  # an entry whose switch is off, and a range, are no matter of names
    assert {(each.entry, each.known_from, each.confidence, each.hit) for each in games.alone} == {
        ("help.game.example", "one", None, True), ("**.*gamecdn*.**", "two", 1, True)}  # fmt: skip
    assert (toys.names, toys.hit) == (1, 1)


def test_overlaps(made):
    index, sources, folder = made
    yaml, plain, hosts = (f"{folder}/{name}" for name in list(FILES)[:3])
    found = {frozenset((each.first, each.second)): each for each in coverage(index, sources, []).overlaps}
    both = found[frozenset((yaml, plain))]
    assert both in (Overlap(yaml, plain, 1, 0, 1), Overlap(plain, yaml, 1, 1, 0))
    assert found[frozenset((plain, hosts))].same == 1
    assert frozenset((yaml, hosts)) not in found


def test_one_app(made):
    index, sources, _ = made
    found = coverage(index, sources, CORPUS, "toys")
    assert ([each.app for each in found.apps], found.matched) == (["toys"], 1)
    assert found.as_data()["apps"][0]["hits"][0]["queries"] == 3
