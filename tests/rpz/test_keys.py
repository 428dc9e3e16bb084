"""Secrets: read from files that are closed to others, all problems at once."""

import base64

import dns.name
import pytest

from blocker.config import RpzKey
from blocker.errors import ConfigError
from blocker.rpz import keys

SECRET = b"0123456789abcdef"


def written(tmp_path, content, mode=0o600):
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return RpzKey(name="Both", secret_file=path)


def test_a_secret(tmp_path):
    found = keys.load([written(tmp_path, base64.b64encode(SECRET) + b"\n")])
    assert found[dns.name.from_text("both")].secret == SECRET


@pytest.mark.parametrize(("content", "mode", "why"), [
    (base64.b64encode(SECRET), 0o604, "chmod o-rwx"),
    (b"not base64!", 0o600, "no base64"),
    (base64.b64encode(SECRET[:-1]), 0o600, "15 octets, and 16 are the least"),
    (b"", 0o600, "0 octets"),
])  # fmt: skip
def test_refused(tmp_path, content, mode, why):
    with pytest.raises(ConfigError, match=why):
        keys.load([written(tmp_path, content, mode)])


def test_all_problems_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        keys.load([written(tmp_path, b""), RpzKey(name="other", secret_file=tmp_path / "missing")])
    assert len(caught.value.problems) == 2
    assert "cannot be read: No such file" in caught.value.problems[1]
