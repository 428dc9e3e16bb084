"""Files of evidence: read whatever is in them, in the order of the chain."""

import gzip

import pytest

from blocker.errors import DamagedError, EvidenceError
from blocker.evidence import files
from blocker.evidence.verify import MAX_LINE
from tests.evidence.records import written

CONTENT = b"one\ntwo\n" + b"x" * (MAX_LINE + 10) + b"\nlast"


@pytest.mark.parametrize("packed", [False, True])
def test_lines_come_with_their_ends_and_bounded(tmp_path, packed):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(CONTENT) if packed else CONTENT)
    found = list(files.lines(path))
    assert b"".join(found) == CONTENT
    assert [len(line) for line in found] == [4, 4, MAX_LINE, 11, 4]


@pytest.mark.parametrize(
    "content", [gzip.compress(CONTENT)[:-9], gzip.compress(CONTENT)[:40] + b"\0" * 40, b"\x1f\x8b"]
)
def test_what_cannot_be_unpacked_is_said(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"a: cannot be unpacked"):
        list(files.lines(path))
    assert files.in_order([path, path]) == [path, path]


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(EvidenceError, match=r"a: cannot be read"):
        list(files.lines(tmp_path / "a"))


def test_files_without_a_chain_have_some_order(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"\xff\n\n")
    assert sorted(files.in_order(paths)) == paths
    with pytest.raises(EvidenceError, match="cannot be read"):
        files.in_order([*paths, tmp_path / "missing"])


def test_copies_are_checkpoints_and_nothing_else(tmp_path):
    written(tmp_path / "a", range(3))
    assert [copy.number for copy in files.copies(tmp_path / "a.checkpoints")] == [3]
    with pytest.raises(EvidenceError, match="a:1: not a checkpoint"):
        list(files.copies(tmp_path / "a"))
