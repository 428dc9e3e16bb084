"""Signatures: minisign believes ours, we believe minisign's, and neither believes anything changed."""

import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.bundle import key, secret, signature
from blocker.errors import BundleError
from tests.bundle.publisher import A, B

WORDS = b"banned.example\n"


def minisign(folder, *arguments, **more):
    return subprocess.run(
        ["minisign", *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False, **more
    )


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A folder with a file, and a key of minisign's without a pass phrase."""
    folder = tmp_path_factory.mktemp("minisign")
    assert minisign(folder, "-G", "-W", "-p", "m.pub", "-s", "m.key").returncode == 0
    (folder / "file").write_bytes(WORDS)
    return folder


@pytest.mark.parametrize("how", [(), ("-l",)], ids=["hashed", "legacy"])
@pytest.mark.parametrize("comment", ["serial:7", None])
def test_we_accept_what_minisign_signs(theirs, how, comment):
    said = ("-t", comment) if comment else ()
    assert minisign(theirs, "-S", *how, "-s", "m.key", "-m", "file", *said).returncode == 0
    (found,) = signature.parse((theirs / "file.minisig").read_bytes())
    public = key.parse((theirs / "m.pub").read_text())
    assert signature.verify(found, public, WORDS)
    assert not signature.verify(found, public, WORDS + b"x")
    assert found.hashed == (how == ())
    assert comment in (found.trusted_comment, None)


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("more", [(), (B,)], ids=["alone", "another signer after us"])
def test_minisign_accepts_what_we_sign(tmp_path, hashed, more):
    (tmp_path / "file").write_bytes(WORDS)
    made = [signature.sign(each.seed, each.id, WORDS, "serial:7", hashed=hashed) for each in (A, *more)]
    (tmp_path / "file.minisig").write_bytes(signature.joined(made))
    found = minisign(tmp_path, "-V", "-m", "file", "-P", A.public)
    assert (found.returncode, found.stdout) == (
        0,
        "Signature and comment signature verified\nTrusted comment: serial:7\n",
    )
    (tmp_path / "file").write_bytes(WORDS + b"x")
    assert minisign(tmp_path, "-V", "-m", "file", "-P", A.public).returncode == 1


def test_what_is_written_is_read():
    made = [signature.sign(each.seed, each.id, WORDS, "c", untrusted="u") for each in (A, B)]
    assert signature.parse(signature.joined(made)) == tuple(made)


def test_swapped_parts_are_no_signature():
    one = signature.sign(A.seed, A.id, WORDS, "one")
    two = signature.sign(A.seed, A.id, WORDS + b"x", "two")
    other = signature.sign(B.seed, B.id, WORDS, "one")
    assert signature.verify(one, A.public, WORDS)
    for wrong in (
        replace(one, octets=two.octets),
        replace(one, global_octets=two.global_octets),
        replace(one, trusted_comment="two"),
        replace(one, trusted_comment="two", global_octets=two.global_octets),
        replace(one, hashed=False),
        replace(one, key_id=B.id),
        replace(other, key_id=A.id),
        two,
        other,
    ):
        assert not signature.verify(wrong, A.public, WORDS)


def test_every_changed_octet_is_noticed():
    """All but the untrusted comment's own words, which nobody signs."""
    written = signature.joined([signature.sign(A.seed, A.id, WORDS, "serial:7", untrusted="words")])
    free = range(written.index(b"words"), written.index(b"\n"))
    for at in range(len(written)):
        for bit in (1, 0x20, 0x80):
            changed = bytearray(written)
            changed[at] ^= bit
            try:
                found = signature.parse(bytes(changed))
            except BundleError:
                continue
            assert at in free or not any(signature.verify(each, A.public, WORDS) for each in found), at


def test_every_shorter_file_is_refused():
    written = signature.joined([signature.sign(A.seed, A.id, WORDS, "serial:7")])
    for end in range(len(written) - 1):  # the last newline may be missing
        with pytest.raises(BundleError):
            signature.parse(written[:end])


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"", "has 4 lines, and here are 0"),
        (b"a\nb\nc\nd\n", "line 1: not a signature as minisign writes it"),
        (b"\xff\n" * 4, "are not text"),
        (b"x" * 70000, "larger than 65536 octets"),
        (signature.joined([signature.sign(A.seed, A.id, WORDS, "c")] * 17), "more than 16 signatures"),
        (signature.joined([signature.sign(A.seed, A.id, WORDS, "c")]).replace(b"RUQ", b"RUE", 1), "line 2: "),
        (
            signature.joined([signature.sign(A.seed, A.id, WORDS, "c")]).replace(b": c", b": \x1b[2J"),
            "line 3: a comment",
        ),
    ],
)
def test_refused(written, why):
    with pytest.raises(BundleError, match=why):
        signature.parse(written)


def test_a_comment_that_would_forge_lines_is_not_signed():
    with pytest.raises(BundleError, match="printable"):
        signature.sign(A.seed, A.id, WORDS, "serial:7\ntrusted comment: serial:8")


@given(st.binary(max_size=600))
def test_any_octets_are_signatures_or_refused(octets):
    try:
        found = signature.parse(octets)
    except BundleError:
        return
    assert not any(signature.verify(each, A.public, WORDS) for each in found)


def test_keys_do_not_show_in_messages():
    assert A.seed.hex() not in repr(A)
    assert repr(A.seed) not in repr(A)
    assert secret.generate() != secret.generate()
