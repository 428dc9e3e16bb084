"""Unbound's log-queries."""

import pytest
from hypothesis import given

from blocker.simulate.logs import unbound
from blocker.simulate.logs.record import BadLineError, Query
from tests.simulate.logs.formats import AT, CLOCK, damaged, is_sound

LINE = "[1795469871] unbound[812:0] info: 192.0.2.5 www.tiktok.com. A IN"


@pytest.mark.parametrize(("line", "query"), [
    (LINE, Query(AT, "192.0.2.5", "www.tiktok.com", "A")),
    ("Nov 23 21:37:51 unbound[812:a] info: 2001:db8::5 A.Example. HTTPS IN",  # log-time-ascii
     Query(AT, "2001:db8::5", "a.example", "HTTPS")),
    ("Nov 23 21:37:51 dns1 unbound[812]: [812:0] info: 192.0.2.5 a.example. TYPE65 IN",  # syslog
     Query(AT, "192.0.2.5", "a.example", "TYPE65")),
    ("[1795469871] unbound[812:0] info: query: 192.0.2.5 . NS IN", Query(AT, "192.0.2.5", ".", "NS")),  # tagged
    ("[1795469871] unbound[812:0] info: 192.0.2.5 a.example. A IN NOERROR 0.000000 1 45", None),  # log-replies
    ("[1795469871] unbound[812:0] notice: init module 0: iterator", None),
    ("[1795469871] unbound-anchor: what", BadLineError),
    ("[999999999999] unbound[812:0] info: 192.0.2.5 a.example. A IN", BadLineError),
])  # fmt: skip
def test_lines(line, query):
    parse = unbound.parser(CLOCK)
    if query is BadLineError:
        with pytest.raises(BadLineError):
            parse(line)
    else:
        assert parse(line) == query


def test_looks():
    assert unbound.looks(LINE)
    assert not unbound.looks("[1795469871] else[812:0] info: 192.0.2.5 a.example. A IN")


@given(damaged(LINE))
def test_any_line(line):
    assert is_sound(unbound.parser(CLOCK), line)
