"""Files of names."""

import pytest
from hypothesis import given

from blocker.simulate.logs import plain
from blocker.simulate.logs.record import BadLineError, Query
from tests.simulate.logs.formats import CLOCK, damaged, is_sound


@pytest.mark.parametrize(("line", "query"), [
    ("WWW.Example.com.", Query("", "", "www.example.com", "")),
    ("www.example.com   # why", Query("", "", "www.example.com", "")),
    ("# a comment", None),
    ("https://www.example.com/", BadLineError),
    ("a b", BadLineError),
])  # fmt: skip
def test_lines(line, query):
    if query is BadLineError:
        with pytest.raises(BadLineError):
            plain.parser(CLOCK)(line)
    else:
        assert plain.parser(CLOCK)(line) == query


@pytest.mark.parametrize(("line", "looks"), [("a.example", True), ("# names", True), ("word", False), ("a b", False)])
def test_looks(line, looks):
    assert plain.looks(line) is looks


@given(damaged("www.example.com # why"))
def test_any_line(line):
    assert is_sound(plain.parser(CLOCK), line)
