"""An accepted name becomes a line of a list, with its provenance; what must not be blocked is refused."""

import fcntl
import os

import pytest

from blocker.candidates import accept
from blocker.candidates.accept import Decision
from blocker.candidates.finding import Evidence, Finding, Kind
from blocker.errors import CandidateError, ListError, NameFormatError
from blocker.lists import must_resolve, source
from blocker.lists.gather import BUILT_IN
from blocker.policy import Scope

MUST = must_resolve.read([BUILT_IN / must_resolve.FILE])
DECISION = Decision("Jane Doe", 'it is "theirs"', 1_795_503_203.0)
FOUND = Finding("new.example", "tiktok", (Evidence(Kind.BRAND, 0.6, "new: the word stands alone"),))


def add(path, name="new.example", finding=FOUND, scope=Scope.SUFFIX):
    return accept.add(path, "tiktok", name, scope, DECISION, finding)


def test_a_new_list(tmp_path):
    path = accept.file_in(tmp_path, "tiktok")
    assert add(path) is None
    (entry,) = source.read(path).entries
    assert (entry.value, entry.scope) == ("new.example", Scope.SUFFIX)
    assert entry.note == (
        'accepted 2026-11-24T06:53Z by Jane Doe: it is "theirs"; found by new: the word stands alone (weight 0.60)'
    )


def test_another_line(tmp_path):
    path = accept.file_in(tmp_path, "tiktok")
    add(path)
    first = path.read_bytes()
    assert add(path, "more.example", None, Scope.EXACT) == first
    assert [(entry.value, entry.scope) for entry in source.read(path).entries] == [
        ("new.example", Scope.SUFFIX), ("more.example", Scope.EXACT),
    ]  # fmt: skip
    assert "not found by itself" in source.read(path).entries[1].note
    accept.write(path, first)
    assert path.read_bytes() == first
    accept.write(path, None)
    assert list(tmp_path.iterdir()) == []


def test_taken_back(tmp_path):
    path = accept.file_in(tmp_path, "tiktok")
    assert accept.remove(path, "new.example") is None
    add(path)
    one = path.read_bytes()
    add(path, "more.example")
    two = path.read_bytes()
    assert accept.remove(path, "other.example") is None
    assert accept.remove(path, "more.example") == two
    assert path.read_bytes() == one
    assert accept.remove(path, "new.example") == one
    assert not path.exists()


def test_what_others_have_written_otherwise_is_not_torn(tmp_path):
    path = tmp_path / "l.yaml"
    path.write_text(
        "app: tiktok\nentries:\n  - {value: a.example, kind: exact}\n  - value: new.example\n    kind: suffix\n"
    )
    before = path.read_bytes()
    with pytest.raises((CandidateError, ListError)):
        accept.remove(path, "new.example")
    assert path.read_bytes() == before


@pytest.mark.parametrize(("there", "error", "why"), [
    ("app: wechat\nentries:\n  - {value: a.example, kind: exact}\n", CandidateError, "is a list of 'wechat'"),
    ("app: tiktok\nentries:\n  - {value: new.example, kind: suffix}\n", CandidateError, "stands there already"),
    ("app: tiktok\nentries: [{value: a.example, kind: exact}]\n", ListError, "not YAML"),  # written another way
    ("nonsense", ListError, "must be a mapping"),
    ("app: tiktok\nentries:\n  - {value: a.example, kind: exact}\nbrand: [abcd]\n", ListError, ":5"),
])  # fmt: skip
def test_a_list_that_cannot_take_it_stays_as_it_is(tmp_path, there, error, why):
    path = tmp_path / "l.yaml"
    path.write_text(there)
    with pytest.raises(error, match=why):
        add(path)
    assert path.read_text() == there


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CandidateError, match="cannot be written"):
        add(tmp_path / "nowhere" / "l.yaml")


def test_one_after_the_other(tmp_path):
    with accept.alone(tmp_path), (tmp_path / "x").open("w"):
        descriptor = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    with pytest.raises(CandidateError, match="cannot be written"), accept.alone(tmp_path / "nowhere"):
        pass


@pytest.mark.parametrize(("name", "error", "why"), [
    ("google.com", CandidateError, "must resolve"),
    ("www.login.microsoftonline.com", CandidateError, "lies below"),
    ("co.uk", CandidateError, "public suffix"),
    ("a b.example", NameFormatError, "contains"),
])  # fmt: skip
def test_refused(name, error, why):
    with pytest.raises(error, match=why):
        accept.refuse(name, MUST)


def test_a_name_is_written_as_lists_write_it():
    assert accept.refuse("Bücher.example.", MUST) == "xn--bcher-kva.example"


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("x", " "), ("x\ny", "x"), ("x", "y" * 201)])
def test_provenance_is_one_line_and_not_empty(by, reason):
    with pytest.raises(CandidateError, match="one line"):
        Decision(by, reason, 0.0)
