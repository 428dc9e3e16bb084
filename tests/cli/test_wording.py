"""Numbers in sentences."""

import pytest

from blocker.cli.wording import counted


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (0, ("problem",), "0 problems"),
        (1, ("problem",), "1 problem"),
        (2, ("problem",), "2 problems"),
        (1, ("entry", "entries"), "1 entry"),
        (2, ("entry", "entries"), "2 entries"),
    ],
)
def test_counted(number, words, text):
    assert counted(number, *words) == text
