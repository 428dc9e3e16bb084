"""Secret keys: minisign's files are ours and ours are minisign's; nobody else can read them."""

import base64
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.bundle import key, secret, signature
from blocker.errors import BundleError
from tests.bundle.publisher import A

CHEAP = {"operations": 1 << 15, "memory": 1 << 20}  # a test needs no strong pass phrase
WORDS = b"banned.example\n"


def no_phrase():
    raise AssertionError("nobody should be asked")


def test_we_read_minisigns_key_under_a_pass_phrase_and_it_reads_ours(tmp_path):
    """The one test with the real 1 GiB."""
    told = {"input": "horse\nhorse\n", "text": True, "capture_output": True, "cwd": tmp_path}
    assert subprocess.run(["minisign", "-G", "-p", "m.pub", "-s", "m.key"], check=False, **told).returncode == 0
    found = secret.read(tmp_path / "m.key", lambda: "horse")
    assert found.public == key.parse((tmp_path / "m.pub").read_text())
    secret.write(tmp_path / "ours.key", secret.dumped(found, "horse"))
    (tmp_path / "file").write_bytes(WORDS)
    assert subprocess.run(["minisign", "-S", "-s", "ours.key", "-m", "file"], check=False, **told).returncode == 0
    (made,) = signature.parse((tmp_path / "file.minisig").read_bytes())
    assert signature.verify(made, found.public, WORDS)


def test_plain_keys_both_ways(tmp_path):
    told = {"capture_output": True, "cwd": tmp_path, "check": True}
    subprocess.run(["minisign", "-G", "-W", "-p", "m.pub", "-s", "m.key"], **told)
    assert secret.read(tmp_path / "m.key", no_phrase).public == key.parse((tmp_path / "m.pub").read_text())
    secret.write(tmp_path / "ours.key", secret.dumped(A, None))
    (tmp_path / "file").write_bytes(WORDS)
    subprocess.run(["minisign", "-S", "-s", "ours.key", "-m", "file"], **told)
    subprocess.run(["minisign", "-V", "-P", str(A.public), "-m", "file"], **told)


def test_what_is_written_is_read_with_the_right_pass_phrase_only(tmp_path):
    secret.write(tmp_path / "a.key", secret.dumped(A, "horse", **CHEAP))
    assert secret.read(tmp_path / "a.key", lambda: "horse") == A
    with pytest.raises(BundleError, match=r"a\.key: the pass phrase is wrong"):
        secret.read(tmp_path / "a.key", lambda: "mule")


def test_the_file_is_for_its_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        secret.write(tmp_path / "a.key", secret.dumped(A, None))
    finally:
        os.umask(before)
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "a.key").chmod(0o640)
    with pytest.raises(BundleError, match="chmod 600"):
        secret.read(tmp_path / "a.key", no_phrase)


def test_a_key_is_never_written_over(tmp_path):
    secret.write(tmp_path / "a.key", b"precious")
    with pytest.raises(BundleError, match="never written over"):
        secret.write(tmp_path / "a.key", b"new")
    assert (tmp_path / "a.key").read_bytes() == b"precious"


def test_every_changed_octet_of_a_plain_key_is_noticed():
    written = secret.dumped(A, None)
    form = bytearray(base64.b64decode(written.splitlines()[1]))
    for at in (*range(6), *range(54, len(form))):  # salt, work and memory mean nothing where no phrase is
        changed = bytearray(form)
        changed[at] ^= 1
        with pytest.raises(BundleError):
            secret.loaded(b"untrusted comment: x\n" + base64.b64encode(changed) + b"\n", lambda: "")


def test_a_file_cannot_ask_for_all_the_memory():
    written = secret.dumped(A, "horse", **CHEAP)
    form = bytearray(base64.b64decode(written.splitlines()[1]))
    form[46:54] = b"\xff" * 8
    with pytest.raises(BundleError, match="more work than any minisign"):
        secret.loaded(b"untrusted comment: x\n" + base64.b64encode(form) + b"\n", lambda: "horse")


@pytest.mark.parametrize("path", ["none.key", ""])
def test_a_file_that_cannot_be_read_is_named(tmp_path, path):
    with pytest.raises(BundleError, match="cannot be read"):
        secret.read(tmp_path / path, no_phrase)


@given(st.binary(max_size=300))
def test_any_octets_are_a_key_or_refused(octets):
    with pytest.raises(BundleError):
        secret.loaded(octets, lambda: "")
