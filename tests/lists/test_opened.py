"""The compiled index of some lists, whoever compiled it."""

import pytest

from blocker.config import Lists
from blocker.errors import ArtifactError, ListError
from blocker.lists import compile as compiling
from blocker.lists.opened import opened


@pytest.fixture
def lists(tmp_path):
    (tmp_path / "games.txt").write_text("game.example\n")
    return Lists(built_in=False, directories=(tmp_path / "games.txt",))


def test_what_the_server_has_compiled_is_used(tmp_path, lists):
    kept = tmp_path / f"lists-{compiling.fingerprint(lists)}.index"
    compiling.build(compiling.gather(lists), kept, compiled=7)
    assert opened(lists, tmp_path, tmp_path / "none").compiled == 7


@pytest.mark.parametrize("damage", [b"", b"nonsense"])
def test_a_damaged_one_is_not(tmp_path, lists, damage):
    (tmp_path / f"lists-{compiling.fingerprint(lists)}.index").write_bytes(damage)
    (tmp_path / "scratch").mkdir()
    assert opened(lists, tmp_path, tmp_path / "scratch").apps["games"].entries == 1


def test_nowhere_to_write(tmp_path, lists):
    with pytest.raises(ArtifactError, match="set TMPDIR"):
        opened(lists, tmp_path, tmp_path / "none")


def test_a_list_that_is_refused(tmp_path, lists):
    (tmp_path / "games.txt").write_text("a name\n")
    with pytest.raises(ListError):
        opened(lists, tmp_path, tmp_path)
