"""Entries as numbers."""

import pytest

from blocker.lists import row
from blocker.policy import Action


@pytest.mark.parametrize(
    ("number", "flags", "file"),
    [
        (0, 0, 0),
        (1, row.EXACT, 0),
        (row.MAX_LINES - 1, 0xFFFF, row.MAX_FILES - 1),
        (7, row.DETAILED | row.GUARDED, 3),
    ],
)
def test_unpack_is_the_other_way_round(number, flags, file):
    packed = row.pack(number, flags, file)
    assert packed < 1 << 64
    assert row.unpack(packed) == (file, number, flags)


@pytest.mark.parametrize("action", [Action.NXDOMAIN, Action.NODATA, Action.DROP, Action.SINKHOLE])
def test_the_answer_that_a_list_asks_for(action):
    flags = row.answering(action) | row.FEED | row.EXACT
    assert row.answer_of(row.unpack(row.pack(7, flags)).flags) is action
    assert row.answer_of(row.FEED | row.EXACT) is None


def test_an_answer_that_a_row_cannot_say():
    with pytest.raises(ValueError, match="not in tuple"):
        row.answering(Action.PASSTHRU)
