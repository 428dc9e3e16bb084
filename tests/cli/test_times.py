"""Times as people type them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from blocker.cli import times


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("90m", 5400), ("12h", 43200), ("3d", 259200), ("2w", 1209600), ("0d", 0)]
)
def test_length(text, seconds):
    assert times.length(text) == seconds


@pytest.mark.parametrize("text", ["", "3", "3 d", "-3d", "3y", "1.5h", "9999999d", "3d4h"])
def test_what_is_no_length(text):
    with pytest.raises(ValueError, match="write 90m, 12h, 3d or 2w"):
        times.length(text)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-27T17:00Z", "2026-11-27 17:00"),
        ("2026-11-27 17:00-05:00", "2026-11-27 22:00"),
        ("2026-11-27T17:00[America/Toronto]", "2026-11-27 22:00"),
        ("2026-07-01T17:00[America/Toronto]", "2026-07-01 21:00"),  # in summer
    ],
)
def test_moment(text, utc):
    assert times.moment(text).astimezone(UTC) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_without_a_zone_it_is_the_machines():
    assert times.moment("2026-11-27T17:00").timestamp() == datetime(2026, 11, 27, 17).timestamp()  # noqa: DTZ001
    assert times.shown(0, ZoneInfo("America/Toronto")) == "1969-12-31 19:00:00 EST"
    assert times.shown(0, UTC) == "1970-01-01 00:00:00 UTC"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "friday",
        "2026-11-27T25:00",
        "2026-11-27T17:00[Nowhere]",
        "27.11.2026",
        "2026-11-27T17:00[America/Toronto",
        "2026-11-27T17:00Z[America/Toronto]",
        "2026-11-27T17:00[]",
        "9999-12-31T23:59-12:00",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59[America/Toronto]",
    ],
)
def test_what_is_no_moment(text):
    with pytest.raises(ValueError, match="is not a time; write"):
        times.moment(text)
