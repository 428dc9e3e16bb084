"""Which apps are looked for, and which names are none of anybody's business any more."""

import pytest

from blocker import names
from blocker.candidates.search import Search
from blocker.candidates.seen import Seen
from blocker.config import Candidates, Lists
from blocker.lists import compile as compiling
from blocker.lists import gather
from blocker.lists.index import Index

LISTS = {
    "tiktok.yaml": 'app: tiktok\nbrand: [tiktok]\nswitches:\n  off: {default: false, about: "x"}\nentries:\n'
    "  - {value: tiktok.com, kind: suffix}\n  - {value: tiktok-off.example, kind: suffix, switch: off}\n"
    "  - {value: tiktok-good.example, kind: suffix, action: allow}\n",
    "more.yaml": "app: tiktok\nbrand: [ttdns]\nentries: [{value: a.example, kind: exact}]\n",
    "games.txt": "games.example\n",
}


@pytest.fixture
def made(tmp_path):
    (tmp_path / "lists").mkdir()
    for name, text in LISTS.items():
        (tmp_path / "lists" / name).write_text(text)
    lists = Lists(built_in=False, directories=(tmp_path / "lists",))
    compiling.build(compiling.gather(lists), tmp_path / "index")
    index, must = Index.open(tmp_path / "index"), gather.required(lists)
    return lambda **said: Search(index, must, Candidates(**said))


@pytest.mark.parametrize(("said", "words"), [
    ({}, {"tiktok": ("ttdns", "tiktok")}),  # in the order of files
    ({"apps": ("games",)}, {"games": ()}),  # by company alone
])  # fmt: skip
def test_words(made, said, words):
    assert made(**said).words == words


@pytest.mark.parametrize(("name", "decided"), [
    ("tiktok-new.example", False),
    ("www.tiktok.com", True),
    ("tiktok-off.example", True),  # a person has switched it off
    ("tiktok-good.example", True),
    ("login.microsoftonline.com", True),
    ("microsoftonline.com", True),  # above what must resolve
    ("com", True),
    ("..", True),
])  # fmt: skip
def test_decided(made, name, decided):
    assert made().is_decided(name) is decided


def test_findings(made):
    search = made()
    for text in ("tiktok-new.example", "tiktok-off.example", "a.ttdns.example", "plain.example"):
        search.memory.see(Seen(0.0, b"1234", names.from_text(text)))
    assert [(each.name, each.app) for each in search.findings()] == [
        ("tiktok-new.example", "tiktok"),
        ("ttdns.example", "tiktok"),
    ]
    assert list(search.findings()) == []
