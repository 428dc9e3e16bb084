"""What the serving processes read of exceptions, and that nothing else passes for it."""

import json

import pytest

from blocker.errors import ArtifactError
from blocker.exceptions.entry import Grant
from blocker.exceptions.snapshot import NONE, Snapshot, granted_in

GRANT = Grant("1", "INC-1", "suffix", "help.tiktok.com", "", "press", "", 0, 1_795_608_000, "omar")


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "exceptions-1.json"
    path.write_text(json.dumps(Snapshot((GRANT,), 4, {"approved": 1}).said()))
    assert granted_in(str(path)) == (GRANT,)
    path.write_text(json.dumps(NONE.said()))
    assert granted_in(str(path)) == ()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '"x"', '{"granted": [1]}', '{"granted": [{"id": "1"}]}', '{"granted": 7}']
)
def test_anything_else_is_refused(tmp_path, text):
    path = tmp_path / "exceptions-1.json"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=r"exceptions-1\.json: not a file of exceptions: .* Run `blocker reload`"):
        granted_in(str(path))
    with pytest.raises(ArtifactError):
        granted_in(str(tmp_path / "nowhere"))
