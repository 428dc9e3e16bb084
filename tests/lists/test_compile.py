"""What compiling makes of lists: what is in force, guarded, repeatable."""

import pytest

from blocker import names
from blocker.config import Lists
from blocker.errors import ListError
from blocker.lists import compile as compiling
from blocker.lists.gather import gather
from blocker.lists.index import Index

SHARED = "shared: [{value: cdn.example.net, why: everybody rents there}]\n"


def build(tmp_path, files, **more):
    folder = tmp_path / "lists"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    sources = gather(Lists(built_in=False, directories=(folder,), **more))
    return compiling.build(sources, tmp_path / "index", compiled=7)


def opened(tmp_path, files, **more):
    build(tmp_path, files, **more)
    return Index.open(tmp_path / "index")


def test_the_same_lists_compile_to_the_same_bytes(tmp_path):
    files = {"a.txt": "a.example\nb.example\n", "b.yaml": "app: b\nentries: [{value: c.example, kind: exact}]\n"}
    build(tmp_path, files)
    first = (tmp_path / "index").read_bytes()
    build(tmp_path, files)
    assert (tmp_path / "index").read_bytes() == first


def test_summary_and_steps(tmp_path):
    (tmp_path / "a.txt").write_text("a.example\na.example\n@@b.example\n")
    heard = []
    sources = gather(Lists(built_in=False, directories=(tmp_path,)))
    summary = compiling.build(sources, tmp_path / "index", compiled=7, progress=heard.append)
    assert (summary.apps, summary.entries, summary.names) == (1, 3, 2)
    assert summary.octets == (tmp_path / "index").stat().st_size
    assert tuple(heard) == compiling.STEPS
    index = Index.open(tmp_path / "index")
    assert (index.digest, index.compiled) == (summary.digest, 7)


def test_no_lists_at_all(tmp_path):
    index = opened(tmp_path, {})
    assert (index.find(names.from_text("a.example")), index.find_address(bytes(4)), dict(index.apps)) == ((), (), {})


def test_a_refused_list_leaves_no_file(tmp_path):
    with pytest.raises(ListError, match=r"'co\.uk' is a public suffix"):
        build(tmp_path, {"a.txt": "co.uk\n"})
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(
    ("files", "asked", "guarded"),
    [
        ({"a.txt": "cdn.example.net\n"}, "cdn.example.net", True),
        ({"a.txt": "example.net\n"}, "a.example.net", True),  # above it
        ({"a.txt": "a.cdn.example.net\n"}, "a.cdn.example.net", False),  # one tenant
        ({"a.hosts": "0.0.0.0 cdn.example.net\n"}, "cdn.example.net", True),
        ({"a.txt": "@@cdn.example.net\n"}, "cdn.example.net", False),
        ({"a.yaml": "app: a\nentries: [{value: example.net, kind: suffix}]\n"}, "example.net", True),
    ],
)
def test_guard(tmp_path, files, asked, guarded):
    index = opened(tmp_path, {"shared.yaml": SHARED, **files})
    assert [rule.guarded for rules in index.find(names.from_text(asked)) for rule in rules] == [guarded]


def test_what_apps_say(tmp_path):
    games = (
        "app: games\ntitle: Games\nreason: No games.\nquiet: true\nlegal: [{id: g-1, jurisdiction: X, date: 2026-01-01,"
        " text: t, source: s}]\nswitches: {chat: {default: false, about: x}}\n"
        "entries: [{value: a.example, kind: suffix}, {value: b.example, kind: suffix, switch: chat}]\n"
    )
    files = {"games.yaml": games, "plain.txt": "c.example\n", "off.txt": "d.example\n"}
    index = opened(tmp_path, files, disable=("off",))
    assert [(app, info.entries, info.loaded) for app, info in sorted(index.apps.items())] == [
        ("games", 1, True),
        ("off", 0, False),
        ("plain", 1, True),
    ]
    info = index.apps["games"]
    assert (info.title, info.reference, dict(info.switches), info.quiet) == ("Games", "g-1", {"chat": False}, True)
    (rule,) = index.find(names.from_text("a.example"))[0]
    assert (rule.title, rule.reason, rule.reference, rule.quiet) == ("Games", "No games.", "g-1", True)
