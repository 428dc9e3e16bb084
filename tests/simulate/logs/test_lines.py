"""Lines of any length and content come out as queries, or are counted."""

import io

import pytest

from blocker.simulate.logs import lines
from blocker.simulate.logs.record import BATCH, BadLineError, Query, Tally


def parse(line):
    if line == "other":
        return None
    if line == "bad":
        raise BadLineError("so")
    return Query("", "192.0.2.1", line, "A")


def read(content):
    tally = Tally("q.log")
    return [query.qname for batch in lines.read(io.BytesIO(content), parse, tally) for query in batch], tally


def test_queries_others_and_bad_ones():
    found, tally = read(b"one\nother\n\nbad\ntwo")
    assert found == ["one", "two"]
    assert (tally.queries, tally.ignored, tally.bad, tally.examples) == (2, 1, 1, ["q.log:4: so"])


def test_a_line_without_end_is_one_bad_line():
    found, tally = read(b"one\n" + b"x" * 100_000 + b"\ntwo\n" + b"y" * 50_000)
    assert (found, tally.bad) == (["one", "two"], 2)
    assert tally.examples[0] == f"q.log:2: longer than {lines.MAX_LINE} octets"


def test_batches():
    found, tally = read(b"x\n" * (BATCH + 1))
    assert (len(found), tally.queries) == (BATCH + 1, BATCH + 1)


@pytest.mark.parametrize(("written", "name"), [
    ("WWW.TikTok.com.", "www.tiktok.com"),
    (".", "."),  # the root
    (r"odd\.", r"odd\."),  # an escaped dot belongs to the label
])  # fmt: skip
def test_names_in_our_form(written, name):
    assert lines.name(written) == name
