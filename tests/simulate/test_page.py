"""The page: hostile names stay text, and it can be read without seeing colours."""

from html.parser import HTMLParser

import pytest

from blocker.simulate.changes import Change, Kind, Report, Total
from blocker.simulate.logs.record import Tally
from blocker.simulate.page import page

HOSTILE = "<script>alert(1)</script>\"'&.example"
CHANGE = Change(Kind.BLOCKED, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1200, 3, HOSTILE, HOSTILE, HOSTILE)
REPORT = Report(
    HOSTILE, HOSTILE, 12000, 300, 4, 1, [Tally(HOSTILE, "blocker", 12000, bad=1, examples=[HOSTILE])],
    [Total(Kind.BLOCKED, HOSTILE, HOSTILE, 1, 1200, 3)], [CHANGE], [CHANGE], 7,
)  # fmt: skip


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def read():
    reader = Reader()
    reader.feed(page(REPORT))
    return reader


def test_hostile_names_stay_text(read):
    assert "script" not in read.tags
    assert HOSTILE in read.texts
    assert not [name for name, _ in read.attributes if name.startswith("on") or name in ("src", "href")]


def test_it_is_whole(read):
    assert read.open == []
    assert ("lang", "en") in read.attributes
    assert read.tags.count("table") == read.tags.count("caption") == 4
    assert read.tags.count("th") == sum(1 for name, value in read.attributes if (name, value) == ("scope", "col"))


def test_what_it_says(read):
    said = " ".join(read.texts)
    assert "Names that must resolve would be blocked. Do not roll this out." in said
    assert "12,000 queries for 300 names by 4 clients" in said
    assert "7 more are not shown" in said
    assert said.index("Names that must resolve, and would be blocked") < said.index("By app and group")
