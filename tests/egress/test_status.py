"""What the egress process knew last."""

import pytest

from blocker.egress import status
from blocker.egress.status import Status


def test_what_was_kept_is_told(tmp_path):
    said = Status("abc", 1.5, 0.2, 1, "why", {"app_chat_4": 3}, {"refuse_staff_address_chat": 9})
    status.write(said, tmp_path)
    assert status.read(tmp_path) == said
    assert [each.name for each in tmp_path.iterdir()] == [status.FILE]


@pytest.mark.parametrize("kept", [None, "", "{", "[]", '{"unknown": 1}', "\0"])
def test_what_is_missing_or_spoilt_says_nothing(tmp_path, kept):
    if kept is not None:
        (tmp_path / status.FILE).write_text(kept)
    assert status.read(tmp_path) == Status()
