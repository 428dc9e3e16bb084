"""dnsmasq's lines, by its manual page."""

import pytest

from blocker import names
from blocker.lists import row
from blocker.lists.formats import dnsmasq
from blocker.lists.formats.draft import Draft, lines_of


def read(text):
    draft = Draft("copy")
    dnsmasq.read(lines_of(text.encode()), draft)
    rows = (row.unpack(each) for each in draft.rows)
    return draft, [(names.to_text(key[::-1]), each.flags) for key, each in zip(draft.keys, rows, strict=True)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("address=/game.example/0.0.0.0", [("game.example", 0)]),
        ("address=/game.example/", [("game.example", 0)]),
        ("address=/game.example/#", [("game.example", 0)]),
        ("address=/game.example/::", [("game.example", 0)]),
        ("address=/Game.Example/192.0.2.1", [("game.example", 0)]),
        ("address=/a.example/b.example/192.0.2.1", [("a.example", 0), ("b.example", 0)]),
        ("address=/.game.example/0.0.0.0", [("game.example", 0)]),
        ("  --address=/game.example/0.0.0.0 # why", [("game.example", 0)]),
        ("local=/game.example/", [("game.example", 0)]),
        ("server=/game.example/", [("game.example", 0)]),
        ("server=/help.game.example/#", [("help.game.example", row.ALLOW)]),
        ("local = /game.example/", [("game.example", 0)]),
        ("address=/spiel-ö.example/", [("xn--spiel--1xa.example", 0)]),
        ("# address=/game.example/", []),
    ],
)
def test_lines(line, found):
    assert read(line)[1] == found


@pytest.mark.parametrize(
    ("line", "counted"),
    [
        ("server=/game.example/192.0.2.1", "unsupported"),
        ("address=/game.example/216.239.38.120", "unsupported"),  # is sent there, not blocked
        ("server=192.0.2.1", "unsupported"),
        ("cache-size=1000", "unsupported"),
        ("domain-needed", "unsupported"),
        ("address=//192.0.2.1", "unsupported"),
        ("address=/*ads.example/", "unsupported"),
        ("address=/#/0.0.0.0", "refused"),
        ("address=/game.example", "bad"),
        ("address=/game.example/nonsense", "bad"),
        ("address=/game..example/", "bad"),
        ("game.example is bad", "bad"),
    ],
)
def test_other_lines(line, counted):
    draft, found = read(line)
    assert found == []
    counts = {"bad": draft.bad_lines, "unsupported": draft.unsupported_lines, "refused": draft.refused_lines}
    assert counts == {**dict.fromkeys(counts, 0), counted: 1}
