"""What the tests of the text formats share."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from blocker.simulate.logs import times
from blocker.simulate.logs.record import BadLineError, Query

CLOCK = times.clock(datetime(2026, 11, 24, tzinfo=UTC))
AT = "2026-11-23T21:37:51.000000Z"
AT_MS = "2026-11-23T21:37:51.935000Z"


def damaged(line):
    """Strategy: `line` with a part of it replaced, and any text at all."""
    changed = st.tuples(st.integers(0, len(line)), st.integers(0, 20), st.text(max_size=20)).map(
        lambda cut: line[: cut[0]] + cut[2] + line[cut[0] + cut[1] :]
    )
    return changed | st.text()


def is_sound(parse, line):
    """Tell whether `parse` made of `line` what it may: a query of printable words, nothing, or BadLineError."""
    try:
        found = parse(line)
    except BadLineError:
        return True
    return found is None or (
        isinstance(found, Query)
        and all(word.isprintable() and word.isascii() and " " not in word for word in found[:4])
        and len(found.qname) <= 1004
    )
