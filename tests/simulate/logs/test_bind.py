"""BIND's query log."""

import pytest
from hypothesis import given

from blocker.simulate.logs import bind
from blocker.simulate.logs.record import BadLineError, Query
from tests.simulate.logs.formats import AT, AT_MS, CLOCK, damaged, is_sound

SAID = "client @0x7f1c5c0 192.0.2.5#53124 (www.tiktok.com): query: www.tiktok.com IN A +E(0)K (192.0.2.53)"
LINE = f"23-Nov-2026 21:37:51.935 queries: info: {SAID}"


@pytest.mark.parametrize(("line", "query"), [
    (LINE, Query(AT_MS, "192.0.2.5", "www.tiktok.com", "A")),
    (f"23-Nov-2026 21:37:51.935 {SAID}", Query(AT_MS, "192.0.2.5", "www.tiktok.com", "A")),
    (f"2026-11-23T21:37:51.935Z queries: info: {SAID}", Query(AT_MS, "192.0.2.5", "www.tiktok.com", "A")),
    (f"Nov 23 21:37:51 ns1 named[99]: {SAID}", Query(AT, "192.0.2.5", "www.tiktok.com", "A")),
    ("23-Nov-2026 21:37:51.935 client 2001:db8::5#53124 (A.Example): view inside: query: A.Example IN TYPE65 + (::1)",
     Query(AT_MS, "2001:db8::5", "a.example", "TYPE65")),
    ("23-Nov-2026 21:37:51.935 client @0x7f 192.0.2.5#5/key k.example (a.example): query: a.example IN MX +ST (::1)",
     Query(AT_MS, "192.0.2.5", "a.example", "MX")),
    ("23-Nov-2026 21:37:51.935 query-errors: info: client @0x7f 192.0.2.5#5 (a.example): rejected", None),
    ("23-Nov-2026 21:37:51.935 general: info: running", None),
    ("23-Nov-2026 21:37:51.935 client @0x7f 192.0.2.5#5 (a.example): query: a.exam", BadLineError),  # torn
    ("23-Foo-2026 21:37:51.935 client 192.0.2.5#5 (a.example): query: a.example IN A + (::1)", BadLineError),
    ("what is this", BadLineError),
])  # fmt: skip
def test_lines(line, query):
    parse = bind.parser(CLOCK)
    if query is BadLineError:
        with pytest.raises(BadLineError):
            parse(line)
    else:
        assert parse(line) == query


def test_looks():
    assert bind.looks(LINE)
    assert not bind.looks("Nov 23 21:37:51 dnsmasq[812]: query[A] www.example.com from 192.0.2.5")


@given(damaged(LINE))
def test_any_line(line):
    assert is_sound(bind.parser(CLOCK), line)
