"""Where a chain ended, whatever happened to its files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.errors import EvidenceError
from blocker.evidence import resume
from tests.evidence.records import written


@pytest.fixture
def log(tmp_path):
    written(tmp_path / "log", range(5))
    return tmp_path / "log"


def test_the_end_and_the_last_record_of_each_journal(log):
    found = resume.tail([log], b"dns1")
    assert found.end.next == 7  # start, five records, checkpoint
    assert list(found.positions.values()) == [5 * 40]


def test_another_node_has_no_chain_here(log):
    assert resume.tail([log], b"dns2") is None


def test_a_file_without_records_leads_to_the_one_before(log, tmp_path):
    lines = log.read_bytes().splitlines(keepends=True)
    (tmp_path / "new").write_bytes(lines[-1])
    log.write_bytes(b"".join(lines[:-1]))
    found = resume.tail([tmp_path / "new", log], b"dns1")
    assert (found.end.next, list(found.positions.values())) == (7, [200])


def test_a_last_line_that_does_not_follow_is_refused(log):
    log.write_bytes(log.read_bytes().replace(b'"n":4', b'"n":5'))
    resume.tail([log], b"dns1")  # the line before the last: that is for verify
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(EvidenceError, match="does not follow"):
        resume.tail([log], b"dns1")


@pytest.mark.parametrize("window", [1000, 1 << 20])
def test_only_the_end_of_a_long_file_is_read(log, window, monkeypatch):
    monkeypatch.setattr(resume, "_WINDOW", window)
    assert resume.tail([log], b"dns1").end.next == 7


def test_the_latest_checkpoint_of_a_node(log, tmp_path):
    copies = tmp_path / "log.checkpoints"
    copies.write_bytes(copies.read_bytes() + b"rubbish\n" + log.read_bytes().splitlines(keepends=True)[1])
    found = resume.latest(copies, "dns1")
    assert (found.number, found.final, found.end.next) == (5, True, 7)
    assert resume.latest(copies, "dns2") is None
    assert resume.latest(tmp_path / "missing", "dns1") is None


@pytest.mark.parametrize(("last", "foreign"), [(b"", False), (b"{}\n", True), (b"{}", False)])
def test_foreign_lines(log, last, foreign):
    log.write_bytes(log.read_bytes() + last)
    assert resume.is_foreign(log) is foreign


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"", b""),
        (b"one\ntwo\n", b"one\ntwo\n"),
        (b"one\ntw", b"one\n"),
        (b"one", b""),
        (b"one\n" + bytes(200_000), b"one\n"),  # what a power cut leaves of a file that had grown
        (b"x" * 70_000 + b"\n" + b"y" * 70_000, b"x" * 70_000 + b"\n"),
    ],
)
def test_a_torn_line_is_taken_back(tmp_path, content, kept):
    path = tmp_path / "log"
    path.write_bytes(content)
    assert resume.untorn(path) == len(content) - len(kept)
    assert path.read_bytes() == kept


def test_no_file_has_no_torn_line(tmp_path):
    assert resume.untorn(tmp_path / "log") == 0
    assert not (tmp_path / "log").exists()


@given(st.binary(max_size=500))
def test_any_octets_have_an_end_or_none(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    assert resume.tail([path], b"dns1") is None
