"""What counts as a change of files. That changes are noticed is shown in test_control."""

from pathlib import Path

import pytest

from blocker.serve import watch
from blocker.serve.look import look, signature


@pytest.mark.parametrize(("path", "folder"), [("lists", "lists"), ("config.yaml", "."), ("gone.yaml", ".")])
def test_notices_come_from_folders(tmp_path: Path, path: str, folder: str) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "config.yaml").touch()
    assert list(watch.places([str(tmp_path / path)])) == [str(tmp_path / folder)]


def test_a_missing_folder_gives_no_notices(tmp_path: Path) -> None:
    assert watch.places([str(tmp_path / "missing" / "a.yaml")]) == {}


def test_other_paths_are_no_change(tmp_path: Path) -> None:
    changed: list[list[str]] = []
    watching = watch.Watch(changed.append)
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    watching.watch((str(tmp_path / "a"),))
    watching._adopt()
    watching.watch((str(tmp_path / "a"), str(tmp_path / "b")))
    watching._adopt()
    assert changed == []
    (tmp_path / "b").write_text("other")
    (tmp_path / "a").unlink()
    watching._compare()
    assert changed == [[str(tmp_path / "a"), str(tmp_path / "b")]]


def test_a_change_just_before_other_paths_come_is_not_lost(tmp_path: Path) -> None:
    changed: list[list[str]] = []
    watching = watch.Watch(changed.append)
    (tmp_path / "a").write_text("a")
    watching.watch((str(tmp_path / "a"),))
    watching._adopt()
    (tmp_path / "a").write_text("other")
    watching.watch((str(tmp_path),))
    watching._adopt()
    assert changed == [[str(tmp_path / "a")]]


@pytest.mark.parametrize("more", [False, True])
def test_a_change_since_files_were_read_is_not_lost(tmp_path: Path, more: bool) -> None:
    told: list[list[str]] = []
    watching = watch.Watch(told.append)
    path = tmp_path / "lists"
    path.mkdir()
    (path / "a").write_text("a")
    read = signature(look([str(path)]))
    if more:
        (path / "b").write_text("b")
    watching.watch((str(path),), read)
    watching._adopt()
    assert told == ([[str(path)]] if more else [])
