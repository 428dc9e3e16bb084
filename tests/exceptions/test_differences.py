"""Where the log's file, its lines in the store and the store's own word are not the same."""

import json
from dataclasses import replace

import pytest

from blocker import config
from blocker.config import Config
from blocker.exceptions import entry, store
from blocker.exceptions.differences import differences
from blocker.exceptions.entry import Grant, Person

NOW = 1_795_608_000
BROUGHT = Grant("bundle:7", "T-1", "suffix", "a.example", "", "", "", NOW - 5, NOW + 100, "omar")


@pytest.fixture
def found(tmp_path):
    return Config.model_validate({"process": {"state_dir": tmp_path / "state"}, "evidence": {"node": "dns1"}})


@pytest.fixture
def kept(found):
    with store.opened(found) as kept:
        grant = Grant("", "", "suffix", "x.example", "", "", "", 0, NOW + 50)
        kept.add(entry.request(grant, "a drill", Person("ines"), NOW, longest=100), NOW)
        kept.settle(NOW, {"bundle:7": NOW + 20.0}, [BROUGHT])
        kept.settle(NOW + 30, {"bundle:7": NOW + 20.0}, [BROUGHT])
        yield kept


def test_after_any_change_there_are_none(found, kept):
    assert list(differences(config.exceptions_audit(found), kept)) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE exceptions SET entry = replace(entry, 'x.example', 'y.example')", "exception 1: the store holds what"),
        ("DELETE FROM exceptions", "exception 1: the log knows it, and the store does not"),
        ("DELETE FROM bundled", "exception bundle:7: the log and the store say different ends of it"),
        ("UPDATE bundled SET ends = ends + 9", "exception bundle:7: the log and the store say different ends of it"),
        ("DELETE FROM audit WHERE seq = 3", "4: is not in the store"),
        ("UPDATE audit SET line = (SELECT line FROM audit WHERE seq = 0) WHERE seq = 1", "2: was altered"),
    ],
)
def test_each_is_said(found, kept, statement, said):
    kept._db.execute(statement)
    assert said in "\n".join(differences(config.exceptions_audit(found), kept))


def test_a_log_that_lacks_a_line(found, kept):
    log = config.exceptions_audit(found)
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    assert list(differences(log, kept)) == [f"{log}:4: is missing"]
    log.unlink()
    assert len(list(differences(log, kept))) == 4


def test_an_end_that_no_line_tells(found, kept):
    kept._db.execute("INSERT INTO bundled VALUES (?, 0)", (replace(BROUGHT, id="bundle:8").identity,))
    (said,) = differences(config.exceptions_audit(found), kept)
    assert "bundle:8" in said
    assert json.loads(BROUGHT.identity)["id"] == "bundle:7"
