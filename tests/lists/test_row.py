"""Entries as numbers."""

import pytest

from blocker.lists import row


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
