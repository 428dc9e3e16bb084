"""Wildcard domains."""

import pytest

from blocker import names
from blocker.lists import row
from blocker.lists.formats import wildcard
from blocker.lists.formats.draft import Draft, lines_of


@pytest.mark.parametrize(
    ("line", "name", "flags"),
    [
        ("*.game.example", "game.example", 0),
        ("*.Game.EXAMPLE.", "game.example", 0),
        ("game.example", "game.example", 0),
        ("*.game.example # why", "game.example", 0),
        ("@@*.game.example", "game.example", row.ALLOW),
        ("*.spiel-ö.example", "xn--spiel--1xa.example", 0),
    ],
)
def test_lines(line, name, flags):
    draft = Draft("copy")
    wildcard.read(lines_of(f"\n{line}\n".encode()), draft)
    assert [names.to_text(key[::-1]) for key in draft.keys] == [name]
    assert row.unpack(draft.rows[0]) == (0, 2, flags)


@pytest.mark.parametrize("line", ["*.*.example", "*game.example", "a.*.example", "*.1.2.3.4", "*"])
def test_bad_lines(line):
    draft = Draft("copy")
    wildcard.read(lines_of(line.encode()), draft)
    assert (draft.keys, draft.bad_lines) == ([], 1)
