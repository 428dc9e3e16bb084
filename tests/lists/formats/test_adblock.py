"""Adblock-style rules: what AdGuard Home's documentation says of each, in the DNS subset."""

import pytest

from blocker import names
from blocker.lists import row
from blocker.lists.formats import adblock
from blocker.lists.formats.draft import Draft, lines_of


def read(text):
    draft = Draft("copy")
    adblock.read(lines_of(text.encode()), draft)
    rows = (row.unpack(each) for each in draft.rows)
    return draft, [(names.to_text(key[::-1]), each.flags) for key, each in zip(draft.keys, rows, strict=True)]


@pytest.mark.parametrize(
    ("line", "name", "flags"),
    [
        ("||game.example^", "game.example", 0),
        ("||Game.EXAMPLE^", "game.example", 0),
        ("||game.example", "game.example", 0),
        ("||game.example|", "game.example", 0),
        ("||spiel-ö.example^", "xn--spiel--1xa.example", 0),
        ("  ||game.example^  ", "game.example", 0),
        ("||*.game.example^", "game.example", row.BELOW),
        ("*.game.example", "game.example", row.BELOW),
        ("|game.example^", "game.example", row.EXACT),
        ("|game.example|", "game.example", row.EXACT),
        ("||game.example^|", "game.example", 0),
        ("@@||game.example^|", "game.example", row.ALLOW),
        ("|game.example^|", "game.example", row.EXACT),
        ("game.example", "game.example", row.EXACT),  # a plain name is that name alone
        ("0.0.0.0 game.example # why", "game.example", row.EXACT),
        ("@@||game.example^", "game.example", row.ALLOW),
        ("@@|game.example^", "game.example", row.ALLOW | row.EXACT),
        ("||game.example^$important", "game.example", 0),
    ],
)
def test_rules(line, name, flags):
    assert read(line)[1] == [(name, flags)]


@pytest.mark.parametrize("line", ["", "! ||a.example^", "!#endif", "# a.example", "[Adblock Plus 2.0]", "!"])
def test_comments(line):
    draft, found = read(line)
    assert (found, draft.bad_lines, draft.unsupported_lines) == ([], 0, 0)


@pytest.mark.parametrize(
    "line",
    [
        "||game.example^$third-party", "||game.example^$dnsrewrite=1.2.3.4", "||game.example^$important,script",
        "example.com##.banner", "example.com#@#.banner", "example.com#?#div", "example.com$$script", "/^ads?[0-9]/",
        "@@/ads/", "/banner.png", "||game.example/path^", "||game.example:8080^", "||ads*.example^", "||a.*.example^",
        "|game.example", "game.example^", "||192.0.2.1^", "||game.example^$denyallow=a.example", "||.example^", "-ads-",
        "game.example^|", "!#include more.txt", "!#if (adguard)", "216.239.38.120 www.game.example",
    ],
)  # fmt: skip
def test_beyond_names(line):
    draft, found = read(f"! x\n{line}")
    assert (found, draft.bad_lines, draft.unsupported_lines) == ([], 0, 1)
    assert draft.gaps[0].startswith("copy:2: ")


@pytest.mark.parametrize("line", ["two words", "||game..example^", "||^", "||", "||a_b\\c.example^", "|||a.example^"])
def test_bad_lines(line):
    draft, found = read(line)
    assert (found, draft.bad_lines, draft.unsupported_lines) == ([], 1, 0)


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (["||a.example^", "||a.example^$badfilter"], []),
        (["||a.example^$badfilter", "||a.example^"], []),  # wherever it stands
        (["||a.example^", "@@||a.example^$badfilter"], ["a.example"]),  # another rule
        (["a.example", "||a.example^$badfilter"], ["a.example"]),
        (["||a.example^$important", "||a.example^$badfilter"], ["a.example"]),
        (["||a.example^$important", "||a.example^$badfilter,important"], []),
        (["||a.example^$important", "@@||a.example^"], ["a.example"]),  # the exception goes
        (["||a.example^$important", "@@||w.a.example^"], ["a.example"]),
        (["||a.example^$important", "@@||w.a.example^$important"], ["a.example", "w.a.example"]),
        (["||w.a.example^$important", "@@||a.example^"], ["w.a.example", "a.example"]),  # wider than the block
        (["|a.example^$important", "@@|a.example^", "@@||w.a.example^"], ["a.example", "w.a.example"]),
    ],
)
def test_rules_about_rules(rules, left):
    assert [name for name, _ in read("\n".join(rules))[1]] == left
