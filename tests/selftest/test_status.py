"""What is kept of the last round."""

import pytest

from blocker.selftest import status
from blocker.selftest.status import FILE, Outcome, Status

SAID = Status({"tiktok": Outcome(False, 5.0, "tiktok.com", "it answered")}, Outcome(True, 5.0, "a.example"))


@pytest.mark.parametrize("said", [SAID, Status()])
def test_whole_or_not_at_all(tmp_path, said):
    status.write(said, tmp_path)
    assert status.read(tmp_path) == said
    assert [each.name for each in tmp_path.iterdir()] == [FILE]


ODD = '{"version": 1, "apps": {"x": 1}, "resolution": null}'


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 9}', ODD])
def test_what_makes_no_sense_is_nothing(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    assert status.read(tmp_path) == Status()


def test_nothing_yet(tmp_path):
    assert status.read(tmp_path) == Status()
    with pytest.raises(OSError, match="No such file"):
        status.write(SAID, tmp_path / "nowhere")
