"""Files in the state folder are whole or not there, and old ones go."""

import os

import pytest

from blocker.errors import ArtifactError
from blocker.serve import statefile


def test_a_file_is_put_in_place_whole(tmp_path):
    target = tmp_path / "generation-1.json"
    for content in (b"one", b"two"):
        statefile.write(target, content)
        assert target.read_bytes() == content
    assert list(tmp_path.iterdir()) == [target]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    target = tmp_path / "generation-1.json"
    statefile.write(target, b"one")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtifactError, match=r"cannot be written.*process\.state_dir"):
        statefile.write(target, b"two")
    assert target.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [target]


def test_the_newest_stay_and_those_in_use(tmp_path):
    files = [tmp_path / f"exceptions-{number}.json" for number in range(6)]
    for number, file in enumerate(files):
        file.write_text("{}")
        os.utime(file, (number, number))
    statefile.tidy(tmp_path, "exceptions-*.json", {files[1]})
    assert sorted(tmp_path.iterdir()) == [files[1], files[4], files[5]]


def test_what_a_former_run_left_goes_and_its_lists_stay(tmp_path):
    kept = ["lists-abc.index", "control.sock", "feeds", "evidence.checkpoints"]
    gone = ["generation-1.json", "exceptions-1.json", "generation-2.77.draft", ".lists-abc.index.77"]
    for name in (*kept, *gone):
        (tmp_path / name).touch()
    statefile.clear(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(kept)
    statefile.clear(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    statefile.make(tmp_path / "a" / "b")
    statefile.make(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        with pytest.raises(ArtifactError, match=rf"{name}: cannot be written.*process\.state_dir"):
            statefile.make(tmp_path / name)
