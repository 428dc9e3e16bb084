"""Checkpoints: what is stated, and what is read back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.evidence import chain, checkpoint
from blocker.evidence.chain import End

NOW = 1795464721.25
END = End(42, b"a" * 64)
SAID = checkpoint.statement("dns1", END, NOW, final=False)


def line(body, node=b"dns1"):
    """Return the line of a chain that ended at END."""
    return chain.joined(END, [body], node, [None])[0][:-1]


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("signature", ["", "untrusted comment: x\nRWQ\n"])
def test_what_is_stated_is_read(final, signature):
    said = checkpoint.statement("dns1", END, NOW, final=final)
    found = checkpoint.parse(line(checkpoint.body(said, signature, NOW)))
    assert (found.node, found.number, found.hash, found.final) == ("dns1", 41, b"a" * 64, final)
    assert (found.time, found.statement, found.signature) == ("2026-11-23T20:12:01.250000Z", said, signature)
    assert found.end.next == 43


def test_the_statement_is_text_that_people_can_read():
    assert (
        f"blocker evidence checkpoint\nnode dns1\nseq 41\nhash {'a' * 64}\ntime 2026-11-23T20:12:01.250000Z\nend no\n"
    ) == SAID


@pytest.mark.parametrize(
    ("body", "looks_like_one"),
    [
        (checkpoint.body(SAID, "", NOW), True),
        (checkpoint.note("resume", NOW, torn=0), False),
        (b'{"time":"2026-11-23T20:12:01.250000Z","client":"192.0.2.1","qname":"\\"event\\":\\"checkpoint\\""', False),
    ],
)
def test_what_looks_like_one(body, looks_like_one):
    assert checkpoint.is_one(line(body)) is looks_like_one


@pytest.mark.parametrize(
    "said",
    [
        "", SAID + "x", SAID.replace("node", "nod"), SAID.replace("seq 41", "seq -1"), SAID.replace("aaa", "AAA"),
        SAID.replace("end no", "end maybe"), None, 7, ["x"],
    ],
)  # fmt: skip
def test_other_statements_are_none(said):
    body = json.dumps({"time": "x", "event": "checkpoint", "statement": said})[:-1].encode()
    assert checkpoint.parse(line(body)) is None


@given(st.binary(max_size=300) | st.builds(lambda body: line(b"{" + body), st.binary(max_size=300)))
def test_any_octets_are_read_or_refused(octets):
    assert checkpoint.parse(octets) is None
