"""Which files are looked at, and what counts as a change of them."""

from pathlib import Path

import pytest

from blocker.serve.look import is_temporary, look, signature


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
    assert is_temporary(name) is temporary


def test_a_look_sees_files_and_what_lies_directly_in_folders(tmp_path: Path) -> None:
    for name in ("lists/a.yaml", "lists/.b.yaml", "lists/sub/c.yaml", "config.yaml", "other.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = look([str(tmp_path / "lists"), str(tmp_path / "config.yaml"), str(tmp_path / "missing")])
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
    before = look([str(link)])
    link.unlink()
    link.symlink_to("v2")
    assert look([str(link)]) != before


def test_a_signature_tells_looks_apart(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    before = signature(look([str(tmp_path)]))
    assert signature(look([str(tmp_path)])) == before
    (tmp_path / "b").write_text("b")
    assert signature(look([str(tmp_path)])) != before
