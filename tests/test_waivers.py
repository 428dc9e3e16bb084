"""Exceptions are found by name: the most specific first, each for what it covers."""

import pytest

from blocker import names
from blocker.lists.pattern import Pattern
from blocker.policy import Scope, Waiver
from blocker.waivers import Waivers


def waiver(number, scope, value):
    if scope is Scope.PATTERN:
        return Waiver(number, scope=scope, pattern=Pattern.parse(value))
    return Waiver(number, scope=scope, name=names.from_text(value))


FOUND = Waivers.of(
    [
        waiver("1", Scope.SUFFIX, "example"),
        waiver("2", Scope.EXACT, "a.example"),
        waiver("3", Scope.SUFFIX, "a.example"),
        waiver("4", Scope.PATTERN, "**.*help*.example"),
    ],
    Waivers.of([waiver("5", Scope.SUFFIX, "b.a.example"), waiver("6", Scope.SUFFIX, "a.example")]),
)


@pytest.mark.parametrize(("name", "qname", "found"), [
    ("example", "example", "1"),
    ("a.example", "a.example", "2 3 1 6"),
    ("x.a.example", "x.a.example", "3 1 6"),
    ("b.a.example", "b.a.example", "3 1 5 6"),
    ("aa.example", "aa.example", "1"),  # a label boundary, not a string suffix
    ("selfhelp.example", "selfhelp.example", "1 4"),
    ("other.test", "other.test", ""),
    ("other.test", "x.a.example", "3 1 6"),  # an alias: what covers the question covers it
    ("a.example", "other.test", "2 3 1 6"),
])  # fmt: skip
def test_covering(name, qname, found):
    assert [each.id for each in FOUND.covering(names.from_text(name), names.from_text(qname))] == found.split()


def test_all():
    assert sorted(each.id for each in FOUND.all()) == ["1", "2", "3", "4", "5", "6"]


def test_none_beside_others_are_the_others():
    assert Waivers.of([]) is None
    assert Waivers.of([], FOUND) is FOUND
