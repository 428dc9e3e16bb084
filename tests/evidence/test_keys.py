"""Who signed a checkpoint."""

import pytest

from blocker.bundle import secret
from blocker.errors import BundleError, ConfigError
from blocker.evidence import checkpoint, keys
from blocker.evidence.chain import End
from blocker.evidence.checkpoint import Checkpoint
from tests.evidence.records import new_key

SAID = checkpoint.statement("dns1", End(42, b"a" * 64), 1.7e9, final=False)


def signed(by, said=SAID, shown=SAID):
    signature = keys.signer(by.with_suffix(".key"))(said, "a comment")
    return Checkpoint("dns1", 41, b"a" * 64, "", False, shown, signature)


@pytest.fixture
def ours(tmp_path):
    return new_key(tmp_path / "ours")


@pytest.fixture
def other(tmp_path):
    return new_key(tmp_path / "other")


def test_a_trusted_key_is_believed(ours, other):
    trusted = [keys.read(other), keys.read(ours)]
    assert keys.trouble(signed(ours), trusted) == ""


def test_an_unknown_key_is_named(ours, other):
    assert keys.read(other).name in keys.trouble(signed(other), [keys.read(ours)])


def test_another_statement_is_forged(ours):
    assert "forged or altered" in keys.trouble(signed(ours, shown=SAID.replace("41", "42")), [keys.read(ours)])


@pytest.mark.parametrize("signature", ["", "x", "untrusted comment: x\nRWQ\n", "\ud800", "a\nb\nc\nd\n"])
def test_what_is_no_signature(ours, signature):
    assert keys.trouble(Checkpoint("dns1", 41, b"", "", False, SAID, signature), [keys.read(ours)])


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (None, 0, "cannot be read"),
        (b"nonsense", 0o600, "not a secret key"),
        (b"", 0o644, "others may read"),
        (secret.dumped(secret.generate(), "x", operations=1, memory=1 << 20), 0o600, "pass phrase"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_at_once(tmp_path, content, mode, why):
    path = tmp_path / "k.key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(ConfigError, match=why):
        keys.signer(path)


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"RWQ", b"x" * 100_000])
def test_what_is_no_public_key(tmp_path, content):
    path = tmp_path / "k.pub"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError, match=r"k\.pub"):
        keys.read(path)
