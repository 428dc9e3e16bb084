"""The status that one process writes and others read."""

import pytest

from blocker.rpz import status
from blocker.rpz.status import ImportStatus, Status, ZoneStatus

SAID = Status(
    {"a.example": ZoneStatus(7, 2)}, {"b.example": ImportStatus(8, 3, 1.5, 9.5)},
    {"a.example axfr success": 1}, {"b.example axfr failed": 2}, 3,
)  # fmt: skip


def test_read_what_was_written(tmp_path):
    assert status.read(tmp_path) == Status()
    status.write(SAID, tmp_path)
    assert status.read(tmp_path) == SAID
    assert [each.name for each in (tmp_path / "rpz").iterdir()] == ["status.json"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"{}", b'{"version": 9}', b'{"version": 1, "zones": {"a": 1}}']
)
def test_nonsense_is_nothing(tmp_path, content):
    status.write(SAID, tmp_path)
    (tmp_path / status.FILE).write_bytes(content)
    assert status.read(tmp_path) == Status()
