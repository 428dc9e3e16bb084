"""The chain itself: its form is a promise to auditors."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.evidence import chain
from blocker.evidence.chain import GENESIS, End, Entry, Place
from tests.evidence.records import sealed

BODIES = [b'{"time":"2026-11-23T20:12:01.000000Z","n":%d' % number for number in range(5)]
PLACES = [None, Place(b"0123456789ab", 64), Place(b"0123456789ab", 128), None, Place(b"ba9876543210", 64)]


def test_lines_are_json_with_number_node_and_place():
    lines = chain.joined(GENESIS, BODIES, b"dns1", PLACES)
    said = [json.loads(line) for line in lines]
    assert [each["seq"] for each in said] == [0, 1, 2, 3, 4]
    assert {each["node"] for each in said} == {"dns1"}
    assert [each.get("at") for each in said] == [None, "0123456789ab.64", "0123456789ab.128", None, "ba9876543210.64"]


def test_the_hashes_are_those_of_the_recipe():
    assert sealed(chain.joined(GENESIS, BODIES, b"dns1", PLACES))


def test_a_chain_goes_on_where_it_ended():
    whole = chain.joined(GENESIS, BODIES, b"dns1", PLACES)
    first = chain.joined(GENESIS, BODIES[:2], b"dns1", PLACES[:2])
    assert first + chain.joined(chain.behind(first[-1], 1), BODIES[2:], b"dns1", PLACES[2:]) == whole


def test_what_is_written_is_read():
    line = chain.joined(End(7, b"a" * 64), BODIES[:1], b"dns-1.example", [Place(b"0123456789ab", 9)])[0]
    entry = chain.parse(line[:-1])
    assert entry == Entry(b"dns-1.example", Place(b"0123456789ab", 9), 7, entry.hash, entry.covered)
    assert chain.follows(entry, b"a" * 64)
    assert not chain.follows(entry, b"b" * 64)


LINE = chain.joined(GENESIS, BODIES[:1], b"dns1", [None])[0][:-1]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        BODIES[0] + b"}",  # no chain
        LINE[:-1],
        LINE + b" ",
        LINE.replace(b"dns1", b""),
        LINE.replace(b"dns1", b'dn"s'),
        LINE.replace(b'"seq":0', b'"seq":-1'),
        LINE.replace(b'"seq":0', b'"seq":' + b"9" * 19),
        LINE[:-10] + b"G" + LINE[-9:],
        LINE[LINE.index(b',"node"') :],  # nothing before it
    ],
)
def test_what_is_no_line_of_a_chain(line):
    assert chain.parse(line) is None


def test_the_words_of_a_stranger_are_no_end():
    body = BODIES[0] + b',"qname":"\\",\\"node\\":\\"x\\",\\"seq\\":9"'
    (line,) = chain.joined(GENESIS, [body], b"dns1", [None])
    assert chain.parse(line[:-1])[:3] == (b"dns1", None, 0)


@given(st.binary(max_size=400) | st.builds(lambda a, b: LINE[:a] + b + LINE[a:], st.integers(0, 200), st.binary()))
def test_any_octets_are_read_or_refused(line):
    entry = chain.parse(line)
    assert entry is None or line.startswith(entry.covered)
