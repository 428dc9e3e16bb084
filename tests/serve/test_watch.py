"""What counts as a change of files. That changes are noticed is shown in test_control."""

from pathlib import Path

import pytest

from blocker.serve import watch


@pytest.mark.parametrize(
    ("name", "temporary"),
    [
        ("tiktok.yaml", False),
        ("names.txt", False),
        ("a.new.yaml", False),
        (".hidden.yaml", True),
        (".tiktok.yaml.swp", True),
        ("tiktok.yaml~", True),
        ("#tiktok.yaml#", True),
        ("tiktok.yaml.tmp", True),
        ("tiktok.yaml.part", True),
        ("4913", True),  # vi tries whether it may write
        ("..2026_11_23", True),
        ("..data", False),  # Kubernetes changes a volume by this link
    ],
)
def test_temporary_names(name: str, temporary: bool) -> None:
    assert watch.is_temporary(name) is temporary


def test_a_look_sees_files_and_what_lies_directly_in_folders(tmp_path: Path) -> None:
    for name in ("lists/a.yaml", "lists/.b.yaml", "lists/sub/c.yaml", "config.yaml", "other.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = watch.look([str(tmp_path / "lists"), str(tmp_path / "config.yaml"), str(tmp_path / "missing")])
    assert {Path(path).relative_to(tmp_path).as_posix() for path in found} == {
        "lists/a.yaml",
        "lists/sub",
        "config.yaml",
    }


def test_a_look_follows_links(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v2").mkdir()
    for version in ("v1", "v2"):
        (tmp_path / version / "a.yaml").write_text(version)
    link = tmp_path / "lists"
    link.symlink_to("v1")
    before = watch.look([str(link)])
    link.unlink()
    link.symlink_to("v2")
    assert watch.look([str(link)]) != before


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
