"""Public keys, as minisign writes them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.bundle import key
from blocker.bundle.key import PublicKey

TEXT = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"  # from minisign's own documentation
FOUND = key.parse(TEXT)


@pytest.mark.parametrize("text", [TEXT, f"{TEXT}\n", f"untrusted comment: minisign public key\n{TEXT}\n", f" {TEXT} "])
def test_a_key_is_its_line_or_its_file(text):
    assert key.parse(text) == FOUND
    assert str(FOUND) == TEXT


def test_its_number_is_shown_as_minisign_shows_it():
    assert FOUND.name == "E7620F1842B4E81F"  # as its documentation has it


@pytest.mark.parametrize(
    "text",
    [
        "",
        "RWQ",
        TEXT[:-1],
        TEXT + "A",
        TEXT + "\n" + TEXT,
        "comment\n" + TEXT,
        TEXT.replace("RWQ", "RUQ"),  # the mark of a hashed signature
        base64.b64encode(b"Ed" + bytes(41)).decode(),
        TEXT[:10] + " " + TEXT[10:],
        "é" * 56,
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="public key"):
        key.parse(text)


@given(st.text())
def test_any_text_is_a_key_or_refused(text):
    try:
        found = key.parse(text)
    except ValueError:
        return
    assert isinstance(found, PublicKey)


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=32, max_size=32))
def test_what_is_written_is_read(key_id, octets):
    made = PublicKey(key_id, octets)
    assert key.parse(str(made)) == made
