"""YAML with line numbers: what text becomes, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.errors import ListError
from blocker.lists import marked


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),  # Norway, and a top-level domain
        ("yes", "yes"),
        ("0x10", "0x10"),
        ("10:30", "10:30"),
        ("2026-11-23", "2026-11-23"),  # no dates
        ("007", "007"),
        ("1e5", "1e5"),
        ("9" * 5000, "9" * 5000),  # not a number that takes seconds to read
        ("1.0e999", "1.0e999"),
        ("True", "True"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("'12'", "12"),  # quoted: text
        ('"true"', "true"),
    ],
)
def test_scalars(written, value):
    assert marked.parse(f"key: {written}", "f").data == {"key": value}


def test_raw_text_stays_as_written():
    document = marked.parse("a: [0x10, 1.10, true]", "f")
    assert [document.raw(("a", at)) for at in range(3)] == ["0x10", "1.10", "true"]
    with pytest.raises(KeyError):
        document.raw(("a",))


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("a",), 1),
        (("b",), 2),
        (("b", 0), 3),
        (("b", 1), 4),
        (("b", 1, "d"), 5),
        (("b", 1, "d", "nothing"), 5),  # falls back to the nearest parent
        (("nothing",), 1),
        ((), 1),
    ],
)
def test_line(place, line):
    assert marked.parse("a: 1\nb:\n  - x\n  - c: 1\n    d: 2\n", "f").line(place) == line


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\na: 2\nb: 1\nb: 1\n", ["f:2: 'a' is said twice", "f:4: 'b' is said twice"]),
        ("a: &x 1\nb: *x\n", ["f:2: *x is an alias"]),
        ("--- 1\n--- 2\n", ["f:2: a second document"]),
        ("a: !!str 1\n", ["f:1: tag:yaml.org,2002:str is a tag"]),
        ("a: !python/object:os.system 1\n", ["f:1: !python/object:os.system is a tag"]),
        ("\n[a]: 1\n", ["f:2: a key must be a plain word"]),
        ("[" * 100_000, ["f:1: nested more than 16 deep"]),
        ("a: 1\n b: 2\n", ["f:2: this is not YAML"]),
        ("a: \x00\n", ["f:1: the text holds a character"]),
        ("a: \ud800\n", ["f:1: the text holds a character"]),
    ],
)
def test_refused(text, problems):
    with pytest.raises(ListError) as refused:
        marked.parse(text, "f")
    assert [said[: len(wanted)] for said, wanted in zip(refused.value.problems, problems, strict=True)] == problems


def test_files(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert marked.read(path).data == {"a": 1}
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ListError, match=r"a\.yaml:2: this is not UTF-8"):
        marked.read(path)
    with pytest.raises(ListError, match="cannot be read"):
        marked.read(tmp_path / "none.yaml")


@given(st.text() | st.text(alphabet="ab:-[]{}'\"&*!|> \n#?,%"))
def test_any_text_is_read_or_refused(text):
    try:
        marked.parse(text, "f")
    except ListError as refused:
        assert refused.problems  # noqa: PT017 (refusing is allowed, silence is not)
