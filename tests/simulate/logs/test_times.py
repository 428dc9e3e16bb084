"""Times of other programs, in our form."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.simulate.logs import times
from blocker.simulate.logs.record import BadLineError

END = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("written", "read"), [
    ("Mar  1 11:59:58", "2026-03-01T11:59:58.000000Z"),
    ("Mar  2 09:00:00", "2026-03-02T09:00:00.000000Z"),  # clocks and zones differ by a day at the most
    ("Nov 23 21:37:51", "2025-11-23T21:37:51.000000Z"),  # the log ends in March: it was last year's
    ("Feb 29 00:00:00", "2024-02-29T00:00:00.000000Z"),  # the last one there was
    ("Sun Nov 23 21:37:51 2025", "2025-11-23T21:37:51.000000Z"),
    ("23-Nov-2025 21:37:51.935", "2025-11-23T21:37:51.935000Z"),
    ("2025-11-23T21:37:51.935964Z", "2025-11-23T21:37:51.935964Z"),
    ("2025-11-23T22:37:51+01:00", "2025-11-23T21:37:51.000000Z"),
    ("2025-11-23 21:37:51,5", "2025-11-23T21:37:51.500000Z"),
])  # fmt: skip
def test_read(written, read):
    assert times.clock(END)(written) == read


@pytest.mark.parametrize(
    "written", ["Foo 23 21:37:51", "Feb 30 00:00:00", "23-Nov-2025 25:00:00", "x", "0001-01-01T00:00:00+14:00"]
)
def test_no_times(written):
    with pytest.raises(BadLineError):
        times.clock(END)(written)


@given(st.integers(), st.integers(0, 2**32))
def test_unix_times(seconds, nanoseconds):
    try:
        assert times.from_unix(seconds, nanoseconds).endswith("Z")
    except BadLineError:
        assert not 0 <= seconds < 253402300800


def test_the_last_second():
    assert times.from_unix(1795469871, 935964001) == "2026-11-23T21:37:51.935964Z"
