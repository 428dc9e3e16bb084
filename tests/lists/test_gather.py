"""Which files make up the lists, in which order, and how files for one app come together."""

import os

import pytest

from blocker import names
from blocker.config import Lists
from blocker.errors import ListError
from blocker.lists import gather
from blocker.lists.feed import FeedFile
from blocker.lists.gather import BUILT_IN

GAMES = "app: games\ntitle: Games\nswitches:\n  chat: {default: true, about: talk}\nentries:\n" + (
    "  - {value: game.example, kind: suffix}\n  - {value: chat.example, kind: suffix, switch: chat}\n"
)


def lists(*folders, **more):
    return Lists(**{"built_in": False, "directories": folders, **more})


def test_files_by_name_and_folders_in_order(tmp_path):
    for name in ("z/a.txt", "z/b.hosts", "z/c.yaml", "z/.hidden.txt", "z/notes.md", "a/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(
            {"yaml": GAMES, "hosts": "0.0.0.0 a.example"}.get(name.split(".")[-1], "a.example")
        )
    found = gather.gather(lists(tmp_path / "z", tmp_path / "a"))
    assert [file.file for file in found.files] == [str(tmp_path / each) for each in ("z/a.txt", "z/b.hosts", "a/a.txt")]
    assert [each.file for each in found.lists] == [str(tmp_path / "z/c.yaml")]
    assert sorted(found.apps) == ["a", "b", "games"]


def test_operators_files_add_to_an_app(tmp_path):
    (tmp_path / "1.yaml").write_text(GAMES)
    (tmp_path / "2.yaml").write_text("app: games\ntitle: Other\nentries: [{value: two.example, kind: suffix}]\n")
    (tmp_path / "games.txt").write_text("three.example\n")
    found = gather.gather(lists(tmp_path))
    assert found.apps["games"].first.title == "Games"  # the first speaks for it
    assert (len(found.lists), len(found.files)) == (2, 1)


@pytest.mark.parametrize(("states", "on"), [({}, True), ({"games.chat": False}, False), ({"games.chat": True}, True)])
def test_switches(tmp_path, states, on):
    (tmp_path / "games.yaml").write_text(GAMES)
    found = gather.gather(lists(tmp_path, switches=states))
    assert (found.on("games", "chat"), found.on("games", "")) == (on, True)


def test_disabled_apps_are_known_but_not_loaded(tmp_path):
    (tmp_path / "games.yaml").write_text(GAMES)
    (tmp_path / "games.txt").write_text("three.example\n")
    found = gather.gather(lists(tmp_path, disable=("games",)))
    assert (found.lists, found.files, found.apps["games"].loaded) == ((), (), False)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a.yml": GAMES}, "a.yml: is not read, because lists end with .yaml"),
        ({"a.YAML": GAMES}, "a.YAML: is not read, because lists end with .yaml"),
        ({"a.Txt": "a.example"}, "a.Txt: is not read, because lists end with .txt"),
        ({"a.yaml": GAMES, "b.yaml": GAMES}, "b.yaml:4: switch 'chat' is already declared for app 'games'"),
        ({"a.txt": "a b"}, "a.txt:1: 'a b' is not a domain name"),
        ({"shared.yaml": "shared: [{value: a b, why: x}]"}, "shared.yaml:1: 'a b' is not a domain name"),
    ],
)
def test_refused(tmp_path, files, problem):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ListError) as refused:
        gather.gather(lists(tmp_path))
    assert [said.startswith(f"{tmp_path}/{problem}") for said in refused.value.problems] == [True]


@pytest.mark.parametrize("name", ["pipe.txt", "pipe.yaml"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ListError, match=f"{name}: is no regular file"):
        gather.gather(lists(tmp_path))
    with pytest.raises(ListError, match=f"{name}: is no regular file"):
        gather.fingerprint(lists(tmp_path))


def test_all_files_are_told_about_at_once(tmp_path):
    (tmp_path / "a.txt").write_text("a b")
    (tmp_path / "b.yaml").write_text("app: b")
    with pytest.raises(ListError) as refused:
        gather.gather(lists(tmp_path, tmp_path / "none"))
    assert len(refused.value.problems) == 3


def test_two_built_in_files_for_one_app_are_a_mistake(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text((BUILT_IN / "canary.yaml").read_text())
    (tmp_path / "b.yaml").write_text((BUILT_IN / "canary.yaml").read_text())
    monkeypatch.setattr(gather, "BUILT_IN", tmp_path)
    with pytest.raises(ListError, match=r"b\.yaml:1: app 'canary' is already in a\.yaml"):
        gather.gather(Lists())


def test_the_fingerprint_follows_whatever_changes_the_index(tmp_path):
    (tmp_path / "games.yaml").write_text(GAMES)
    before = gather.fingerprint(lists(tmp_path))
    assert gather.fingerprint(lists(tmp_path)) == before
    others = [
        gather.fingerprint(lists(tmp_path, **more))
        for more in ({"switches": {"games.chat": False}}, {"disable": ("games",)})
    ]
    (tmp_path / "games.yaml").write_text(GAMES + "\n")
    others.append(gather.fingerprint(lists(tmp_path)))
    assert len({before, *others}) == 4


def test_feeds_are_read_beside_the_lists(tmp_path):
    (tmp_path / "games.yaml").write_text(GAMES)
    (tmp_path / "copy").write_text("a.example\nnot a name\n")
    before = gather.fingerprint(lists(tmp_path / "games.yaml"))
    feeds = [FeedFile("more-games", "games", tmp_path / "copy", "auto")]
    found = gather.gather(lists(tmp_path / "games.yaml"), feeds=feeds)
    assert [(file.file, file.app, file.feed) for file in found.files] == [(f"{tmp_path}/copy", "games", "more-games")]
    assert found.rejected["more-games"].bad == 1
    with_feed = gather.fingerprint(lists(tmp_path / "games.yaml"), feeds)
    (tmp_path / "copy").write_text("b.example\n")
    assert len({before, with_feed, gather.fingerprint(lists(tmp_path / "games.yaml"), feeds)}) == 3
    (tmp_path / "copy").write_text("<html>")
    with pytest.raises(ListError, match="this is a web page"):
        gather.gather(lists(tmp_path / "games.yaml"), feeds=feeds)


def test_operators_add_to_what_must_resolve_and_override_it(tmp_path):
    (tmp_path / "must_resolve.yaml").write_text("must_resolve: [{value: www.office.example, why: ours}]")
    (tmp_path / "games.txt").write_text("office.example\n")
    must = gather.gather(lists(tmp_path)).must
    assert "www.office.example, which must resolve: ours (must_resolve.yaml:1)" in must.refuses(b"\0elpmaxe\7eciffo\6")
    override = {"name": "office.example", "reason": "it moved", "by": "the owner"}
    given_up = lists(tmp_path, overrides=(override,))
    assert gather.gather(given_up).must.refuses(b"\0elpmaxe\7eciffo\6") == ""
    assert gather.fingerprint(given_up) != gather.fingerprint(lists(tmp_path))


def test_what_must_resolve_is_read_without_the_lists(tmp_path):
    (tmp_path / "games.txt").write_text("not a name\n")
    (tmp_path / "must_resolve.yaml").write_text("must_resolve:\n  - {value: pay.gov.example, why: taxes}\n")
    needed = gather.required(lists(tmp_path)).needed.values()
    assert {"pay.gov.example", "canada.ca"} <= {names.to_text(each.name) for each in needed}


def test_watched(tmp_path):
    assert gather.watched(Lists(directories=(tmp_path,))) == (BUILT_IN, tmp_path)
    assert gather.watched(lists()) == ()
