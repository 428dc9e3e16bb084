"""What all formats share: names, the fast key, and how much is told of what was wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker import names
from blocker.errors import ListError
from blocker.lists import row
from blocker.lists.formats.draft import MAX_PROBLEMS, Draft, key_of, lines_of, plain_key


@given(
    st.lists(st.text("abc0-_", min_size=1, max_size=63), min_size=1, max_size=4)
    .map(".".join)
    .filter(lambda text: len(text) < 254)
)
def test_the_fast_key_is_the_key(text):
    assert plain_key(text.encode()) == key_of(names.from_text(text))


@pytest.mark.parametrize(
    ("text", "flags", "kept"),
    [
        ("a.example", 0, True),
        ("example", row.EXACT, True),
        ("example", row.ALLOW, True),
        ("192.0.2.1", row.EXACT, False),
        (".", row.ALLOW, False),
        ("a b", 0, False),
    ],
)
def test_keep(text, flags, kept):
    draft = Draft("copy", row.FEED)
    draft.keep(7, text, flags)
    assert [row.unpack(each) for each in draft.rows] == ([(0, 7, flags | row.FEED)] if kept else [])
    assert (len(draft.keys), draft.bad_lines) == (kept, not kept)


def test_few_problems_are_told_and_all_are_counted():
    draft = Draft("copy")
    for number in range(100):
        draft.bad(number, "bad")
        draft.unsupported(number, "beyond us")
    assert (draft.bad_lines, draft.unsupported_lines) == (100, 100)
    assert (len(draft.problems), len(draft.gaps)) == (MAX_PROBLEMS, MAX_PROBLEMS)
    assert draft.problems[0] == "copy:0: bad."


def test_a_strict_one_ends_the_reading():
    draft = Draft("copy", strict=True)
    for number in range(1, MAX_PROBLEMS):
        draft.bad(number, "bad")
    with pytest.raises(ListError) as refused:
        draft.bad(MAX_PROBLEMS, "bad")
    assert len(refused.value.problems) == MAX_PROBLEMS + 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [(b"\xff", "not UTF-8"), (b"x" * 1001, "longer than 1000 octets")],
)
def test_illegible_lines(line, problem):
    draft = Draft("copy")
    assert draft.text(1, line) == ""
    assert problem in draft.problems[0]


def test_lines(monkeypatch):
    assert list(lines_of(b"\xef\xbb\xbfA\r\nb\n\nc")) == [b"a", b"b", b"", b"c"]
    assert list(lines_of(b"a\n")) == [b"a"]
    for piece in range(8):  # wherever a piece ends, lines and their numbers are the same
        monkeypatch.setattr("blocker.lists.formats.draft._PIECE", piece)
        assert list(lines_of(b"a\r\n\nbb\n\n\r\nc\n")) == [b"a", b"", b"bb", b"", b"", b"c"]


def test_names_beyond_ascii_are_read_up_to_a_limit(monkeypatch):
    """Refused as a whole: where one line decided whether another counts, an update could unblock unseen."""
    monkeypatch.setattr("blocker.lists.formats.draft.MAX_UNICODE", 20)
    draft = Draft("copy")
    for number, text in enumerate(("bücher.example", "a.example", "xn--bcher-kva.example"), 1):
        draft.keep(number, text, 0)
    assert len(draft.keys) == 3
    with pytest.raises(ListError, match="copy:4: more than 20 characters of names beyond ASCII"):
        draft.keep(4, "bücher.example", 0)
