"""The artifact's file: whole or refused, whatever happened to it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocker.errors import ArtifactError
from blocker.lists import artifact
from blocker.lists.artifact import Part
from blocker.lists.index import Index

PARTS = {part: part.name.encode() * part for part in Part}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("artifact") / "lists.index"
    artifact.write(path, PARTS, 1_800_000_000)
    return path


def test_what_is_written_is_read(whole):
    digest = artifact.write(whole, PARTS, 1_800_000_000)
    checked = artifact.open_checked(whole)
    assert (checked.digest, checked.compiled) == (digest, 1_800_000_000)
    assert {part: bytes(content) for part, content in checked.parts.items()} == PARTS
    assert [each.name for each in whole.parent.iterdir()] == [whole.name]  # no draft is left behind


def test_the_digest_does_not_depend_on_the_time(tmp_path):
    assert artifact.write(tmp_path / "a", PARTS, 1) == artifact.write(tmp_path / "b", PARTS, 2)


def test_sections_are_aligned(whole):
    written = whole.read_bytes()
    starts = [written.index(content) for part, content in PARTS.items() if content and part is not Part.TRIE]
    assert not any(start % 8 for start in starts)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(whole, at, bit, tmp_path):
    damaged = bytearray(whole.read_bytes())
    damaged[at % len(damaged)] ^= 1 << bit
    refuse(tmp_path / "flipped", damaged)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keep=st.integers(0))
def test_a_cut_is_noticed(whole, keep, tmp_path):
    written = whole.read_bytes()
    refuse(tmp_path / "cut", written[: keep % len(written)])


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused(tmp_path, content):
    refuse(tmp_path / "any", content)


def test_absent_and_longer_files_are_refused(whole, tmp_path):
    refuse(tmp_path / "longer", whole.read_bytes() + b"\0")
    with pytest.raises(ArtifactError, match="cannot be opened"):
        Index.open(tmp_path / "none")


def refuse(path, content):
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="Compile the lists again"):
        Index.open(path)


def test_the_check_rests_where_somebody_serves_beside(tmp_path, monkeypatch):
    path = tmp_path / "lists.index"
    digest = artifact.write(path, PARTS | {Part.DETAILS: bytes(200_000)}, 1)
    rests = []
    monkeypatch.setattr(artifact.time, "sleep", rests.append)
    assert artifact.open_checked(path).digest == digest
    assert rests == []
    assert artifact.open_checked(path, 0.5).digest == digest
    assert rests == [0.5] * 4
